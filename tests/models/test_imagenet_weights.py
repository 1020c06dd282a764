"""ImageNet releases in our encoders, against what the releases themselves compute."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from encompass.errors import ModelError
from encompass.models import layers
from encompass.models.mobilenet import MobileNetV1
from encompass.models.releases import IMAGENET_DEVIATION, IMAGENET_MEAN, load_imagenet
from encompass.models.semantic import SemanticNetwork
from encompass.models.squeezenet import SqueezeNet
from encompass.models.tflite import read_tensors
from encompass.models.zoo import SEMANTIC_MODELS

BRITTANY_SPANIEL = 215  # of ImageNet's 1000 classes; MobileNet's have a background before them
SPANIELS = {156, *range(215, 222)}
PUPPY = "000000251572.jpg"  # of COCO: a brown and white spaniel in somebody's arms


@pytest.fixture
def puppy(shared_data):
    """The centre of the photo as the networks take it, (1, 3, size, size) in [-1, 1]."""

    def at(size):
        with Image.open(shared_data / "coco-person" / "images" / PUPPY) as photo:
            side = min(photo.size)
            x, y = (photo.width - side) // 2, (photo.height - side) // 2
            box = (x, y, x + side, y + side)
            pixels = np.array(photo.convert("RGB").resize((size, size), box=box))
        return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1

    return at


def squeezenet_scores(file, last):
    """Gluon's classifier on the last map: a 1x1 convolution, ReLU, the mean of all cells."""
    with np.load(file) as arrays:
        weight, bias = (
            torch.from_numpy(arrays[f"squeezenet0_conv25_{part}"]) for part in ("weight", "bias")
        )
    return F.relu(F.conv2d(last, weight, bias)).mean(dim=(2, 3))


def gluon_to_ours(normalised):
    """(rgb / 255 - mean) / deviation to rgb / 127.5 - 1."""
    mean, deviation = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    return (normalised * deviation + mean) * 2 - 1


def test_squeezenet_reproduces_the_reference_pair(imagenet_weights, monkeypatch):
    # The release pads no strided layer; the pair is one of network inputs, whatever their pixels.
    same = layers.same_padding
    monkeypatch.setattr(
        layers, "same_padding", lambda n, k, stride: (0, 0) if stride > 1 else same(n, k, stride)
    )
    file = imagenet_weights / "squeezenet1_1_imagenet.npz"
    trunk = SqueezeNet(outputs=(11,))
    load_imagenet(trunk, file)
    with np.load(imagenet_weights / "squeezenet1_1_reference_pair.npz") as pair:
        given, expected = (torch.from_numpy(pair[name]) for name in ("input_0", "output_0"))
    with torch.no_grad():
        found = squeezenet_scores(file, trunk(gluon_to_ours(given))[11])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)


def test_squeezenet_padded_as_ours_knows_a_spaniel(imagenet_weights, puppy):
    file = imagenet_weights / "squeezenet1_1_imagenet.npz"
    trunk = SqueezeNet(outputs=(11,))
    load_imagenet(trunk, file)
    with torch.no_grad():
        scores = squeezenet_scores(file, trunk(puppy(224))[11])
    assert int(scores.argmax()) in SPANIELS


@pytest.mark.parametrize(("multiplier", "size"), [(0.5, 160), (0.75, 192)])
def test_mobilenets_know_a_brittany_spaniel(imagenet_weights, puppy, multiplier, size):
    file = imagenet_weights / f"mobilenet_v1_{multiplier}_{size}_quant.tflite"
    trunk = MobileNetV1(multiplier=multiplier, outputs=(13,)).eval()
    load_imagenet(trunk, file)
    tensors = read_tensors(file)
    (weight,) = (v for n, v in tensors.items() if "Conv2d_1c_1x1" in n and v.ndim == 4)
    (bias,) = (v for n, v in tensors.items() if n.endswith("Conv2d_1c_1x1/biases"))
    with torch.no_grad():
        mean = trunk(puppy(size))[13].mean(dim=(2, 3))
    scores = mean @ torch.from_numpy(weight.reshape(1001, -1)).T + torch.from_numpy(bias)
    assert int(scores.argmax()) - 1 == BRITTANY_SPANIEL


def assert_filled(encoder, path):
    """No kernel is what it was at random."""
    before = {n: t.clone() for n, t in encoder.named_parameters() if t.ndim == 4}
    load_imagenet(encoder, path)
    kept = [n for n, t in encoder.named_parameters() if n in before and torch.equal(t, before[n])]
    assert before
    assert kept == []


def test_the_three_mobilenets_and_squeezenet_fill_encoders_of_rows(imagenet_weights):
    for row, file in (
        ("stride8-mobilenet0.5", "mobilenet_v1_0.5_160_quant.tflite"),
        ("fcn8-squeezenet", "squeezenet1_1_imagenet.npz"),
    ):
        network = SemanticNetwork(SEMANTIC_MODELS[row], num_classes=2)
        assert_filled(network.encoder, imagenet_weights / file)
    whole = MobileNetV1(multiplier=1.0, outputs=())
    name = "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite"
    assert_filled(whole, imagenet_weights / name)


def test_a_file_of_another_multiplier_is_refused(imagenet_weights):
    with pytest.raises(ModelError, match="multiplier"):
        load_imagenet(
            MobileNetV1(multiplier=0.75, outputs=()),
            imagenet_weights / "mobilenet_v1_0.5_160_quant.tflite",
        )


def test_a_file_without_the_layers_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", weight=np.zeros(3, np.float32))
    with pytest.raises(ModelError, match="squeezenet0_conv0_weight"):
        load_imagenet(SqueezeNet(outputs=()), tmp_path / "other.npz")


def test_a_squeezenet_of_another_version_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", squeezenet0_conv0_weight=np.zeros((64, 3, 3, 3), np.float32))
    with pytest.raises(ModelError, match="version"):
        load_imagenet(SqueezeNet(version="1.0", outputs=()), tmp_path / "other.npz")


def test_a_file_that_is_not_a_release_is_refused(tmp_path):
    path = tmp_path / "broken"
    path.write_bytes(b"nothing")
    for encoder in (SqueezeNet(outputs=()), MobileNetV1(multiplier=0.5, outputs=())):
        with pytest.raises(ModelError, match="broken"):
            load_imagenet(encoder, path)
