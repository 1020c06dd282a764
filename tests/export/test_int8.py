"""`encompass export --precision int8` of tiny networks, on what they find in drawn pictures."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import encompass
import encompass.cli._int8 as int8
from encompass.cli import main
from encompass.cli.export import command
from encompass.data.drawn import draw_people
from encompass.errors import ParityError, UsageError
from encompass.models.weights import save_network
from encompass.models.zoo import SEMANTIC_MODELS

RECORD = {"name": "tiny", "data": ["drawn"], "recipe": {"seed": 0}}
INSTANCE = RECORD | {"names": ["person"], "category_ids": [1], "stage": "all"}
SEMANTIC = RECORD | {
    "task": "semantic",
    "names": ["road", "sky", "person", "car"],
    "colours": [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]],
}
FORMATS = [("onnx", ".onnx"), pytest.param("openvino", ".xml", marks=pytest.mark.openvino)]
PICTURES = 9


def export(source, out, *options):
    done = CliRunner().invoke(command, [str(a) for a in (source, "--out", out, *options)])
    if done.exception:
        raise done.exception
    return done.stdout


@pytest.fixture(scope="module")
def folder(tiny_instance, tiny_semantic, drawn, tmp_path_factory):
    """Checkpoints and fp32 files of both tasks, and data whose truth is what those find."""
    folder = tmp_path_factory.mktemp("int8")
    for name, record, network in (
        ("instance", INSTANCE, tiny_instance()),
        ("semantic", SEMANTIC, tiny_semantic(SEMANTIC_MODELS["fcn16-mobilenet0.5"])),
    ):
        row = dataclasses.asdict(network.spec)
        save_network(folder / f"{name}.safetensors", network, record | {"row": row})
    people = draw_people(folder / "people", num_images=PICTURES, seed=0, size=(64, 64))
    photos = folder / "people" / "images"
    for name in ("instance", "semantic"):
        given = photos / "000001.jpg"
        export(folder / f"{name}.safetensors", folder / f"{name}.onnx", "--pictures", given)
    model = encompass.load(folder / "instance.onnx", threads=1)
    records = [
        record for s in people.samples for record in model(s.path, score=0.4).to_coco(image_id=s.image_id)
    ]
    content = json.loads((folder / "people" / "annotations.json").read_text())
    content["annotations"] = [
        record | {"id": number, "area": record["bbox"][2] * record["bbox"][3], "iscrowd": 0}
        for number, record in enumerate(records, start=1)
    ]
    (folder / "people" / "found.json").write_text(json.dumps(content))
    model = encompass.load(folder / "semantic.onnx", threads=1)
    for part in ("images", "masks"):
        (folder / "streets" / "train" / part).mkdir(parents=True)
    (folder / "streets" / "classes.txt").write_text("\n".join(SEMANTIC["names"]))
    for number in range(PICTURES):
        picture = drawn(64, 96, seed=number)
        Image.fromarray(picture).save(folder / "streets" / "train" / "images" / f"{number}.png")
        labels = Image.fromarray(model(picture).labels)
        labels.save(folder / "streets" / "train" / "masks" / f"{number}.png")
    return folder
