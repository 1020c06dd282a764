import dataclasses

import numpy as np
import pytest
import torch

from encompass.data.loader import DetectionDataset, load_example, to_network
from encompass.errors import Diverged, UsageError
from encompass.geometry.masks import coverage
from encompass.geometry.resize import Stretch
from encompass.models.anchors import build_anchors, corners
from encompass.models.branches import box_channels
from encompass.models.instance import SsdIsb
from encompass.models.ssd import map_grids
from encompass.models.zoo import BranchSpec, InstanceSpec, exact, resizing
from encompass.train.branches import (
    BranchSampler,
    CropDataset,
    fit_branches,
    jitter,
    matched_anchors,
)
from encompass.train.checkpoint import SafetensorsIO
from encompass.train.config import BranchConfig, DetectorConfig
from encompass.train.detector import DetectorModule, fit_detector
from encompass.train.features import cache_features, cache_maps, load_features
from encompass.train.fit import StreamSampler
from helpers import LIGHTNING, differing, weights

SPEC = InstanceSpec(
    multiplier=0.25,
    input_size=64,
    branches=resizing([(4, 3), (2, 2), (1, 1)]),
    crop_blocks=(11, 5, 3),
)
DETECTOR = DetectorConfig(
    steps=4, interval=2, batch_size=2, accumulate=2, warmup_steps=1, workers=0
)
BRANCHES = BranchConfig(
    steps=6, interval=3, batch_size=4, accumulate=1, warmup_steps=1, passes=1, shared_steps=2
)

pytestmark = LIGHTNING


def test_the_detector_learns_and_the_branches_and_statistics_stand_still(build, people, tmp_path):
    network = build()
    before = weights(network)
    fit_detector(network, people, DETECTOR, tmp_path)
    changed = differing(before, weights(network))
    assert any(name.startswith("detector.trunk.stem") for name in changed)
    assert not any("running" in name or name.startswith("branches") for name in changed)


def test_a_fine_map_learns_at_a_rate_of_its_own():
    spec = dataclasses.replace(SPEC, anchors="pixels", fine_map=True)
    network = SsdIsb(spec, num_classes=1)
    names = {id(p): name for name, p in network.named_parameters()}

    def rates(new_rate, classes):
        config = dataclasses.replace(DETECTOR, learning_rate=1e-4, new_rate=new_rate)
        module = DetectorModule(network, config, names=classes)
        groups = module.configure_optimizers()[0][0].param_groups
        return {names[id(p)]: group["lr"] for group in groups for p in group["params"]}

    detector = {name for name in names.values() if name.startswith("detector.")}
    first = DETECTOR.learning_rate_factor(0)
    same = rates(1.0, ("person",))
    assert same == dict.fromkeys(detector, pytest.approx(first * 1e-4))
    apart = rates(10.0, ("person",))
    fine = {name for name in detector if name.startswith("detector.fine.")}
    assert {name for name in detector if apart[name] > 5 * same[name]} == fine
    untaught = rates(10.0, ("person", "forklift"))
    scores = {name for name in detector if ".predictors." in name and ".scores." in name}
    assert {name for name in detector if untaught[name] > 5 * same[name]} == fine | scores


def test_frozen_blocks_stand_still(build, people, tmp_path):
    network = build()
    before = weights(network)
    fit_detector(network, people, dataclasses.replace(DETECTOR, frozen_blocks=5), tmp_path)
    changed = differing(before, weights(network))
    frozen = ("detector.trunk.stem", *(f"detector.trunk.blocks.{i}." for i in range(5)))
    assert not any(name.startswith(frozen) for name in changed)
    assert any(name.startswith("detector.trunk.blocks.5.") for name in changed)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_detector_run_that_was_stopped_ends_bit_for_bit_the_same(
    build, people, tmp_path, workers
):
    config = dataclasses.replace(DETECTOR, workers=workers)
    straight, resumed = build(), build()
    fit_detector(straight, people, config, tmp_path / "straight")
    half = dataclasses.replace(config, steps=2)
    fit_detector(build(), people, half, tmp_path / "resumed")
    fit_detector(resumed, people, config, tmp_path / "resumed")
    assert differing(weights(straight), weights(resumed)) == set()


def test_the_mean_of_the_weights_is_scored_kept_and_resumed_bit_for_bit(build, people, tmp_path):
    config = dataclasses.replace(DETECTOR, ema=0.5)
    last, straight, resumed = build(), build(), build()
    scored = []

    def validate(network):
        scored.append(weights(network))
        return {"box AP": 1.0}

    fit_detector(last, people, dataclasses.replace(config, ema=0), tmp_path / "last")
    fit_detector(straight, people, config, tmp_path / "straight", validate=validate)
    assert differing(weights(straight), scored[0]) == set()
    assert differing(weights(straight), weights(last))
    run = SafetensorsIO().load_checkpoint(tmp_path / "straight" / "last.safetensors")
    kept = {
        name.removeprefix("network."): tensor
        for name, tensor in run["state_dict"].items()
        if name.startswith("network.")
    }
    assert differing(weights(last), kept) == set()  # what learns is not the mean
    fit_detector(build(), people, dataclasses.replace(config, steps=2), tmp_path / "resumed")
    fit_detector(resumed, people, config, tmp_path / "resumed")
    assert differing(weights(straight), weights(resumed)) == set()


def test_a_finished_detector_is_taken_up_again_as_it_is(build, people, tmp_path):
    first, again = build(), build()
    fit_detector(first, people, DETECTOR, tmp_path)
    fit_detector(again, people, DETECTOR, tmp_path)
    assert differing(weights(first), weights(again)) == set()


def test_a_folder_of_another_training_is_refused(build, people, tmp_path):
    fit_detector(build(), people, DETECTOR, tmp_path)
    with pytest.raises(UsageError, match="other settings"):
        fit_detector(build(), people, dataclasses.replace(DETECTOR, seed=1), tmp_path)
    other = build()
    other.detector.predictors[0].scores.bias.data += 1
    with pytest.raises(UsageError, match="other weights"):
        fit_detector(other, people, DETECTOR, tmp_path)
    fewer = dataclasses.replace(people, samples=people.samples[1:])
    with pytest.raises(UsageError, match="other data"):
        fit_detector(build(), fewer, DETECTOR, tmp_path)


def test_the_end_is_validated(build, people, tmp_path):
    seen = []

    def validate(network):
        assert not network.training
        seen.append(1)
        return {"box AP": 1.0}

    fit_detector(build(), people, DETECTOR, tmp_path, validate=validate)
    assert seen == [1]


def test_branches_need_masks(build, people, tmp_path):
    samples = tuple(
        dataclasses.replace(
            s, annotations=tuple(dataclasses.replace(a, segmentation=None) for a in s.annotations)
        )
        for s in people.samples
    )
    boxes = dataclasses.replace(people, samples=samples)
    with pytest.raises(UsageError, match="No picture has masks"):
        cache_maps(build(), boxes, BRANCHES, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def learn(network, people, config, folder):
    cache_maps(network, people, config, folder / "maps")
    fit_branches(network, people, config, folder / "branches", maps=folder / "maps")


def test_branches_learn_alone_and_resume_bit_for_bit(build, people, tmp_path):
    straight, resumed = build(), build()
    before = weights(straight)
    learn(straight, people, BRANCHES, tmp_path / "straight")
    changed = differing(before, weights(straight))
    assert changed
    assert all(name.startswith("branches") for name in changed)
    learn(build(), people, dataclasses.replace(BRANCHES, steps=3), tmp_path / "resumed")
    learn(resumed, people, BRANCHES, tmp_path / "resumed")
    assert differing(weights(straight), weights(resumed)) == set()


def test_rows_on_one_detector_share_its_maps(build, people, tmp_path):
    network = build()
    cache_maps(network, people, BRANCHES, tmp_path / "maps")
    written = (tmp_path / "maps" / "features" / "objects.npz").stat().st_mtime_ns
    spec = dataclasses.replace(SPEC, branches=(BranchSpec(shape=(3, 3), pool="max"),))
    other = SsdIsb(spec, num_classes=1)
    other.detector.load_state_dict(network.detector.state_dict())
    cache_maps(other, people, BRANCHES, tmp_path / "maps")
    fit_branches(other, people, BRANCHES, tmp_path / "one", maps=tmp_path / "maps")
    assert (tmp_path / "maps" / "features" / "objects.npz").stat().st_mtime_ns == written
    fewer = SsdIsb(dataclasses.replace(spec, crop_blocks=(11,)), num_classes=1)
    fewer.detector.load_state_dict(network.detector.state_dict())
    cache_maps(fewer, people, BRANCHES, tmp_path / "maps")
    with pytest.raises(UsageError, match="has the maps of blocks"):
        cache_maps(fewer, people, BRANCHES, tmp_path / "maps", blocks=(13, 11))
    other.detector.predictors[0].scores.bias.data += 1
    with pytest.raises(UsageError, match="other weights"):
        cache_maps(other, people, BRANCHES, tmp_path / "maps")


def test_a_folder_of_another_rows_branches_is_refused(build, people, tmp_path):
    """Though its weights have the same shapes and start alike."""
    one = SsdIsb(SPEC, num_classes=1)
    learn(one, people, BRANCHES, tmp_path)
    branches = resizing([(5, 3), (2, 2), (1, 1)])
    other = SsdIsb(dataclasses.replace(SPEC, branches=branches), num_classes=1)
    other.load_state_dict(one.state_dict())
    with pytest.raises(UsageError, match="other settings"):
        fit_branches(other, people, BRANCHES, tmp_path / "branches", maps=tmp_path / "maps")


def test_where_no_object_has_a_branch_training_says_so(people, tmp_path):
    network = SsdIsb(dataclasses.replace(SPEC, branches=exact([(1, 4)])), num_classes=1)
    config = dataclasses.replace(BRANCHES, shared_steps=0)
    with pytest.raises(UsageError, match="No object has the shape of a branch"):
        learn(network, people, config, tmp_path)


def test_at_the_parting_branches_take_the_first_ones_weights_and_averages(build, people, tmp_path):
    network = build()
    learn(
        network,
        people,
        dataclasses.replace(BRANCHES, shared_steps=3, steps=4, interval=4),
        tmp_path,
    )
    state = SafetensorsIO().load_checkpoint(tmp_path / "branches" / "last.safetensors")
    averages = state["optimizer_states"][0]["state"]
    each = len(list(network.branches[0].parameters()))
    assert len(averages) == 3 * each
    # One branch went a step of its own; the two others are what the first one was at the parting.
    steps = [float(averages[i * each]["step"]) for i in range(3)]
    assert sorted(steps) == [3, 3, 4]
    one, other = (i for i in range(3) if steps[i] == 3)
    for mine, theirs in zip(
        network.branches[one].parameters(), network.branches[other].parameters(), strict=True
    ):
        assert torch.equal(mine, theirs)
    squares = [[averages[i * each + k]["square_avg"] for k in range(each)] for i in (one, other)]
    assert all(map(torch.equal, *squares))
    assert any(square.any() for square in squares[0])


def test_shared_branches_learn_from_all_shapes(build, people, tmp_path):
    network = SsdIsb(dataclasses.replace(SPEC, shared=True, box_channels=True), num_classes=1)
    network.detector.load_state_dict(build().detector.state_dict())
    config = dataclasses.replace(BRANCHES, shared_steps=0, dice_weight=1.0, edge_weight=1.0)
    learn(network, people, config, tmp_path)
    state = SafetensorsIO().load_checkpoint(tmp_path / "branches" / "last.safetensors")
    averages = state["optimizer_states"][0]["state"]
    assert [float(average["step"]) for average in averages.values()] == [6.0] * len(averages)
    assert len(averages) == len(list(network.head(0).parameters()))


def test_channels_are_of_the_jittered_box(build, people, tmp_path):
    network = SsdIsb(dataclasses.replace(SPEC, box_channels=True), num_classes=1).eval()
    network.detector.load_state_dict(build().detector.state_dict())
    cache_maps(network, people, BRANCHES, tmp_path)
    cache = load_features(tmp_path / "features")
    crops = CropDataset(cache, network, box_jitter=0.1, seed=3)
    boxes = jitter(cache.boxes_xyxy, 0.1, np.random.default_rng(3))
    assert np.array_equal(crops.boxes, boxes) and not np.array_equal(boxes, cache.boxes_xyxy)
    for branch, members in enumerate(crops.members):
        if not len(members):
            continue
        coarse = crops[branch, np.arange(len(members))].crops[0]
        height, width = network.spec.shapes[branch]
        inside = np.clip(boxes[members], 0, 64) / network.stride
        where = box_channels(inside, crops.cells[members], (height, width))
        assert torch.equal(coarse[:, -3:], where)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_pictures(build, people, tmp_path):
    network = build()
    network.detector.predictors[0].scores.bias.data.fill_(float("inf"))
    with pytest.raises(Diverged, match=r"step 0 .*\.jpg"):
        fit_detector(network, people, DETECTOR, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"branches": (BranchSpec(shape=(3, 3), pool="max"),)},
        {"branches": (BranchSpec(shape=(3, 3), pool="mean"),), "crop": "box"},
        {"branches": exact([(3, 2), (4, 2), (4, 1), (3, 1)])},
        {"box_channels": True, "shared": True},
    ],
)
def test_crops_of_the_cache_are_those_of_the_network(build, people, tmp_path, change):
    """From windows of 8-bit maps as from the whole maps, to the error of 8 bits."""
    network = SsdIsb(dataclasses.replace(SPEC, **change), num_classes=1).eval()
    network.detector.load_state_dict(build().detector.state_dict())
    examples = [load_example(sample, with_masks=True) for sample in people.samples]
    blocks = network.spec.crop_blocks
    cache_features(network, examples, tmp_path / "cache", blocks=blocks, autocast=False)
    crops = CropDataset(load_features(tmp_path / "cache"), network, box_jitter=0.0, seed=0)
    seen = 0
    for example in examples:
        stretch = Stretch(example.picture.shape[:2], (64, 64))
        with torch.no_grad():
            outputs = network(to_network(example.picture, (64, 64))[None])
        features = {block: f[0] for block, f in outputs.features.items()}
        for i, box in enumerate(stretch.forward_xyxy(example.boxes_xyxy)):
            cells = network.cells(box[None])
            (branch,) = network.route(cells)
            if branch == -1:
                assert not any(seen + i in members for members in crops.members)
                continue
            place = np.flatnonzero(crops.members[branch] == seen + i)
            batch = crops[branch, place]
            given = network.with_box(network.crops(features, cells, branch), box[None], cells)
            for ours, theirs in zip(batch.crops, given, strict=True):
                # Half a level for the maps, half a level for the crop.
                torch.testing.assert_close(ours, theirs, rtol=0, atol=6 / 255 + 1e-4)
            area = stretch.inverse_xyxy((cells * network.stride).astype(np.float32))[0]
            expected = coverage(example.masks[i], area, batch.targets.shape[1:])
            np.testing.assert_allclose(batch.targets[0], expected, atol=1e-5)
        seen += len(example.boxes_xyxy)
    assert seen == len(crops.cells) > 5


def test_anchors_teach_their_object_from_where_they_are(build, people, tmp_path):
    spec = dataclasses.replace(
        SPEC, branches=(BranchSpec(shape=(3, 3), pool="max"),), train_crops="anchors"
    )
    network = SsdIsb(spec, num_classes=1).eval()
    examples = [load_example(sample, with_masks=True) for sample in people.samples]
    cache_features(network, examples, tmp_path / "cache", blocks=spec.crop_blocks, autocast=False)
    cache = load_features(tmp_path / "cache")
    crops = CropDataset(cache, network, box_jitter=0.0, seed=0)
    # Every object has its best anchor at least, and an anchor that learns it.
    assert set(crops.objects.tolist()) == set(range(len(cache.labels)))
    assert len(matched_anchors(cache, network)[0]) == len(crops.objects)
    anchors = corners(build_anchors(map_grids(64))).numpy() * 64
    cells = {tuple(c) for c in network.cells(anchors).tolist()}
    assert {tuple(c) for c in crops.cells.tolist()} <= cells


def test_jitter_stays_within_its_part_of_the_side():
    boxes = np.asarray([[10.0, 20, 30, 60]], dtype=np.float32)
    moved = jitter(np.repeat(boxes, 500, axis=0), 0.1, np.random.default_rng(0)) - boxes
    assert np.abs(moved).max(axis=0) == pytest.approx([2, 4, 2, 4], rel=0.05)
    assert np.array_equal(jitter(boxes, 0.0, np.random.default_rng(0)), boxes)


def test_a_stream_shows_every_picture_once_an_epoch_whatever_the_interval():
    sampler = StreamSampler(5, per_interval=3, seed=1)
    seen = []
    for interval in range(5):
        sampler.set_epoch(interval)
        seen += list(sampler)
    assert [epoch for epoch, _ in seen] == [0] * 5 + [1] * 5 + [2] * 5
    for epoch in range(3):
        assert sorted(i for e, i in seen if e == epoch) == [0, 1, 2, 3, 4]


def test_branches_come_up_by_their_share_and_empty_ones_never():
    sampler = BranchSampler([300, 0, 100], batch_size=8, batches=4000, seed=0)
    drawn = list(sampler)
    counts = np.bincount([branch for branch, _ in drawn], minlength=3)
    assert counts[1] == 0
    assert counts[0] / counts[2] == pytest.approx(3, rel=0.1)
    assert all(len(set(indices.tolist())) == 8 for _, indices in drawn)


def test_items_depend_on_seed_epoch_and_index_alone(people):
    a, b = (DetectionDataset(people, size=(64, 64), seed=1) for _ in range(2))
    assert torch.equal(a[2, 0].picture, b[2, 0].picture)
    assert not torch.equal(a[2, 0].picture, a[3, 0].picture)
