"""What a row with a narrower trunk starts from."""

import dataclasses

import pytest
import torch

from encompass.errors import ModelError
from encompass.models.instance import SsdIsb
from encompass.models.weights import save_detector, save_network
from encompass.models.zoo import InstanceSpec, resizing
from encompass.train.start import load_start

WIDE = InstanceSpec(multiplier=0.5, input_size=64, branches=resizing([(4, 3)]), crop_blocks=(11, 5))
SLIM = dataclasses.replace(WIDE, inner=2 / 3)


def make(spec: InstanceSpec, seed: int) -> SsdIsb:
    torch.manual_seed(seed)
    return SsdIsb(spec, num_classes=1)


def stored(network: SsdIsb, path, save=save_network, **record):
    record = {"names": ["person"], "row": dataclasses.asdict(network.spec), **record}
    save(path, network, record)
    return path


def test_a_wide_detector_is_narrowed_and_the_rest_is_kept(people, tmp_path):
    wide, network = make(WIDE, seed=0), make(SLIM, seed=1)
    own = network.state_dict()["branches.0.score.weight"].clone()
    path = stored(wide, tmp_path / "wide.safetensors", save_detector, stage="detector")
    record = load_start(network, path, people)
    assert record["stage"] == "detector"
    half = wide.half().state_dict()
    slim = network.state_dict()
    heads = "detector.predictors.0.offsets.weight"
    assert torch.equal(slim[heads], half[heads].float())
    assert torch.equal(slim["branches.0.score.weight"], own)
    stem = half["detector.trunk.stem.0.weight"].float()
    copies = [
        bool((stem == kernel).flatten(1).all(1).any())
        for kernel in slim["detector.trunk.stem.0.weight"]
    ]
    assert all(copies)


def test_branches_of_the_same_row_come_along(people, tmp_path):
    wide, network = make(WIDE, seed=0), make(SLIM, seed=1)
    load_start(network, stored(wide, tmp_path / "wide.safetensors", stage="all"), people)
    branch = "branches.0.pointwise.weight"
    assert torch.equal(network.state_dict()[branch], wide.half().state_dict()[branch].float())


def test_a_narrow_checkpoint_is_loaded_as_it_is(people, tmp_path):
    one, other = make(SLIM, seed=0), make(SLIM, seed=1)
    load_start(other, stored(one, tmp_path / "slim.safetensors", stage="all"), people)
    for name, tensor in one.half().state_dict().items():
        if tensor.is_floating_point():
            assert torch.equal(other.state_dict()[name], tensor.float())


def test_a_trunk_of_another_depth_is_refused(people, tmp_path):
    other = make(dataclasses.replace(WIDE, multiplier=0.25), seed=0)
    path = stored(other, tmp_path / "other.safetensors", save_detector, stage="detector")
    with pytest.raises(ModelError, match="does not fit this network"):
        load_start(make(SLIM, seed=1), path, people)
