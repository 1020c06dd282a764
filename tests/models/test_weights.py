import dataclasses
import struct

import numpy as np
import pytest
import torch

from encompass.errors import ModelError
from encompass.models.instance import SsdIsb, class_scores
from encompass.models.releases import load_release
from encompass.models.ssd import SsdMobileNet
from encompass.models.tflite import read_tensors
from encompass.models.weights import (
    load_checkpoint,
    load_initial,
    save_branches,
    save_checkpoint,
    save_detector,
    save_network,
)
from encompass.models.zoo import MODELS, InstanceSpec, resizing

SPEC = InstanceSpec(
    multiplier=0.25, input_size=64, branches=resizing([(2, 2), (1, 1)]), crop_blocks=(11, 5, 3)
)

# Another row, though its weights have the same names and sizes.
OTHER = dataclasses.replace(SPEC, branches=resizing([(3, 3), (1, 1)]))


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


def test_a_class_that_coco_has_not_begins_with_a_low_score(initial_weights):
    network = SsdIsb(MODELS["multi-shape-mn0.75-320"], num_classes=2).eval()
    load_release(network.detector, initial_weights, names=("forklift", "person"))
    with torch.no_grad():
        logits = network(torch.rand(1, 3, 320, 320) * 255).logits[0]
    torch.testing.assert_close(logits[:, 1].sigmoid(), torch.full((len(logits),), 0.01 / 1.01))
    assert logits[:, 2].std() > 0.5


@pytest.mark.parametrize("score", ["sigmoid", "softmax"])
def test_a_fine_map_begins_with_low_scores(score):
    spec = dataclasses.replace(SPEC, anchors="pixels", fine_map=True, score=score)
    network = SsdIsb(spec, num_classes=1)
    predictor = network.detector.fine.predictor
    torch.nn.init.zeros_(predictor.scores.weight)
    _, logits = predictor(torch.rand(1, 96, 4, 4))
    scores = class_scores(logits, spec)
    torch.testing.assert_close(scores, torch.full_like(scores, 0.01 / 1.01))


def test_a_file_of_other_widths_is_refused_in_a_line(tmp_path):
    path = tmp_path / "wide.safetensors"
    save_network(path, SsdIsb(dataclasses.replace(SPEC, multiplier=0.5), num_classes=1), {})
    with pytest.raises(
        ModelError, match=r"depthwise.weight is 256x1x3x3, not 128x1x3x3\); its"
    ) as told:
        load_initial(SsdIsb(SPEC, num_classes=1), path, names=("person",))
    assert len(str(told.value)) < 300 + len(str(path))


def test_the_anchors_of_the_initial_weights_are_ours(initial_weights):
    from encompass.models.anchors import build_anchors

    theirs = torch.from_numpy(read_tensors(initial_weights)["anchors"])  # cy, cx, h, w
    grids = [(19, 19), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)]
    # The file keeps them in 8 bits over about -0.5 to 1.6.
    torch.testing.assert_close(build_anchors(grids)[:, [1, 0, 3, 2]], theirs, rtol=0, atol=0.005)


def test_branches_name_their_detector_and_are_whole_beside_it(tmp_path):
    network, copy = (SsdIsb(SPEC, num_classes=1).eval() for _ in range(2))
    detector, branches = tmp_path / "detector.safetensors", tmp_path / "row.safetensors"
    save_detector(detector, network, {"stage": "detector"})
    save_branches(branches, network, {"stage": "branches"}, detector=detector)
    tensors, _ = load_checkpoint(branches)
    assert {name.split(".")[0] for name in tensors} == {"branches"}
    load_initial(copy, branches, names=("person",))
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            assert torch.equal(copy.state_dict()[name], tensor.half().float()), name


def test_branches_beside_another_detector_are_refused(tmp_path):
    network = SsdIsb(SPEC, num_classes=1)
    detector, branches = tmp_path / "detector.safetensors", tmp_path / "row.safetensors"
    save_detector(detector, network, {})
    save_branches(branches, network, {}, detector=detector)
    save_detector(detector, SsdIsb(SPEC, num_classes=1), {})
    with pytest.raises(ModelError, match="is not the detector on which row"):
        load_initial(network, branches, names=("person",))
    detector.unlink()
    with pytest.raises(ModelError, match=r"detector\.safetensors: no such file"):
        load_initial(network, branches, names=("person",))


def test_of_another_rows_checkpoint_the_detector_is_taken(tmp_path):
    one, other = SsdIsb(SPEC, num_classes=1), SsdIsb(OTHER, num_classes=1)
    before = {n: t.clone() for n, t in other.branches.state_dict().items()}
    path = tmp_path / "one.safetensors"
    save_network(path, one, {"stage": "all", "row": dataclasses.asdict(SPEC)})
    load_initial(other, path, names=("person",))
    assert all(torch.equal(t, before[n]) for n, t in other.branches.state_dict().items())
    stem = one.detector.trunk.stem[0].weight
    assert torch.equal(other.detector.trunk.stem[0].weight, stem.half().float())


def test_a_detector_without_the_fine_map_leaves_it_as_it_is(tmp_path):
    pixels = dataclasses.replace(SPEC, anchors="pixels")
    six = SsdIsb(pixels, num_classes=1)
    seven = SsdIsb(dataclasses.replace(pixels, fine_map=True), num_classes=1)
    before = {n: t.clone() for n, t in seven.detector.fine.state_dict().items()}
    path = tmp_path / "six.safetensors"
    save_detector(path, six, {"stage": "detector", "row": dataclasses.asdict(pixels)})
    load_initial(seven, path, names=("person",))
    assert all(torch.equal(t, before[n]) for n, t in seven.detector.fine.state_dict().items())
    stem = six.detector.trunk.stem[0].weight
    assert torch.equal(seven.detector.trunk.stem[0].weight, stem.half().float())


def test_the_release_of_depth_1_fills_every_layer_but_one(initial_weights):
    """The same numbers by another way: block 1's kernels as the file's arrays have them."""
    path = initial_weights.with_name("ssd_mobilenet_v1_1.0_coco_fp16.npz")
    if not path.is_file():
        pytest.skip(f"{path.name} (shared/weights beside the checkout) is not here")
    detector = SsdMobileNet(multiplier=1.0, num_classes=1)
    load_release(detector, path, names=("person",))
    arrays = np.load(path)
    root = "FeatureExtractor_MobilenetV1_MobilenetV1_Conv2d_1_pointwise_BatchNorm_batchnorm_"
    kernel = arrays[root + "mul_1"].astype(np.float32)[:, 0, 0]
    assert np.array_equal(detector.trunk.blocks[0][1][0].weight[:, :, 0, 0].detach(), kernel)
    scores = arrays["BoxPredictor_1_ClassPredictor_Conv2D"].astype(np.float32)[:, 0, 0]
    ours = detector.predictors[1].scores.weight[:, :, 0, 0].detach()
    assert np.array_equal(ours, scores.reshape(6, 91, -1)[:, :2].reshape(12, -1))
    again = SsdMobileNet(multiplier=1.0, num_classes=1)
    load_release(again, path, names=("person",))
    theirs = again.state_dict()
    random = {n for n, t in detector.state_dict().items() if not torch.equal(t, theirs[n])}
    assert random == {"extras.0.1.0.weight"}


def test_an_npz_that_is_none_or_stands_alone_is_refused(tmp_path):
    detector = SsdMobileNet(multiplier=1.0, num_classes=1)
    broken, alone = tmp_path / "broken.npz", tmp_path / "alone.npz"
    broken.write_bytes(b"PK not a zip")
    np.savez(alone, a=np.zeros(1))
    with pytest.raises(ModelError, match=r"broken\.npz: is not an \.npz"):
        load_release(detector, broken, names=("person",))
    with pytest.raises(ModelError, match=r"embedding_extractor\.tflite: no such file"):
        load_release(detector, alone, names=("person",))
