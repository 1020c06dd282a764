"""Exports of tiny networks that are scored on what they find in drawn pictures: all int8 ones, and
others with --data.
"""

import dataclasses
import hashlib
import json
import re
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import numpy_helper
from PIL import Image

import encompass
import encompass.cli._export as export_steps
import encompass.cli._int8 as int8
import encompass.cli._int8_data as int8_data
import encompass.export.int8 as groups
import encompass.run.comparison as comparison
from encompass.cli._int8_data import (
    check_found,
    disagreement,
    found,
    kept,
    may_keep,
    score_blocks,
)
from encompass.cli.export import command
from encompass.data.drawn import draw_people
from encompass.data.sources import load_dataset, load_labels
from encompass.errors import EncompassError, ParityError, UsageError
from encompass.export.rewrite import nodes_in
from encompass.geometry.boxes import iou
from encompass.run.engine import model_files

FORMATS = [("onnx", ".onnx"), pytest.param("openvino", ".xml", marks=pytest.mark.openvino)]
PICTURES = 9


def export(source, out, *options):
    done = CliRunner().invoke(command, [str(a) for a in (source, "--out", out, *options)])
    if done.exception:
        raise done.exception
    return done.stdout


@pytest.fixture(scope="module")
def folder(checkpoints, records, drawn, tmp_path_factory):
    """Checkpoints and fp32 files of both tasks, and data whose truth is what those find."""
    folder = tmp_path_factory.mktemp("int8")
    for checkpoint in checkpoints.iterdir():
        shutil.copy(checkpoint, folder)
    people = draw_people(folder / "people", num_images=PICTURES, seed=0, size=(64, 64))
    photos = folder / "people" / "images"
    for name in ("instance", "semantic"):
        given = photos / "000001.jpg"
        export(folder / f"{name}.safetensors", folder / f"{name}.onnx", "--pictures", given)
    model = encompass.load(folder / "instance.onnx", threads=1)
    objects = [
        record
        for s in people.samples
        for record in model(s.path, score=0.4).to_coco(image_id=s.image_id)
    ]
    content = json.loads((folder / "people" / "annotations.json").read_text())
    content["annotations"] = [
        record | {"id": number, "area": record["bbox"][2] * record["bbox"][3], "iscrowd": 0}
        for number, record in enumerate(objects, start=1)
    ]
    (folder / "people" / "found.json").write_text(json.dumps(content))
    model = encompass.load(folder / "semantic.onnx", threads=1)
    for part in ("images", "masks"):
        (folder / "streets" / "train" / part).mkdir(parents=True)
    (folder / "streets" / "classes.txt").write_text("\n".join(records["semantic"]["names"]))
    for number in range(PICTURES):
        picture = drawn(64, 96, seed=number)
        Image.fromarray(picture).save(folder / "streets" / "train" / "images" / f"{number}.png")
        labels = Image.fromarray(model(picture).labels)
        labels.save(folder / "streets" / "train" / "masks" / f"{number}.png")
    return folder


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """The first trial will do, and neither time nor memory is looked at."""
    monkeypatch.setattr(int8, "AIM", 0.0)
    monkeypatch.setattr(int8, "RUNS", 2)
    monkeypatch.setattr(comparison, "peak_mb", lambda *_, **__: None)


def options(folder, task, form="onnx"):
    data = {"instance": ["people/found.json"], "semantic": ["streets", "--split", "train"]}
    path, *more = data[task]
    given = ["--precision", "int8", "--format", form, "--calibration", folder / path]
    return [*given, *more]


@pytest.mark.parametrize(("form", "suffix"), FORMATS)
def test_an_instance_model_in_int8_finds_nearly_the_same(folder, tmp_path, form, suffix):
    out = tmp_path / f"tiny{suffix}"
    said = export(
        folder / "instance.safetensors", out, *options(folder, "instance", form), "--force"
    )
    assert "mask AP, box AP of 3 pictures of people/found.json" in " ".join(said.split())
    assert all(re.search(rf"tiny{suffix}\s.* {precision} ", said) for precision in ("fp32", "int8"))
    told = re.search(r"int8 in (\d+) of (\d+) convolutions keeps \d+\.\d% of fp32's", said)
    assert told
    rounded, every = map(int, told.groups())
    model, whole = (encompass.load(path, threads=1) for path in (out, folder / "instance.onnx"))
    assert model.card.precision == "int8"
    calibration = dict(model.card.calibration)
    in_float = calibration.pop("float_layers")  # what reads a crop
    assert len(in_float) == every - rounded > 0
    assert calibration == {"data": "people/found.json", "pictures": 3}
    facts = json.loads(Path(f"{out}.json").read_text())
    assert facts["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert model_files(out)[-1].stat().st_size < (folder / "instance.onnx").stat().st_size
    photo = folder / "people" / "images" / "000001.jpg"
    given, wanted = (each(photo, score=0.4) for each in (model, whole))
    best = iou(given.boxes, wanted.boxes).max(axis=0)
    assert len(wanted) > 3
    assert (best > 0.7).mean() > 0.7


@pytest.mark.parametrize(("form", "suffix"), FORMATS)
def test_a_semantic_model_in_int8_labels_nearly_the_same(folder, tmp_path, form, suffix):
    out = tmp_path / f"tiny{suffix}"
    said = export(
        folder / "semantic.safetensors", out, *options(folder, "semantic", form), "--force"
    )
    assert re.search(r"mIoU of 3 pictures of .*/streets train", " ".join(said.split()))
    model, whole = (encompass.load(path, threads=1) for path in (out, folder / "semantic.onnx"))
    assert model.card.calibration["data"].endswith("/streets train")
    photo = folder / "streets" / "train" / "images" / "1.png"
    assert (model(photo).labels == whole(photo).labels).mean() > 0.9


def test_a_file_that_lost_too_much_is_refused_and_nothing_is_left(folder, tmp_path):
    out = tmp_path / "tiny.onnx"
    given = options(folder, "instance")
    with pytest.raises(
        ParityError, match=r"int8 keeps \d+\.\d% of fp32's accuracy, less than 96%"
    ) as e:
        export(folder / "instance.safetensors", out, *given)
    assert re.search(
        r"mask AP \d+\.\d, was \d+\.\d, box AP .* on 3 pictures of people", str(e.value)
    )
    assert "take it as it is with --force" in str(e.value)
    assert e.value.exit_code == 1
    assert not list(tmp_path.iterdir())


def test_accuracy_decides_what_stays_in_float(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(int8, "AIM", 0.9)
    monkeypatch.setattr(groups, "GROUPS", 4)
    out = tmp_path / "tiny.onnx"
    export(folder / "instance.safetensors", out, *options(folder, "instance"), "--force")
    card = encompass.load(out, threads=1).card
    before = nodes_in(onnx.load(folder / "instance.onnx").graph)
    every = [node for node in before if node.op_type == "Conv"]
    assert 0 < len(card.calibration["float_layers"]) < len(every)
    kept = [node for node in nodes_in(onnx.load(out).graph) if node.op_type == "Conv"]
    in_float = {node.output[0] for node in kept if not node.output[0].endswith(".float")}
    assert in_float == set(card.calibration["float_layers"])


def test_scores_that_leave_the_threshold_are_told(tmp_path):
    check_found(100, 90, tmp_path / "a.onnx")
    check_found(100, 110, tmp_path / "a.onnx")
    for after in (89, 111):
        with pytest.raises(ParityError, match=f"finds {after} objects where fp32 finds 100"):
            check_found(100, after, tmp_path / "a.onnx")


def test_no_loss_can_be_told_where_fp32_finds_next_to_nothing():
    assert kept({"box AP": 1.0}, {"box AP": 0.9}) == pytest.approx(0.9)
    with pytest.raises(UsageError, match=r"scores mask AP 0\.04, box AP 5\.70"):
        kept({"mask AP": 0.04, "box AP": 5.7}, {"mask AP": 0.05, "box AP": 5.7})


def test_what_few_pictures_cannot_tell_from_no_loss_is_none():
    before = [{"mask AP": 20.0, "box AP": 40.0}, {"mask AP": 30.0, "box AP": 40.0}]
    after = [{"mask AP": 20.0, "box AP": 38.0}, {"mask AP": 26.0, "box AP": 38.0}]
    # Masks lose 0 and 4 of 20 and 30: 2 +- 2 of 25. Boxes lose 2 and 2, of 40.
    assert may_keep(before, after) == pytest.approx(0.95)
    assert may_keep(before[1:], after[1:]) == pytest.approx(26 / 30)  # one block tells no error
    with pytest.raises(UsageError, match="of which no loss can be told"):
        may_keep([{"mIoU": 0.0}], [{"mIoU": 0.0}])


def test_blocks_are_scored_on_their_own_and_share_no_picture(folder, monkeypatch):
    model = encompass.load(folder / "semantic.onnx", threads=1)
    data = load_labels(folder / "streets", split="train")
    monkeypatch.setattr(int8_data, "LEAST_OF_BLOCK", 3)
    reports = []
    scores = score_blocks(model, data, report=lambda done, total: reports.append((done, total)))
    assert [score["mIoU"] for score in scores] == [pytest.approx(100)] * 3  # the truth is its own
    assert reports == [(done, PICTURES) for done in range(1, PICTURES + 1)]


@pytest.mark.parametrize("task", ["instance", "semantic"])
def test_a_model_agrees_with_itself_and_less_with_its_rounded_weights(folder, tmp_path, task):
    whole = encompass.load(folder / f"{task}.onnx", threads=1)
    other = tmp_path / "other.onnx"
    onnx.save(with_rounded_weights(onnx.load(folder / f"{task}.onnx")), other)
    data = {
        "instance": lambda: load_dataset(folder / "people" / "found.json"),
        "semantic": lambda: load_labels(folder / "streets", split="train"),
    }[task]()
    reference = partial(found, whole)
    same, less = (
        disagreement(reference, model, data, report=lambda *_: None)
        for model in (whole, encompass.load(other, threads=1))
    )
    assert same == 0
    assert 0 < less <= 2


def with_rounded_weights(model):
    """Kernels in steps of a quarter of their largest weight."""
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 4:
            values = numpy_helper.to_array(tensor)
            step = np.abs(values).max() / 4
            tensor.CopyFrom(numpy_helper.from_array(np.round(values / step) * step, tensor.name))
    return model


def test_it_is_said_when_int8_is_slower(folder, tmp_path, monkeypatch):
    compare = int8.compare

    def slower(*args, **kwargs):
        first, second = compare(*args, **kwargs)
        return first, dataclasses.replace(second, median_ms=first.median_ms + 1)

    monkeypatch.setattr(int8, "compare", slower)
    given = options(folder, "semantic")
    said = export(folder / "semantic.safetensors", tmp_path / "a.onnx", *given, "--force")
    assert re.search(r"int8 is slower than fp32 on this machine: \d+\.\d ms, not \d+\.\d ms", said)
    with pytest.raises(UsageError, match="rounded to 8 bits; give what it was made from"):
        export(tmp_path / "a.onnx", tmp_path / "b.onnx")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--format", "litert", "--out", "a.tflite"], "litert has none; use --format onnx or open"),
        ([], "needs pictures with their truth: give --calibration"),
        (["--calibration", "a.json", "--batch", 2], "int8 files take one picture at a time"),
        (["--calibration", "a.json", "--pictures", "a.png"], "is scored on a part of --calib"),
        (
            ["--precision", "fp16", "--calibration", "a.json"],
            "--calibration is for --precision int8",
        ),
        (["--precision", "fp32", "--force"], "--force is for --precision int8"),
        (["--precision", "fp32", "--split", "val"], "--split val: is a part of --data"),
        (["--calibration", "a.json", "--data", "a.json"], "--data: an int8 file is scored on"),
    ],
)
def test_options_that_do_not_go_together_are_refused(folder, tmp_path, given, message):
    with pytest.raises(UsageError, match=message):
        export(folder / "instance.safetensors", tmp_path / "a.onnx", "--precision", "int8", *given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("task", ["instance", "semantic"])
def test_a_float_file_is_scored_beside_its_checkpoint(folder, tmp_path, monkeypatch, task):
    path, *more = {"instance": ["people/found.json"], "semantic": ["streets", "--split", "train"]}[
        task
    ]
    given = ["--data", folder / path, *more, "--pictures", folder / "people/images/000001.jpg"]
    metric = {"instance": "mask AP", "semantic": "mIoU"}[task]
    said = export(folder / f"{task}.safetensors", tmp_path / "a.onnx", *given)
    before, after = map(float, re.search(rf"{metric} (\S+) \(was (\S+)\)", said).groups())
    assert abs(before - after) <= 0.1
    assert before > 10
    assert f"on {PICTURES} pictures of {Path(path).name}" in said
    monkeypatch.setitem(export_steps.POINTS, "fp32", -1.0)
    with pytest.raises(ParityError, match=rf"b.onnx: is not as accurate .*{metric} is"):
        export(folder / f"{task}.safetensors", tmp_path / "b.onnx", *given)
    assert not list(tmp_path.glob("b.*"))


def test_data_that_does_not_do_is_refused(folder, tmp_path):
    def refuse(task, data, message, *more):
        given = ["--precision", "int8", "--calibration", data, *more]
        with pytest.raises(EncompassError, match=message):
            export(folder / f"{task}.safetensors", tmp_path / "a.onnx", *given)

    people = folder / "people"
    refuse("instance", people / "gone.json", "no such file")
    refuse("instance", people / "found.json", "--split val is of semantic models", "--split", "val")
    refuse("semantic", folder / "streets", "has splits; give one")
    content = json.loads((people / "found.json").read_text())
    for name, images, annotations, message in (
        ("few", content["images"][:2], [], "has 2 pictures, and at least 3 are needed"),
        ("none", content["images"], [], "show no object; give data that has more"),
    ):
        path = people / f"{name}.json"
        path.write_text(json.dumps(content | {"images": images, "annotations": annotations}))
        refuse("instance", path, message)
    assert not list(tmp_path.iterdir())
