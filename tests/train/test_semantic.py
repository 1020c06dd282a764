"""Training of semantic networks on drawn streets."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from encompass.data.cityscapes import load_cityscapes
from encompass.data.drawn_streets import draw_streets
from encompass.data.labels import IGNORE
from encompass.errors import AnnotationError, BadData, Diverged, UsageError
from encompass.models.semantic import SemanticNetwork
from encompass.models.weights import load_checkpoint
from encompass.models.zoo import SemanticSpec
from encompass.train.config import SemanticConfig
from encompass.train.fit import StreamSampler
from encompass.train.recipes import find_semantic_recipe
from encompass.train.semantic import fit_semantic, load_best
from helpers import LIGHTNING, differing, weights

SPEC = SemanticSpec(encoder="mobilenet", multiplier=0.25, maps=(13, 11), output_stride=32)
CONFIG = SemanticConfig(
    steps=4,
    interval=2,
    batch_size=2,
    accumulate=1,
    warmup_steps=0,
    learning_rate=1e-3,
    window_height=32,
    window_width=48,
    sampling="balanced",
    norm_pictures=2,
    workers=0,
)
THESIS = dataclasses.replace(
    CONFIG, augment="none", sampling="shuffled", norm_momentum=0.0, decay_rate=1.0, momentum=0.0
)

pytestmark = LIGHTNING


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    root = draw_streets(tmp_path_factory.mktemp("streets"), split="train", num_images=4, seed=0)
    return load_cityscapes(root, split="train")


def build(spec=SPEC):
    torch.manual_seed(0)
    return SemanticNetwork(spec, num_classes=19)


def with_labels(dataset, read):
    """The dataset with labels changed by a function."""

    class Changed:
        def __init__(self, source):
            self.path, self.source = source.path, source

        def read(self):
            return read(self.source.read())

    samples = tuple(dataclasses.replace(s, source=Changed(s.source)) for s in dataset.samples)
    return dataclasses.replace(dataset, samples=samples)


class Falling:
    """A scorer whose second score is the highest; it remembers the weights it saw."""

    def __init__(self, *scores):
        self.scores, self.seen = list(scores), []

    def __call__(self, network):
        assert not network.training
        self.seen.append(weights(network))
        return {"mIoU": self.scores[len(self.seen) - 1]}


def test_a_few_steps_teach_what_is_where(streets, tmp_path):
    network = build()
    config = dataclasses.replace(THESIS, steps=30, interval=30, norm_momentum=0.1)

    def share_right():
        network.eval()
        sample = streets.samples[0]
        picture, labels = sample.read()
        logits = network(torch.from_numpy(picture).permute(2, 0, 1)[None].float())
        found = logits[0].argmax(dim=0).repeat_interleave(16, 0).repeat_interleave(16, 1).numpy()
        known = labels != IGNORE
        return (found == labels)[known].mean()

    before = share_right()
    fit_semantic(network, streets, config, tmp_path)
    assert share_right() > max(before, 0.3) + 0.1


def test_all_of_the_network_learns_statistics_too(streets, tmp_path):
    network = build()
    before = weights(network)
    fit_semantic(network, streets, CONFIG, tmp_path)
    same = before.keys() - differing(before, weights(network))
    assert same == set()


def test_without_momentum_the_statistics_stand_still(streets, tmp_path):
    network = build()
    before = weights(network)
    fit_semantic(network, streets, dataclasses.replace(THESIS, norm_pictures=0), tmp_path)
    changed = differing(before, weights(network))
    assert "encoder.stem.0.weight" in changed and "decoder.score.weight" in changed
    assert not any("running" in name or "tracked" in name for name in changed)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("config", [CONFIG, THESIS], ids=["windows", "whole"])
def test_a_run_that_was_stopped_ends_bit_for_bit_the_same(streets, tmp_path, config, workers):
    config = dataclasses.replace(config, workers=workers)
    straight, resumed = build(), build()
    fit_semantic(straight, streets, config, tmp_path / "straight")
    half = dataclasses.replace(config, steps=2)
    fit_semantic(build(), streets, half, tmp_path / "resumed")
    fit_semantic(resumed, streets, config, tmp_path / "resumed")
    assert differing(weights(straight), weights(resumed)) == set()


def test_the_best_is_kept_beside_the_last(streets, tmp_path):
    config = dataclasses.replace(CONFIG, steps=6, validate_every=1)
    scorer = Falling(10.0, 30.0, 20.0)
    network = build()
    fit_semantic(network, streets, config, tmp_path, validate=scorer)
    assert differing(weights(network), scorer.seen[2]) == set()
    assert load_best(network, tmp_path) == {"step": 4, "mIoU": 30.0}
    assert differing(weights(network), scorer.seen[1]) == set()


def test_a_resumed_run_must_beat_the_best_so_far(streets, tmp_path):
    half = dataclasses.replace(CONFIG, steps=2, validate_every=1)
    first = Falling(30.0)
    fit_semantic(build(), streets, half, tmp_path, validate=first)
    network = build()
    scorer = Falling(20.0)
    fit_semantic(network, streets, dataclasses.replace(half, steps=4), tmp_path, validate=scorer)
    record = load_checkpoint(tmp_path / "best.safetensors")[1]
    assert (record["step"], record["mIoU"]) == (2, 30.0)
    load_best(network, tmp_path)
    assert differing(weights(network), first.seen[0]) == set()


def test_a_best_of_other_validation_data_is_no_mark_to_beat(streets, tmp_path):
    half = dataclasses.replace(CONFIG, steps=2, validate_every=1)
    fit_semantic(build(), streets, half, tmp_path, val=streets, validate=Falling(30.0))
    other = dataclasses.replace(streets, samples=streets.samples[:1])
    more = dataclasses.replace(half, steps=4)
    with pytest.raises(UsageError, match="is the best on other validation data"):
        fit_semantic(build(), streets, more, tmp_path, val=other, validate=Falling(40.0))
    fit_semantic(build(), streets, more, tmp_path, val=streets, validate=Falling(40.0))
    assert load_checkpoint(tmp_path / "best.safetensors")[1]["mIoU"] == 40.0


def test_another_meaning_of_the_masks_is_another_training(streets, tmp_path):
    fit_semantic(build(), streets, CONFIG, tmp_path)
    (first, *others) = streets.samples
    turned = {value: 1 - label for value, label in first.source.meaning.items() if label < 2}
    source = dataclasses.replace(first.source, meaning={**first.source.meaning, **turned})
    samples = (dataclasses.replace(first, source=source), *others)
    with pytest.raises(UsageError, match="holds a training with other data"):
        fit_semantic(build(), dataclasses.replace(streets, samples=samples), CONFIG, tmp_path)


def test_where_nothing_is_scored_the_network_stays_as_it_ended(streets, tmp_path):
    network = build()
    fit_semantic(network, streets, CONFIG, tmp_path, validate=lambda _: {})
    ended = weights(network)
    assert load_best(network, tmp_path) == {}
    assert differing(ended, weights(network)) == set()


def test_ignored_pixels_teach_nothing(streets, tmp_path):
    network = build()
    before = weights(network)
    void = with_labels(streets, lambda labels: np.full_like(labels, IGNORE))
    config = dataclasses.replace(THESIS, norm_pictures=0)
    fit_semantic(network, void, config, tmp_path)
    assert differing(before, weights(network)) == set()


@pytest.mark.parametrize("change", [{"sampling": "balanced"}, {"class_balance": 0.5}])
def test_data_without_a_class_cannot_be_balanced(streets, tmp_path, change):
    void = with_labels(streets, lambda labels: np.full_like(labels, IGNORE))
    config = dataclasses.replace(THESIS, **change)
    with pytest.raises(AnnotationError, match="no pixel has a class"):
        fit_semantic(build(), void, config, tmp_path)


def test_classes_in_balance_change_what_is_learnt(streets, tmp_path):
    plain, balanced = build(), build()
    fit_semantic(plain, streets, THESIS, tmp_path / "plain")
    config = dataclasses.replace(THESIS, class_balance=0.5)
    fit_semantic(balanced, streets, config, tmp_path / "balanced")
    assert differing(weights(plain), weights(balanced))


def test_a_folder_of_another_training_is_refused(streets, tmp_path):
    fit_semantic(build(), streets, CONFIG, tmp_path)
    for config, dataset, spec, what in [
        (dataclasses.replace(CONFIG, class_balance=0.5), streets, SPEC, "settings"),
        (CONFIG, dataclasses.replace(streets, samples=streets.samples[1:]), SPEC, "data"),
        (CONFIG, streets, dataclasses.replace(SPEC, last_rate=3), "settings"),
    ]:
        with pytest.raises(UsageError, match=f"other {what}"):
            fit_semantic(build(spec), dataset, config, tmp_path)


def test_a_batch_of_whole_pictures_needs_one_size(tmp_path):
    root = draw_streets(tmp_path / "data", split="train", num_images=2, seed=0)
    path = load_cityscapes(root, split="train").samples[0].path
    labels = load_cityscapes(root, split="train").samples[0].source.path
    for each in (path, labels):
        with Image.open(each) as picture:
            cropped = picture.crop((0, 0, 96, 64))
        cropped.save(each)
    streets = load_cityscapes(root, split="train")
    with pytest.raises(UsageError, match="one picture at a time"):
        fit_semantic(build(), streets, THESIS, tmp_path / "two")
    config = dataclasses.replace(THESIS, batch_size=1)
    fit_semantic(build(), streets, config, tmp_path / "one")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_picture_is_named(tmp_path, workers):
    root = draw_streets(tmp_path / "data", split="train", num_images=2, seed=0)
    streets = load_cityscapes(root, split="train")
    streets.samples[1].path.write_bytes(b"no picture")
    config = dataclasses.replace(THESIS, norm_pictures=0, workers=workers)
    with pytest.raises(BadData, match=streets.samples[1].path.name):
        fit_semantic(build(), streets, config, tmp_path / "run")


def test_a_loss_that_is_not_finite_names_the_pictures(streets, tmp_path):
    network = build()
    network.decoder.score.bias.data.fill_(float("inf"))
    with pytest.raises(Diverged, match=r"step 0 .*\.png"):
        fit_semantic(network, streets, THESIS, tmp_path)


def test_bfloat16_is_refused_on_narrow_maps(streets, tmp_path):
    narrow = dataclasses.replace(CONFIG, precision="bf16-mixed")
    with pytest.raises(
        UsageError, match="needs maps of 10 cells or more a side, 48x32 pixels have"
    ):
        fit_semantic(build(), streets, narrow, tmp_path)


def test_the_encoder_may_learn_slower_and_rates_fall_to_nothing(streets, tmp_path):
    config = dataclasses.replace(CONFIG, encoder_rate=0.0, poly=0.9, norm_pictures=0)
    assert config.learning_rate_factor(0) == 1
    assert config.learning_rate_factor(3) == pytest.approx(0.25**0.9)
    network = build()
    before = weights(network)
    fit_semantic(network, streets, config, tmp_path)
    learnt = {n for n in differing(before, weights(network)) if "running" not in n}
    assert {name.split(".")[0] for name in learnt if "tracked" not in name} == {"decoder"}
    with pytest.raises(UsageError, match="other settings"):  # the schedule knows its end
        fit_semantic(build(), streets, dataclasses.replace(config, steps=6), tmp_path)


def test_squeezenet_trains_without_batch_norm(streets, tmp_path):
    network = build(SemanticSpec(encoder="squeezenet1.1", maps=(11,), output_stride=16))
    before = weights(network)
    fit_semantic(network, streets, dataclasses.replace(CONFIG, steps=2), tmp_path)
    assert before.keys() == differing(before, weights(network))


def test_odds_decide_how_often_an_item_comes_and_no_draw_comes_twice():
    sampler = StreamSampler(3, per_interval=4000, seed=1, odds=[0.5, 0.0, 0.25])
    sampler.set_epoch(2)
    drawn = list(sampler)
    assert [draw for draw, _ in drawn] == list(range(8000, 12000))
    counts = np.bincount([index for _, index in drawn], minlength=3)
    assert counts[1] == 0
    assert counts[0] / counts[2] == pytest.approx(2, rel=0.1)
    assert list(sampler) == drawn


def test_the_thesis_recipe_is_that_of_section_4_2_2():
    recipe = find_semantic_recipe("thesis")
    assert (recipe.steps, recipe.batch_size * recipe.accumulate) == (300_000, 1)
    rates = {recipe.learning_rate_factor(step) for step in (50, 1000, 299_999)}
    assert (recipe.learning_rate, rates) == (1e-5, {1.0})
    assert recipe.augment == "none"


def test_settings_of_a_semantic_recipe():
    recipe = find_semantic_recipe("ours", ["semantic.steps=200", "semantic.window_width=64"])
    assert (recipe.steps, recipe.window_width) == (200, 64)
    for setting, message in [
        ("detector.steps=3", "is not semantic.KEY=VALUE"),
        ("semantic.augment=much", "must be windows or none"),
        ("semantic.sampling=odd", "must be shuffled or balanced"),
        ("semantic.least_scale=3", "must not be above greatest_scale"),
        ("semantic.norm_momentum=2", "a number from 0 to 1"),
        ("semantic.window_widht=3", "Did you mean 'window_width'"),
    ]:
        with pytest.raises(UsageError, match=message):
            find_semantic_recipe("ours", [setting])
