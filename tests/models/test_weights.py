import struct

import pytest
import torch

from encompass.errors import ModelError
from encompass.models.instance import SsdIsb
from encompass.models.releases import load_release
from encompass.models.tflite import read_tensors
from encompass.models.weights import (
    load_checkpoint,
    load_initial,
    save_checkpoint,
    save_network,
)
from encompass.models.zoo import InstanceSpec, resizing

SPEC = InstanceSpec(
    multiplier=0.25, input_size=64, branches=resizing([(2, 2), (1, 1)]), crop_blocks=(11, 5, 3)
)


def test_a_network_survives_its_file_up_to_half_precision(tmp_path):
    network, copy = (SsdIsb(SPEC, num_classes=1).eval() for _ in range(2))
    path = tmp_path / "network.safetensors"
    save_network(path, network, {"name": "tiny"})
    load_initial(copy, path, names=("person",))
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(
                copy.state_dict()[name], tensor.half().float(), rtol=0, atol=0, msg=name
            )


def test_a_checkpoint_gives_back_tensors_and_record_exactly(tmp_path):
    path = tmp_path / "deep" / "state.safetensors"
    tensors = {"a": torch.randn(3, 4), "n": torch.tensor(7)}
    save_checkpoint(path, tensors, {"steps": 3})
    loaded, record = load_checkpoint(path)
    assert record == {"steps": 3}
    assert torch.equal(loaded["a"], tensors["a"])
    assert loaded["n"].item() == 7
    assert [p.name for p in path.parent.iterdir()] == ["state.safetensors"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "state.safetensors"
    save_checkpoint(path, {"a": torch.zeros(1)}, {})
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ValueError, match="No space left"):
        save_checkpoint(path, {"a": torch.ones(1)}, {})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["state.safetensors"]


def test_broken_checkpoints_are_refused_by_name(tmp_path):
    whole = tmp_path / "whole.safetensors"
    save_checkpoint(whole, {"a": torch.zeros(100)}, {})
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:-50])
    empty = tmp_path / "empty.safetensors"
    empty.touch()
    huge = tmp_path / "huge.safetensors"
    huge.write_bytes(struct.pack("<Q", 10**9) + b"{}")
    pickled = tmp_path / "pickled.safetensors"
    torch.save({"a": torch.zeros(1)}, pickled)
    for path in (cut, empty, huge, pickled, tmp_path / "missing.safetensors"):
        with pytest.raises(ModelError, match=path.name):
            load_checkpoint(path)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    network = SsdIsb(SPEC, num_classes=1)
    two = tmp_path / "two.safetensors"
    save_network(two, SsdIsb(SPEC, num_classes=2), {})
    with pytest.raises(ModelError, match="does not fit"):
        load_initial(network, two, names=("person",))
    part = tmp_path / "part.safetensors"
    save_checkpoint(part, dict(list(network.state_dict().items())[:3]), {})
    with pytest.raises(ModelError, match="does not fit"):
        load_initial(network, part, names=("person",))


def test_weights_that_are_not_finite_are_refused(tmp_path):
    network = SsdIsb(SPEC, num_classes=1)
    network.branches[0].score.bias.data.fill_(float("nan"))
    path = tmp_path / "nan.safetensors"
    save_network(path, network, {})
    with pytest.raises(ModelError, match=r"branches.0.score.bias has values"):
        load_initial(network, path, names=("person",))


def test_files_that_are_not_tflite_are_refused(tmp_path, initial_weights):
    foreign = tmp_path / "foreign.tflite"
    foreign.write_bytes(b"\x00" * 100)
    with pytest.raises(ModelError, match="not a TFLite file"):
        read_tensors(foreign)
    with pytest.raises(ModelError, match="cannot be read"):
        read_tensors(tmp_path / "missing.tflite")
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(initial_weights.read_bytes()[:100_000])
    with pytest.raises(ModelError, match="cut or damaged"):
        read_tensors(cut)


def test_initial_weights_of_another_width_are_refused(initial_weights):
    with pytest.raises(ModelError, match=r"FeatureExtractor|no tensor|not \("):
        load_release(SsdIsb(SPEC, num_classes=1).detector, initial_weights, names=("person",))


def test_the_anchors_of_the_initial_weights_are_ours(initial_weights):
    from encompass.models.anchors import build_anchors

    theirs = torch.from_numpy(read_tensors(initial_weights)["anchors"])  # cy, cx, h, w
    grids = [(19, 19), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)]
    # The file keeps them in 8 bits over about -0.5 to 1.6.
    torch.testing.assert_close(build_anchors(grids)[:, [1, 0, 3, 2]], theirs, rtol=0, atol=0.005)
