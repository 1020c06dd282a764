"""Every form that `encompass export` writes is the model it was made from."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import encompass
from encompass.cli.export import SUFFIX, command
from encompass.errors import ModelError, UsageError
from encompass.export.card import build_card
from encompass.export.onnx import build_onnx
from encompass.export.openvino import save_openvino, to_openvino
from encompass.models.weights import save_network
from encompass.models.zoo import resizing
from encompass.run.label_map import LabelMap

OPENVINO = pytest.mark.openvino
FORMATS = ["onnx", pytest.param("openvino", marks=OPENVINO), "litert"]
FORMS = [
    *(("onnx", precision) for precision in ("fp32", "fp16")),
    *(pytest.param("openvino", p, marks=OPENVINO) for p in ("fp32", "fp16", "bf16")),
    *(("litert", precision) for precision in ("fp32", "fp16")),
]


@pytest.fixture
def photos(drawn, tmp_path):
    """A folder of pictures, none larger than the networks' input."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, size in enumerate([(64, 64), (48, 60)]):
        Image.fromarray(drawn(*size)).save(folder / f"{number}.png")
    return folder


def export(source, out, *options):
    done = CliRunner().invoke(command, [str(a) for a in (source, "--out", out, *options)])
    if done.exception:
        raise done.exception
    return done.stdout


@pytest.mark.parametrize("task", ["instance", "semantic"])
@pytest.mark.parametrize(("form", "precision"), FORMS)
def test_a_form_opens_and_its_card_says_what_it_is(
    checkpoints, photos, tmp_path, task, form, precision
):
    if (task, precision) == ("semantic", "bf16"):
        pytest.skip("logits of random weights are too near each other for bfloat16")
    source, out = checkpoints / f"{task}.safetensors", tmp_path / f"tiny{SUFFIX[form]}"
    options = ["--format", form, "--precision", precision, "--pictures", photos]
    said = export(source, out, *options, *(["--size", "64x64"] if form == "litert" else []))
    assert "equal" in said
    model = encompass.load(out, threads=1)
    assert (model.card.name, model.card.task) == ("tiny", task)
    assert (model.card.precision, model.card.version) == (precision, encompass.__version__)
    if task == "instance":
        assert model.card.thresholds == {"score": 0.5, "nms_iou": 0.6}
    card = json.loads(Path(f"{out}.json").read_text())
    assert card["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert card["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    found = model(photos / "1.png")
    assert (found.height, found.width) == (48, 60)


@pytest.mark.parametrize("form", FORMATS)
def test_a_row_past_the_thesis_is_the_same_in_every_form(
    tiny_instance, records, photos, tmp_path, form
):
    network = tiny_instance(
        branches=resizing([(3, 4), (4, 3), (2, 1)]),
        routing="aspect",
        shared=True,
        box_channels=True,
        refine=True,
        mask_confidence=True,
    )
    row = dataclasses.asdict(network.spec)
    save_network(tmp_path / "past.safetensors", network, records["instance"] | {"row": row})
    out = tmp_path / f"past{SUFFIX[form]}"
    said = export(tmp_path / "past.safetensors", out, "--format", form, "--pictures", photos)
    assert "equal" in said
    assert len(encompass.load(out, threads=1)(photos / "0.png", score=0.3)) > 5


@pytest.mark.parametrize("form", FORMATS)
def test_half_precision_halves_every_form(checkpoints, photos, tmp_path, form):
    sizes = []
    for precision in ("fp32", "fp16"):
        out = tmp_path / f"{precision}{SUFFIX[form]}"
        options = ["--format", form, "--precision", precision, "--pictures", photos]
        export(checkpoints / "instance.safetensors", out, *options)
        sizes.append(json.loads(Path(f"{out}.json").read_text())["size_bytes"])
    assert sizes[1] < 0.75 * sizes[0]


@OPENVINO
def test_an_exported_file_goes_on_to_openvino(checkpoints, photos, tmp_path):
    export(checkpoints / "instance.safetensors", tmp_path / "a.onnx", "--pictures", photos)
    half = ["--precision", "fp16", "--pictures", photos]
    export(tmp_path / "a.onnx", tmp_path / "b.onnx", *half)
    export(tmp_path / "b.onnx", tmp_path / "c.xml", "--format", "openvino", "--pictures", photos)
    a, c = (encompass.load(tmp_path / name, threads=1) for name in ("a.onnx", "c.xml"))
    assert c.card == dataclasses.replace(a.card, commit=c.card.commit)
    first, second = (model(photos / "0.png", score=0.3) for model in (a, c))
    assert len(first) > 3
    np.testing.assert_allclose(first.scores, second.scores, atol=0.02)


def test_a_file_of_one_size_stretches_pictures_of_others(checkpoints, photos, tmp_path, drawn):
    out = tmp_path / "tiny.onnx"
    export(checkpoints / "semantic.safetensors", out, "--size", "32x64", "--pictures", photos)
    model, picture = encompass.load(out, threads=1), drawn(64, 64)
    found = model(picture)
    assert isinstance(found, LabelMap)
    squeezed = Image.fromarray(picture).resize((64, 32), Image.Resampling.BILINEAR)
    expected = model(np.asarray(squeezed)).labels
    np.testing.assert_array_equal(found.labels[::2], expected)
    np.testing.assert_array_equal(found.labels[1::2], expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "openvino"], r"must end in \.xml"),
        (["--precision", "bf16"], "onnx computes in float32 on CPUs; use openvino"),
        (["--size", "480"], "--size 480: write HEIGHTxWIDTH"),
    ],
)
def test_what_there_is_no_form_of_is_refused(checkpoints, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        export(checkpoints / "instance.safetensors", tmp_path / "a.onnx", *options)


def test_what_a_format_cannot_do_is_refused(checkpoints, photos, tmp_path):
    large = ["--format", "openvino", "--size", "65x64"]
    with pytest.raises(UsageError, match="65x64 is more than the network's input, 64x64"):
        export(checkpoints / "instance.safetensors", tmp_path / "a.xml", *large)
    export(checkpoints / "instance.safetensors", tmp_path / "a.onnx", "--pictures", photos)
    with pytest.raises(UsageError, match="LiteRT files are made from a checkpoint"):
        export(tmp_path / "a.onnx", tmp_path / "a.tflite", "--format", "litert")
    with pytest.raises(UsageError, match=r"--scores .* has its own"):
        export(tmp_path / "a.onnx", tmp_path / "b.onnx", "--scores", tmp_path / "a.onnx.json")
    with pytest.raises(ModelError, match="no such file"):
        export(tmp_path / "gone.onnx", tmp_path / "b.onnx")
    assert sorted(path.name for path in tmp_path.glob("[ab].*")) == ["a.onnx", "a.onnx.json"]


@pytest.mark.parametrize("form", FORMATS[:2])
def test_a_batch_gives_what_its_pictures_give_alone(checkpoints, photos, tmp_path, drawn, form):
    one, several = tmp_path / f"one{SUFFIX[form]}", tmp_path / f"three{SUFFIX[form]}"
    options = ["--format", form, "--pictures", photos]
    pictures = [np.roll(drawn(48, 60), 9 * n, axis=1) for n in range(5)]  # a batch and a part of it
    for task in ("instance", "semantic"):
        export(checkpoints / f"{task}.safetensors", one, *options)
        export(checkpoints / f"{task}.safetensors", several, *options, "--batch", 3)
        single, batched = (encompass.load(path, threads=1) for path in (one, several))
        assert (single.batch, batched.batch) == (1, 3)
        alone, together = ([*map(single, pictures)], batched.many(pictures))
        for a, b in zip(alone, together, strict=True):
            if task == "semantic":
                assert (a.labels == b.labels).mean() > 0.999
                continue
            assert len(a) == len(b) > 0
            np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-2)
            np.testing.assert_allclose(a.scores, b.scores, atol=1e-4)
            assert (a.full_masks() == b.full_masks()).mean() > 0.999


def test_the_limit_of_a_branch_is_of_each_picture(tiny_instance, records, tmp_path, drawn):
    network = tiny_instance(branches=resizing([(4, 3), (1, 1)], max_boxes=2))
    card = build_card(network, records["instance"], scores={}, commit="")
    pictures = [drawn(64, 64), np.roll(drawn(64, 64), 20, axis=0)]
    masks = []
    for batch in (1, 2):
        path = tmp_path / f"{batch}.onnx"
        path.write_bytes(build_onnx(network, card, batch=batch).SerializeToString())
        found = encompass.load(path, threads=1).many(pictures, score=0.3)
        masks.append([[mask.pixels.size > 0 for mask in result.masks] for result in found])
    assert masks[0] == masks[1]
    assert all(2 <= sum(one) <= 4 < len(one) for one in masks[0])


def test_pictures_of_a_batch_have_one_size(checkpoints, photos, tmp_path, drawn):
    out = tmp_path / "two.onnx"
    export(checkpoints / "semantic.safetensors", out, "--batch", 2, "--pictures", photos)
    model = encompass.load(out, threads=1)
    with pytest.raises(UsageError, match="must have one size, and these have"):
        model.many([drawn(48, 60), drawn(60, 48)])
    with pytest.raises(UsageError, match=r"--batch 2: .* has its own"):
        export(out, tmp_path / "b.onnx", "--batch", 2)


@OPENVINO
def test_openvino_finds_nothing_as_the_others_do(tiny_instance, records, tmp_path, drawn):
    network = tiny_instance(mask_confidence=True)
    card = build_card(network, records["instance"], scores={}, commit="")
    path = tmp_path / "tiny.xml"
    save_openvino(to_openvino(build_onnx(network, card)), path, half=False)
    model = encompass.load(path, threads=1)
    counts = [len(model(drawn(64, 64), score=score)) for score in np.linspace(0, 1, 30)]
    assert counts[0] > 10
    assert counts[-1] == 0
    assert counts == sorted(counts, reverse=True)


@OPENVINO
def test_openvino_does_not_resize_by_its_own_operator(checkpoints, photos, tmp_path):
    openvino = pytest.importorskip("openvino")
    out = tmp_path / "tiny.xml"
    export(checkpoints / "instance.safetensors", out, "--format", "openvino", "--pictures", photos)
    kinds = {op.get_type_name() for op in openvino.Core().read_model(out).get_ops()}
    assert "Gather" in kinds
    assert "Interpolate" not in kinds
