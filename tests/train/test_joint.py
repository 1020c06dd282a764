"""Detector and branches trained together."""

import dataclasses

import numpy as np
import pytest
import torch

from encompass.data.loader import load_augmented
from encompass.errors import UsageError
from encompass.losses.mask import mask_loss
from encompass.models.instance import SsdIsb
from encompass.models.zoo import InstanceSpec, resizing
from encompass.train import joint
from encompass.train.branches import CropDataset
from encompass.train.config import BranchConfig, JointConfig
from encompass.train.features import cache_features, load_features
from encompass.train.fit import StreamSampler
from encompass.train.joint import JointDataset, JointModule, collate_joint, fit_joint
from helpers import LIGHTNING, differing, weights

SPEC = InstanceSpec(
    multiplier=0.25, input_size=64, branches=resizing([(4, 3)]), crop_blocks=(11, 5, 3)
)
CONFIG = JointConfig(
    steps=4, interval=2, batch_size=2, accumulate=2, warmup_steps=1, workers=0, copy_paste=0.5
)

pytestmark = LIGHTNING


def test_all_learns_but_the_statistics_stand_still(build, people, tmp_path):
    network = build()
    before = weights(network)
    fit_joint(network, people, CONFIG, tmp_path)
    changed = differing(before, weights(network))
    for part in ("detector.trunk.stem", "detector.predictors", "branches."):
        assert any(name.startswith(part) for name in changed)
    assert not any("running" in name for name in changed)


def test_a_run_that_was_stopped_ends_bit_for_bit_the_same(build, people, tmp_path):
    config = dataclasses.replace(CONFIG, ema=0.5)
    straight, resumed = build(), build()
    fit_joint(straight, people, config, tmp_path / "straight")
    fit_joint(build(), people, dataclasses.replace(config, steps=2), tmp_path / "resumed")
    fit_joint(resumed, people, config, tmp_path / "resumed")
    assert differing(weights(straight), weights(resumed)) == set()


def mask_gradients(network, people, config):
    module = JointModule(network, config, names=("person",))
    items = JointDataset(people, network, config)
    batch = collate_joint([items[0, i] for i in range(3)])
    module.mask_loss(network(batch.pictures.pictures), batch.masks).backward()
    return {n: p.grad for n, p in network.named_parameters() if p.grad is not None and p.grad.any()}


def test_the_gradient_of_the_masks_reaches_the_trunk_alone_of_the_detector(build, people):
    moved = mask_gradients(build(), people, CONFIG)
    assert any(name.startswith("detector.trunk.stem") for name in moved)
    assert any(name.startswith("detector.trunk.blocks.10") for name in moved)
    assert not any(name.startswith("detector.trunk.blocks.11") for name in moved)  # beyond the crop
    assert not any(name.startswith(("detector.extras", "detector.pred")) for name in moved)


def test_as_much_of_it_as_is_asked_for_passes_the_crop(build, people):
    whole = mask_gradients(build(), people, CONFIG)
    half = mask_gradients(build(), people, dataclasses.replace(CONFIG, crop_gradient=0.5))
    none = mask_gradients(build(), people, dataclasses.replace(CONFIG, crop_gradient=0.0))
    assert none.keys() == {name for name in whole if name.startswith("branches.")}
    for name, gradient in whole.items():
        part = 1.0 if name.startswith("branches.") else 0.5
        torch.testing.assert_close(half[name], part * gradient, rtol=1e-3, atol=1e-6)


def test_what_fills_up_the_number_of_crops_teaches_nothing(build, people, monkeypatch):
    alone = mask_gradients(build(), people, CONFIG)
    monkeypatch.setattr(joint, "CROPS_STEP", {"cpu": 16})
    filled = mask_gradients(build(), people, CONFIG)
    for name, gradient in alone.items():
        # On one thread the sums are in another order.
        torch.testing.assert_close(filled[name], gradient, rtol=1e-3, atol=1e-5)


def test_the_loss_is_that_of_the_branches_on_the_same_maps(build, people, tmp_path):
    """One picture, nothing moved: what `BranchModule` is given from the cache, within 8 bits."""
    network = build().eval()
    config = dataclasses.replace(CONFIG, copy_paste=0.0, box_jitter=0.0)
    items = JointDataset(people, network, config)
    item, masks = items[0, 0]
    example = load_augmented(people.samples[0], with_masks=True, seed=(config.seed, 0, 0))
    cache_features(network, [example], tmp_path / "maps", blocks=(11, 5, 3), autocast=False)
    crops = CropDataset(load_features(tmp_path / "maps"), network, box_jitter=0.0, seed=0)
    with torch.no_grad():
        together = JointModule(network, config, names=("person",)).mask_loss(
            network(item.picture[None]), (masks,)
        )
        total, count = 0.0, 0
        for branch, members in enumerate(crops.members):
            if len(members):
                batch = crops[branch, np.arange(len(members))]
                logits = network.head(branch)(batch.crops)[:, 0]
                total += len(members) * float(mask_loss(logits, batch.targets))
                count += len(members)
    assert count == len(masks.boxes) > 0
    assert float(together) == pytest.approx(total / count, abs=0.01)


def without_masks(sample):
    annotations = (dataclasses.replace(a, segmentation=None) for a in sample.annotations)
    return dataclasses.replace(sample, annotations=tuple(annotations))


def test_pictures_without_masks_teach_the_detector_alone(build, people):
    mixed = [people.samples[0], *map(without_masks, people.samples[1:])]
    network = build()
    items = JointDataset(dataclasses.replace(people, samples=mixed), network, CONFIG)
    assert items.sources == mixed[:1]
    batch = collate_joint([items[0, i] for i in (1, 2)])
    JointModule(network, CONFIG, names=("person",)).training_step(batch, 0).backward()
    moved = {n for n, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert any(name.startswith("detector.") for name in moved)
    assert not any(name.startswith("branches.") for name in moved)


def test_data_without_any_mask_is_refused(build, people, tmp_path):
    bare = dataclasses.replace(people, samples=list(map(without_masks, people.samples)))
    with pytest.raises(UsageError, match="No picture has masks"):
        fit_joint(build(), bare, CONFIG, tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_more_objects_of_a_picture_than_asked_for(build, people):
    few = JointDataset(people, build(), dataclasses.replace(CONFIG, max_masks=1, copy_paste=1.0))
    assert {len(few[0, i][1].boxes) for i in range(len(people))} == {1}


def test_four_pictures_come_as_one_but_not_at_the_end(build, people):
    config = dataclasses.replace(CONFIG, copy_paste=0.0, steps=len(people))
    alone = JointDataset(people, build(), config)
    together = JointDataset(people, build(), dataclasses.replace(config, mosaic=1.0))
    # The stream has 6 steps x 2 x 2 pictures, four passes over the data: 19 of them are mosaics.
    stream = list(StreamSampler(len(people), per_interval=24, seed=0))
    assert [together[key][0].name.count(" + ") for key in stream] == [3] * 19 + [0] * 5
    item, masks = together[stream[18]]
    assert len(masks.boxes) == len(item.boxes_xyxy) > len(alone[stream[18]][0].boxes_xyxy)
    torch.testing.assert_close(together[stream[19]][0].picture, alone[stream[19]][0].picture)


def test_a_training_shorter_than_a_pass_has_its_share_of_mosaics(build, people):
    config = dataclasses.replace(CONFIG, copy_paste=0.0, mosaic=1.0, steps=1, interval=1)
    few = JointDataset(people, build(), config)  # 4 pictures of 6
    stream = list(StreamSampler(len(people), per_interval=4, seed=0))
    assert [few[key][0].name.count(" + ") for key in stream] == [3, 3, 3, 0]


def test_a_training_with_mosaics_knows_its_end(build, people, tmp_path):
    config = dataclasses.replace(CONFIG, mosaic=0.5)
    fit_joint(build(), people, dataclasses.replace(config, steps=2), tmp_path)
    with pytest.raises(UsageError, match="other settings"):
        fit_joint(build(), people, config, tmp_path)


def test_what_is_scored_is_what_is_kept(build, people, tmp_path):
    scored = []

    def validate(network):
        scored.append(weights(network))
        return {"mask AP": 1.0}

    network = build()
    config = dataclasses.replace(CONFIG, ema=0.5, interpolation=0.25)
    fit_joint(network, people, config, tmp_path, validate=validate)
    assert differing(scored[-1], weights(network)) == set()


def test_new_parts_have_a_rate_of_their_own_and_stay_where_they_came_to():
    spec = dataclasses.replace(SPEC, anchors="pixels", fine_map=True)
    network = SsdIsb(spec, num_classes=1)
    config = dataclasses.replace(CONFIG, new_rate=3.0, interpolation=0.0)
    module = JointModule(network, config, names=("person",))
    known, new = module.configure_optimizers()[0][0].param_groups
    assert new["lr"] == 3 * known["lr"]
    names = {id(p): name for name, p in network.named_parameters()}
    apart = {names[id(p)] for p in new["params"]}
    begun = ("branches.", "detector.fine.", "detector.predictors.5.")  # the last map's anchors
    assert apart == {n for n in names.values() if n.startswith(begun)}
    untaught = JointModule(network, config, names=("person", "forklift"))
    _, new = untaught.configure_optimizers()[0][0].param_groups
    scores = {n for n in names.values() if n.startswith("detector.predictors.") and ".scores." in n}
    assert {names[id(p)] for p in new["params"]} == apart | scores
    module = JointModule(network, config, names=("person",))
    before = weights(network)
    for weight in network.parameters():
        weight.data += 1
    module.take_result()
    changed = {n for n in differing(before, weights(network)) if "running" not in n}
    assert changed == apart


def test_the_detector_ends_on_the_way_from_its_first_weights_to_the_last(build, people, tmp_path):
    whole, part = build(), build()
    first = weights(part)
    fit_joint(whole, people, CONFIG, tmp_path / "whole")
    fit_joint(part, people, dataclasses.replace(CONFIG, interpolation=0.25), tmp_path / "part")
    last = weights(whole)
    for name, tensor in part.named_parameters():
        wanted = last[name]
        if name.startswith("detector."):
            wanted = torch.lerp(first[name], wanted, 0.25)
        torch.testing.assert_close(tensor.data, wanted)


@pytest.mark.parametrize("key", ["copy_paste", "interpolation", "mosaic"])
def test_parts_are_at_most_the_whole(key):
    with pytest.raises(UsageError, match=rf"{key}=1\.5 must be a number from 0 to 1"):
        dataclasses.replace(CONFIG, **{key: 1.5})
    assert BranchConfig(steps=1, interval=1).dice_weight == CONFIG.dice_weight == 0
