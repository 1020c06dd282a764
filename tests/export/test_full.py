"""The trained models of weights/ in every form, against the networks that they are made from."""

import dataclasses
from functools import cache
from pathlib import Path

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
STREETS = (360, 480)  # (height, width) of semantic models' pictures
FORMS = [
    ("onnx", "fp32"),
    ("onnx", "fp16"),
    ("litert", "fp32"),
    *(pytest.param("openvino", p, marks=pytest.mark.openvino) for p in ("fp32", "bf16")),
]
pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module", params=CHECKPOINTS)
def source(request):
    """A checkpoint; what it finds in a picture is remembered."""
    path = ROOT / "weights" / f"{request.param}.safetensors"
    least = TOLERANCES["fp32"].least
    source = open_source(path, batch=1, least=least, scores=None, licence=None)
    return dataclasses.replace(source, predict=cache(source.predict))


@pytest.fixture(scope="module")
def photos(source, tmp_path_factory):
    """Few people, many, and none; of the one size that all forms take."""
    height, width = STREETS if source.card.task == "semantic" else source.card.input_size
    folder, paths = tmp_path_factory.mktemp("photos"), []
    photographer, palace = (
        Image.open(ROOT / "examples" / f"{name}.jpg") for name in ("photographer", "palace")
    )
    for number, photo in enumerate((photographer, Image.fromarray(scene(20)), palace)):
        paths.append(folder / f"{number}.png")
        photo.resize((width, height), Image.Resampling.BILINEAR).save(paths[-1])
    return paths


@pytest.mark.parametrize(("form", "precision"), FORMS)
def test_a_trained_model_is_the_same_in_every_form(source, photos, form, precision, tmp_path):
    card = dataclasses.replace(source.card, precision=precision)
    semantic = card.task == "semantic"
    size = STREETS if semantic and form == "litert" else None
    path = tmp_path / f"model{SUFFIX[form]}"
    write(source, card, path, Form(format=form, precision=precision, size=size, batch=1))
    exported = load(path)
    assert exported.card == card
    if semantic:
        labels = compare_labels(source.predict, lambda photo: exported(photo).labels, photos)
        check_label_parity(labels, EQUAL_PIXELS[precision], path)
        return
    tolerance, least = TOLERANCES[precision], TOLERANCES["fp32"].least
    gap = compare(
        source.predict,
        lambda photo: exported(photo, score=least),
        photos,
        sure=tolerance.least + tolerance.score,
    )
    assert gap.objects > 20
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
