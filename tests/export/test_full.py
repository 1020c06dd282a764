"""The trained models of weights/ in every form, against the networks that they are made from."""

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encompass.cli._export import Form, open_source, write
from encompass.cli.export import SUFFIX
from encompass.export.parity import TOLERANCES, check_parity, compare
from encompass.export.semantic_parity import EQUAL_PIXELS, check_label_parity, compare_labels
from encompass.run.benchmark import scene
from encompass.run.catalogue import entries
from encompass.run.predictor import load
from encompass.run.source import EXAMPLE

ROOT = Path(__file__).parents[2]
CHECKPOINTS = sorted(path.stem for path in (ROOT / "weights").glob("*.safetensors"))
CHECKPOINTS.remove("ssd-mobilenet-v1-1.0-640")  # a detector alone, on which several rest
# All that are bundled, the thesis's main row and its other encoder.
KINDS = {*entries(), "multi-shape", "fcn8-squeezenet"}
STREETS = (360, 480)  # (height, width) of semantic models' pictures
CASES = [
    *((name, "onnx", "fp32") for name in CHECKPOINTS),
    *((name, "onnx", "fp16") for name in sorted(KINDS)),
    *((name, "litert", "fp32") for name in sorted(KINDS)),
    # Not bfloat16: how far it is off depends on what the processor makes of it.
    *(pytest.param(name, "openvino", "fp32", marks=pytest.mark.openvino) for name in sorted(KINDS)),
]
pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def source(request):
    """A checkpoint; what it finds in a picture is remembered."""
    path = ROOT / "weights" / f"{request.param}.safetensors"
    least = min(tolerance.least for tolerance in TOLERANCES.values())
    source = open_source(path, batch=1, least=least, scores=None, licence=None)
    return dataclasses.replace(source, predict=cache(source.predict))


@pytest.fixture(scope="module")
def photos(source, tmp_path_factory):
    """Some people, and none; of the one size that all forms take."""
    height, width = STREETS if source.card.task == "semantic" else source.card.input_size
    folder, paths = tmp_path_factory.mktemp("photos"), []
    noise = np.random.default_rng(0).normal(scale=4, size=scene(5).shape)
    # The noise tells the five from each other: the order of equal scores is nobody's.
    people = (scene(5) + noise).clip(0, 255).astype(np.uint8)
    examples = [
        Image.open(ROOT / "examples" / f"{name}.jpg") for name in ("photographer", "palace")
    ]
    for number, photo in enumerate((Image.fromarray(people), *examples)):
        paths.append(folder / f"{number}.png")
        photo.resize((width, height), Image.Resampling.BILINEAR).save(paths[-1])
    return paths


@pytest.mark.parametrize(("source", "form", "precision"), CASES, indirect=["source"])
def test_a_trained_model_is_the_same_in_every_form(source, photos, form, precision, tmp_path):
    card = dataclasses.replace(source.card, precision=precision)
    semantic = card.task == "semantic"
    size = STREETS if semantic and form == "litert" else None
    path = tmp_path / f"model{SUFFIX[form]}"
    write(source, card, path, Form(format=form, precision=precision, size=size, batch=1))
    exported = load(path, threads=1)
    assert exported.card == card
    if semantic:
        labels = compare_labels(source.predict, lambda photo: exported(photo).labels, photos)
        check_label_parity(labels, EQUAL_PIXELS[precision], path)
        return
    tolerance = TOLERANCES[precision]
    least = tolerance.least

    def reference(photo):
        found = source.predict(photo)
        return found[found.scores > least]

    gap = compare(
        reference, lambda photo: exported(photo, least), photos, sure=least + tolerance.score
    )
    assert gap.objects >= 5
    check_parity(gap, tolerance, path)


@pytest.mark.openvino
@pytest.mark.parametrize("name", [n for n, e in entries().items() if e.card.task == "instance"])
def test_a_bundled_file_goes_on_to_openvino_where_nothing_may_be_left(name, tmp_path):
    source = open_source(Path(name), batch=1, least=0.5, scores=None, licence=None)
    card = dataclasses.replace(source.card, precision="fp32")
    form = Form(format="openvino", precision="fp32", size=None, batch=1)
    write(source, card, tmp_path / "model.xml", form)
    model = load(tmp_path / "model.xml")
    counts = [len(model(EXAMPLE, score=score)) for score in (0.05, 0.5, 0.7, 0.9, 0.99, 1.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 0 == counts[-1]
