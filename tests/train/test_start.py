"""What a row with fewer inner channels starts from."""

import dataclasses

import pytest
import torch

from encompass.data.loader import evenly, to_network
from encompass.errors import ModelError
from encompass.models.instance import SsdIsb
from encompass.models.weights import is_row, save_detector, save_network
from encompass.models.zoo import InstanceSpec, resizing
from encompass.pictures import read_picture
from encompass.train.recipes import find_recipe
from encompass.train.start import load_start

WIDE = InstanceSpec(multiplier=0.5, input_size=64, branches=resizing([(4, 3)]), crop_blocks=(11, 5))
SLIM = dataclasses.replace(WIDE, inner=2 / 3)


def make(spec: InstanceSpec, seed: int) -> SsdIsb:
    torch.manual_seed(seed)
    return SsdIsb(spec, num_classes=1)


def floats(network: torch.nn.Module) -> list[torch.Tensor]:
    return [t for t in network.state_dict().values() if t.is_floating_point()]


def stored(network: SsdIsb, path, save=save_network, **record):
    record = {"names": ["person"], "row": dataclasses.asdict(network.spec), **record}
    save(path, network, record)
    return path


def test_a_wide_detector_is_pruned_and_the_rest_is_kept(people, tmp_path):
    wide, network = make(WIDE, seed=0), make(SLIM, seed=1)
    own = network.state_dict()["branches.0.score.weight"].clone()
    path = stored(wide, tmp_path / "wide.safetensors", save_detector, stage="detector")
    record, source = load_start(network, path, people, tmp_path / "run")
    assert record["stage"] == "detector"
    assert torch.equal(network.state_dict()["branches.0.score.weight"], own)
    wide.half().float().eval()
    assert source is not None
    assert all(
        torch.equal(a, b)
        for a, b in zip(floats(source.detector), floats(wide.detector), strict=True)
    )
    heads = "detector.predictors.0.offsets.weight"
    assert torch.equal(network.state_dict()[heads], wide.state_dict()[heads])
    pictures = to_network(read_picture(people.samples[0].path), (64, 64))[None]
    with torch.no_grad():
        theirs, ours = wide(pictures).features, network.eval()(pictures).features
    for block in (5, 11):
        gap = (theirs[block] - ours[block]).square().mean() / theirs[block].var()
        assert 0 < gap < 0.3


def test_a_run_that_goes_on_starts_with_the_same_bits(people, tmp_path):
    wide, one, other = make(WIDE, seed=0), make(SLIM, seed=1), make(SLIM, seed=2)
    path = stored(wide, tmp_path / "wide.safetensors", stage="all")
    record, _ = load_start(one, path, people, tmp_path / "run")
    # What is kept is taken, whatever pruning would give now: no picture is read for it.
    gone = [dataclasses.replace(s, path=tmp_path / "gone" / s.path.name) for s in people.samples]
    unread = dataclasses.replace(people, samples=gone)
    assert load_start(other, path, unread, tmp_path / "run").record == record
    assert all(torch.equal(a, b) for a, b in zip(floats(one), floats(other), strict=True))
    stored(make(WIDE, seed=3), path, stage="all")
    load_start(other, path, people, tmp_path / "run")
    assert not all(torch.equal(a, b) for a, b in zip(floats(one), floats(other), strict=True))


def test_a_trunk_that_was_pruned_on_other_pictures_is_not_taken(people, tmp_path):
    one, other = make(SLIM, seed=1), make(SLIM, seed=1)
    path = stored(make(WIDE, seed=0), tmp_path / "wide.safetensors", stage="all")
    load_start(one, path, people, tmp_path / "run")
    fewer = dataclasses.replace(people, samples=people.samples[1:])
    load_start(other, path, fewer, tmp_path / "run")
    assert not all(torch.equal(a, b) for a, b in zip(floats(one), floats(other), strict=True))


def test_branches_of_the_same_row_come_along(people, tmp_path):
    wide, network = make(WIDE, seed=0), make(SLIM, seed=1)
    path = stored(wide, tmp_path / "wide.safetensors", stage="all")
    record, _ = load_start(network, path, people, tmp_path / "run")
    branch = "branches.0.pointwise.weight"
    assert torch.equal(network.state_dict()[branch], wide.half().state_dict()[branch].float())
    assert is_row(record, SLIM)


def test_a_fine_map_that_only_the_file_has_is_left_out(people, tmp_path):
    spec = dataclasses.replace(WIDE, anchors="pixels")
    wide = make(dataclasses.replace(spec, fine_map=True), seed=0)
    network = make(dataclasses.replace(spec, inner=2 / 3), seed=1)
    path = stored(wide, tmp_path / "wide.safetensors", stage="all")
    load_start(network, path, people, tmp_path / "run")
    heads = "detector.predictors.5.scores.weight"
    assert torch.equal(network.state_dict()[heads], wide.half().state_dict()[heads].float())


def test_a_pruned_checkpoint_is_loaded_as_it_is(people, tmp_path):
    one, other = make(SLIM, seed=0), make(SLIM, seed=1)
    path = stored(one, tmp_path / "slim.safetensors", stage="all")
    assert load_start(other, path, people, tmp_path / "run").wide is None
    assert all(
        torch.equal(a.half(), b.half()) for a, b in zip(floats(one), floats(other), strict=True)
    )
    assert not (tmp_path / "run").exists()


def test_a_trunk_of_another_depth_is_refused(people, tmp_path):
    other = make(dataclasses.replace(WIDE, multiplier=0.25), seed=0)
    path = stored(other, tmp_path / "other.safetensors", save_detector, stage="detector")
    with pytest.raises(ModelError, match="does not fit this network"):
        load_start(make(SLIM, seed=1), path, people, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_pruned_rows_learn_again_all_of_the_trunk():
    large = dataclasses.replace(WIDE, input_size=640)
    assert find_recipe(large).detector.frozen_blocks > 0
    assert find_recipe(dataclasses.replace(large, inner=2 / 3)).detector.frozen_blocks == 0


def test_items_are_taken_in_equal_steps():
    assert evenly(3, 10) == [0, 3, 6]
    assert evenly(4, 4) == [0, 1, 2, 3]
