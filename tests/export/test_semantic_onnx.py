import dataclasses
import re
import runpy
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import encompass.cli._export as steps
import encompass.cli.export as export
from encompass.errors import ParityError
from encompass.evaluate.semantic import label_predictor
from encompass.export.card import build_card
from encompass.export.rewrite import half_weights
from encompass.export.semantic_onnx import build_semantic_onnx
from encompass.export.semantic_parity import (
    EQUAL_PIXELS,
    LabelGap,
    check_label_parity,
    compare_labels,
)
from encompass.models.zoo import SEMANTIC_MODELS
from encompass.run.label_map import LabelMap
from encompass.run.predictor import SemanticModel, load
from encompass.schema import ANY_SIZE

NAMES = ("road", "sky", "person", "car")
RECORD = {
    "name": "tiny",
    "task": "semantic",
    "names": list(NAMES),
    "colours": [[0, 0, 0], [70, 130, 180], [220, 20, 60], [0, 0, 142]],
    "data": ["drawn"],
    "recipe": {"seed": 0},
}
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SIZES = ((64, 96), (45, 77), (129, 100), (1, 1), (1, 500))
SHALLOW = dataclasses.replace(
    SEMANTIC_MODELS["mobilenet0.5"], encoder="mobilenet-shallow", maps=(8, 6)
)
OLDER = dataclasses.replace(SEMANTIC_MODELS["stride4-squeezenet"], encoder="squeezenet1.0")
SPECS = SEMANTIC_MODELS | {"shallow": SHALLOW, "squeezenet1.0": OLDER}


def save(network, path, *, half=False):
    card = build_card(network, RECORD, scores={}, commit="")
    graph = build_semantic_onnx(network, card)
    path.write_bytes((half_weights(graph) if half else graph).SerializeToString())
    return path


@pytest.fixture
def pictures(tmp_path, drawn):
    paths = [tmp_path / f"{height}x{width}.png" for height, width in SIZES]
    for path, size in zip(paths, SIZES, strict=True):
        Image.fromarray(drawn(*size)).save(path)
    return paths


@pytest.mark.parametrize("name", SPECS)
def test_every_kind_of_row_is_exported_as_it_computes(tmp_path, pictures, name, tiny_semantic):
    network = tiny_semantic(SPECS[name])
    exported = load(save(network, tmp_path / "tiny.onnx"), threads=1)
    assert isinstance(exported, SemanticModel)
    gap = compare_labels(label_predictor(network), lambda path: exported(path).labels, pictures)
    assert gap.classes >= 2
    assert gap.equal_pixels >= 0.9999


@pytest.mark.parametrize("name", ["fcn8-mobilenet0.5", "stride8-squeezenet", "refine-mobilenet0.5"])
@pytest.mark.parametrize("size", SIZES)
def test_logits_are_the_networks_for_pictures_of_any_size(
    tmp_path, name, size, tiny_semantic, drawn
):
    network = tiny_semantic(SPECS[name])
    exported = load(save(network, tmp_path / "tiny.onnx"), threads=1)
    picture = drawn(*size)
    logits, stride = exported._engine.run(["logits", "stride"], {"picture": picture})
    with torch.no_grad():
        expected = network(torch.from_numpy(picture).permute(2, 0, 1)[None].float())[0].numpy()
    assert stride == network.stride
    assert logits.shape == expected.shape
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=3e-4 * expected.std() + 1e-5)


def test_the_card_travels_in_the_file(tmp_path, tiny_semantic):
    card = load(save(tiny_semantic(SPECS["squeezenet"]), tmp_path / "tiny.onnx"), threads=1).card
    assert (card.task, card.input_size, card.names) == ("semantic", ANY_SIZE, NAMES)
    assert card.colours[1] == (70, 130, 180)
    assert card.category_ids == ()


def test_half_precision_storage_halves_the_file_and_stays_in_tolerance(
    tmp_path, pictures, tiny_semantic
):
    network = tiny_semantic(SPECS["fcn16-mobilenet0.5"])
    full = save(network, tmp_path / "full.onnx")
    half = save(network, tmp_path / "half.onnx", half=True)
    assert half.stat().st_size < 0.65 * full.stat().st_size
    exported = load(half, threads=1)
    gap = compare_labels(label_predictor(network), lambda path: exported(path).labels, pictures)
    assert 0.97 <= gap.equal_pixels < 1  # noise, where classes are nearly equal all over


def test_each_figure_out_of_tolerance_is_named():
    good = LabelGap(pictures=2, classes=3, equal_pixels=1.0)
    check_label_parity(good, EQUAL_PIXELS["fp32"], "model.onnx")
    for change, message in (
        ({"classes": 1}, r"model\.onnx: its network tells no two classes apart in 2 pictures"),
        ({"equal_pixels": 0.998}, "99.800% of labels agree, less than 99.9%"),
    ):
        with pytest.raises(ParityError, match=message):
            check_label_parity(
                dataclasses.replace(good, **change), EQUAL_PIXELS["fp32"], "model.onnx"
            )


def test_a_wrong_file_is_noticed(tmp_path, pictures, tiny_semantic):
    network, other = tiny_semantic(SPECS["squeezenet"]), tiny_semantic(SPECS["squeezenet"])
    score = other.decoder.score
    score.bias.data[0] += score.weight.abs().sum()
    exported = load(save(other, tmp_path / "tiny.onnx"), threads=1)
    gap = compare_labels(label_predictor(network), lambda path: exported(path).labels, pictures)
    with pytest.raises(ParityError, match="of labels agree"):
        check_label_parity(gap, EQUAL_PIXELS["fp32"], tmp_path / "tiny.onnx")


@pytest.fixture
def run(monkeypatch, tmp_path):
    """`encompass export` of a checkpoint that holds the given network."""
    (tmp_path / "tiny.safetensors").write_bytes(b"tensors")

    def run(network, *arguments):
        monkeypatch.setattr(steps, "open_checkpoint", lambda path: (network, RECORD))
        given = [tmp_path / "tiny.safetensors", "--out", tmp_path / "tiny.onnx", *arguments]
        return CliRunner().invoke(export.command, [str(a) for a in given])

    return run


def test_the_verb_writes_file_and_card_after_a_comparison(run, tmp_path, tiny_semantic, drawn):
    done = run(tiny_semantic(SPECS["fcn16-mobilenet0.5"]))
    assert done.exception is None
    assert re.search(r"4 classes in 4 pictures, \d+\.\d+% of labels equal", done.stdout)
    assert (tmp_path / "tiny.onnx.json").is_file()
    found = load(tmp_path / "tiny.onnx", threads=1)(drawn(33, 47))
    assert isinstance(found, LabelMap)
    assert sum(found.areas.values()) == 33 * 47


def test_the_verb_keeps_nothing_when_nothing_could_be_compared(run, tmp_path, tiny_semantic):
    network = tiny_semantic(SPECS["squeezenet"])
    network.decoder.score.weight.data.zero_()
    done = run(network)
    assert isinstance(done.exception, ParityError)
    assert not (tmp_path / "tiny.onnx").exists()


@pytest.mark.parametrize("name", ["fcn16-mobilenet0.5", "refine-mobilenet0.5"])
@pytest.mark.parametrize("size", [(64, 96), (45, 77)])
@pytest.mark.parametrize("labels", [True, False])
def test_the_benchmarks_full_size_forms_label_as_the_file_does(
    tmp_path, name, size, labels, tiny_semantic, drawn
):
    script = runpy.run_path(str(BENCHMARKS / "against_full_size.py"))
    path = save(tiny_semantic(SPECS[name]), tmp_path / "tiny.onnx")
    more, full = tmp_path / "more.onnx", tmp_path / "full.onnx"
    onnx.save(script["with_classes"](path, 7), more)
    onnx.save(script["with_full_size"](more, labels=labels), full)
    picture = drawn(*size)
    found = script["open_full_size"](full, threads=1)(picture)
    assert found.shape == size
    assert len(np.unique(found)) > 1
    model = load(more, threads=1)
    assert len(model.names) == 7
    assert (found == model(picture).labels).mean() >= 0.999
    mirrored, own = found >= 4, load(path, threads=1)(picture).labels
    assert 0.05 < mirrored.mean() < 0.95  # they compete
    assert (found == own)[~mirrored].mean() >= 0.999
