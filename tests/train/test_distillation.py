"""A pruned detector learns to say what the one that it came from says."""

import dataclasses

import pytest
import torch

from encompass.data.loader import DetectionDataset, collate
from encompass.errors import Diverged, UsageError
from encompass.losses.distillation import distillation_loss, feature_loss
from encompass.models.instance import SsdIsb
from encompass.models.zoo import InstanceSpec, resizing
from encompass.train.checkpoint import SafetensorsIO
from encompass.train.config import DistillationConfig
from encompass.train.distillation import DistillationModule, fit_distillation
from encompass.train.recipes import find_recipe
from helpers import LIGHTNING, differing, weights

WIDE = InstanceSpec(multiplier=0.5, input_size=64, branches=resizing([(4, 3)]), crop_blocks=(11, 5))
SLIM = dataclasses.replace(WIDE, inner=2 / 3)
CONFIG = DistillationConfig(
    steps=4, interval=2, batch_size=2, accumulate=1, warmup_steps=1, workers=0, ema=0.5
)

pytestmark = LIGHTNING


def make(spec, seed):
    """Random weights, with statistics: without them a deep network's features fade to nothing."""
    torch.manual_seed(seed)
    network = SsdIsb(spec, num_classes=1)
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train().detector.trunk(torch.rand(8, 3, 64, 64) * 2 - 1)
    return network


def batch_of(people):
    items = DetectionDataset(people, size=(64, 64), seed=0)
    return collate([items[0, 0], items[0, 1]])


def test_the_loss_is_what_is_missed_of_maps_scores_and_boxes(people):
    network, teacher = make(SLIM, seed=0).eval(), make(WIDE, seed=1).eval()
    batch = batch_of(people)
    loss = DistillationModule(network, teacher, CONFIG).training_step(batch, 0)
    with torch.no_grad():
        given, wanted = network(batch.pictures), teacher(batch.pictures)
    parts = [feature_loss(given.features[block], wanted.features[block]) for block in (5, 11, 13)]
    parts += distillation_loss(
        given.logits, given.offsets, wanted.logits, wanted.offsets, score="sigmoid"
    ).values()
    assert len(parts) == 5
    assert loss.item() == pytest.approx(sum(parts).item(), rel=1e-5)


def test_nothing_is_missed_of_itself(people):
    network = make(WIDE, seed=0).eval()
    module = DistillationModule(network, make(WIDE, seed=0), CONFIG)
    assert module.training_step(batch_of(people), 0).item() == 0


def test_the_detector_alone_learns_and_comes_nearer(people, tmp_path):
    network, teacher = make(SLIM, seed=0), make(WIDE, seed=1)
    before, wanted = weights(network), weights(teacher)
    batch = batch_of(people)

    def missed():
        network.eval()
        return DistillationModule(network, teacher, CONFIG).training_step(batch, 0).item()

    first = missed()
    config = dataclasses.replace(CONFIG, steps=30, interval=30, learning_rate=1e-3)
    fit_distillation(network, teacher, people, config, tmp_path)
    changed = differing(before, weights(network))
    for part in ("trunk.stem", "extras", "predictors"):
        assert any(name.startswith(f"detector.{part}") for name in changed)
    assert all(name.startswith("detector.") for name in changed)
    assert not any("running" in name for name in changed)
    assert differing(wanted, weights(teacher)) == set()
    assert missed() < 0.9 * first


def test_a_run_that_was_stopped_ends_bit_for_bit_the_same(people, tmp_path):
    teacher = make(WIDE, seed=1)
    straight, resumed = make(SLIM, seed=0), make(SLIM, seed=0)
    config = dataclasses.replace(CONFIG, schedule="staircase")  # a cosine knows its end
    fit_distillation(straight, teacher, people, config, tmp_path / "straight")
    half = dataclasses.replace(config, steps=2)
    fit_distillation(make(SLIM, seed=0), teacher, people, half, tmp_path / "resumed")
    fit_distillation(resumed, teacher, people, config, tmp_path / "resumed")
    assert differing(weights(straight), weights(resumed)) == set()


def test_the_teacher_is_not_kept(people, tmp_path):
    fit_distillation(make(SLIM, seed=0), make(WIDE, seed=1), people, CONFIG, tmp_path)
    kept = SafetensorsIO().load_checkpoint(tmp_path / "last.safetensors")["state_dict"]
    assert kept
    assert all(name.startswith(("network.", "mean.")) for name in kept)


def test_labels_are_not_looked_at(people, tmp_path):
    one, other = make(SLIM, seed=0), make(SLIM, seed=0)
    teacher, batch = make(WIDE, seed=1), batch_of(people)
    bare = dataclasses.replace(
        batch, boxes=(torch.zeros(0, 4),) * 2, labels=(torch.zeros(0, dtype=torch.int64),) * 2
    )
    losses = [
        DistillationModule(net.eval(), teacher, CONFIG).training_step(some, 0).item()
        for net, some in ((one, batch), (other, bare))
    ]
    assert losses[0] == losses[1]


def test_what_is_not_finite_is_told_with_the_pictures(people):
    network, teacher = make(SLIM, seed=0), make(WIDE, seed=1)
    torch.nn.init.constant_(network.detector.trunk.blocks[4][1][0].weight, float("nan"))
    with pytest.raises(Diverged, match="block 5 nan"):
        DistillationModule(network, teacher, CONFIG).training_step(batch_of(people), 0)


def test_a_folder_of_another_start_is_refused(people, tmp_path):
    teacher = make(WIDE, seed=1)
    fit_distillation(make(SLIM, seed=0), teacher, people, CONFIG, tmp_path)
    with pytest.raises(UsageError, match="other weights"):
        fit_distillation(make(SLIM, seed=2), teacher, people, CONFIG, tmp_path)


def test_pruned_rows_are_distilled_first():
    pixels = dataclasses.replace(SLIM, anchors="pixels")
    assert find_recipe(WIDE).stages == ("detector", "branches")
    assert find_recipe(SLIM).stages == ("distillation", "detector", "branches")
    assert find_recipe(pixels).stages == ("distillation", "branches", "joint")
