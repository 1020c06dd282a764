"""A semantic checkpoint as the scorer gets it."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from encompass.errors import ModelError
from encompass.evaluate.network import load_network
from encompass.evaluate.semantic import label_predictor, load_semantic
from encompass.models.instance import SsdIsb
from encompass.models.semantic import SemanticNetwork, upsample
from encompass.models.weights import load_initial, load_initial_semantic, save_network
from encompass.models.zoo import MODELS, SemanticSpec

SPEC = SemanticSpec(encoder="mobilenet", multiplier=0.25, maps=(13, 11), output_stride=32)
RECORD = {
    "name": "tiny",
    "row": dataclasses.asdict(SPEC),
    "task": "semantic",
    "names": ["road", "sky", "tree"],
    "colours": [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
    "stage": "all",
}


def build(spec=SPEC, *, num_classes=3, seed=0):
    torch.manual_seed(seed)
    return SemanticNetwork(spec, num_classes=num_classes).eval()


def differing(one, other):
    other = other.state_dict()
    return {name for name, t in one.state_dict().items() if not torch.equal(t, other[name])}


@pytest.fixture
def half():
    """A network whose weights are in half precision already, as checkpoints have them."""
    return build().half().float()


@pytest.fixture
def checkpoint(half, tmp_path):
    save_network(tmp_path / "tiny.safetensors", half, RECORD)
    return tmp_path / "tiny.safetensors"


def test_a_checkpoint_comes_back_as_its_network_and_classes(half, checkpoint):
    network, table, record = load_semantic(checkpoint)
    assert not network.training
    assert (network.spec, differing(network, half)) == (SPEC, set())
    assert table.names == ("road", "sky", "tree")
    assert table.colours == ((1, 2, 3), (4, 5, 6), (7, 8, 9))
    assert record == json.loads(json.dumps(RECORD))


@pytest.mark.parametrize("size", [(40, 60), (33, 97)])
def test_labels_have_the_pictures_size_and_are_the_highest_logits(half, tmp_path, size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    labels = label_predictor(half)(tmp_path / "a.png")
    assert (labels.shape, labels.dtype) == (size, np.uint8)
    with torch.no_grad():
        logits = half(torch.from_numpy(pixels).permute(2, 0, 1)[None].float())
    full = upsample(logits, stride=16, size=size)[0].numpy()
    np.testing.assert_array_equal(labels, full.argmax(axis=0))


def test_a_checkpoint_is_the_start_of_a_row_with_the_same_layers(half, checkpoint):
    network = build(dataclasses.replace(SPEC, last_rate=3), seed=1)
    record = load_initial_semantic(network, checkpoint, names=("road", "sky", "tree"))
    assert differing(network, half) == set()
    assert record["name"] == "tiny"


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        (SPEC, ("road", "sky")),
        (dataclasses.replace(SPEC, maps=(13,)), ("road", "sky", "tree")),
    ],
    ids=["other classes", "other layers"],
)
def test_of_another_checkpoint_the_encoder_is_the_start(half, checkpoint, spec, names):
    network, own = (build(spec, num_classes=len(names), seed=1) for _ in range(2))
    load_initial_semantic(network, checkpoint, names=names)
    assert differing(network.encoder, half.encoder) == set()
    assert torch.equal(network.decoder.score.weight, own.decoder.score.weight)


def test_a_checkpoint_that_does_not_fit_is_refused(checkpoint):
    other = build(dataclasses.replace(SPEC, multiplier=0.5))
    with pytest.raises(ModelError, match="does not fit this network"):
        load_initial_semantic(other, checkpoint, names=("road", "sky", "tree"))


@pytest.mark.parametrize(
    "change",
    [{"names": None}, {"colours": [[1, 2, 3]]}, {"colours": [[1, 2]] * 3}, {"row": 7}],
)
def test_a_broken_record_is_refused_by_name(half, tmp_path, change):
    save_network(tmp_path / "tiny.safetensors", half, RECORD | change)
    with pytest.raises(ModelError, match=r"tiny\.safetensors: its record is broken"):
        load_semantic(tmp_path / "tiny.safetensors")


def test_the_two_tasks_are_not_taken_for_each_other(checkpoint, tmp_path):
    detector = SsdIsb(MODELS["multi-shape-mn0.75-320"], num_classes=1)
    path = tmp_path / "instance.safetensors"
    save_network(path, detector, {"name": "multi-shape-mn0.75-320", "stage": "all"})
    with pytest.raises(ModelError, match="is not a semantic network"):
        load_semantic(path)
    with pytest.raises(ModelError, match="is not of a semantic network"):
        load_initial_semantic(build(), path, names=("road",))
    with pytest.raises(ModelError, match="is a semantic network"):
        load_network(checkpoint)
    with pytest.raises(ModelError, match="is of a semantic network"):
        load_initial(detector, checkpoint, names=("road", "sky", "tree"))


def test_an_encoder_starts_from_an_imagenet_release(imagenet_weights):
    network = build(dataclasses.replace(SPEC, multiplier=0.5))
    path = imagenet_weights / "mobilenet_v1_0.5_160_quant.tflite"
    assert load_initial_semantic(network, path, names=("road", "sky", "tree")) == {}
    assert (network.encoder.stem[1].weight == 1).all()
