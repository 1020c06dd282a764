"""`encompass reproduce --quick`: drawn data, random weights and a step or two for every training.

It proves that the way from data to tables and figures is whole; its figures mean nothing. People
are drawn in the layout of COCO 2017 and streets in that of Cityscapes.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import torch

from encompass.data.drawn import draw_people
from encompass.data.drawn_streets import draw_streets
from encompass.models.instance import SsdIsb
from encompass.models.semantic import SemanticNetwork
from encompass.models.weights import save_detector, save_network
from encompass.models.zoo import MODELS, SEMANTIC_MODELS
from encompass.studies.inputs import COCO, Inputs
from encompass.studies.makers import Effort

QUICK = Effort(
    repeated=False,
    items=2,
    semantic=(
        *("semantic.steps=2", "semantic.interval=1", "semantic.validate_every=1"),
        *("semantic.batch_size=2", "semantic.window_height=64", "semantic.window_width=64"),
        *("semantic.norm_pictures=2", "semantic.workers=0", "semantic.precision=32-true"),
    ),
    branches=(
        *("branches.steps=2", "branches.interval=1", "branches.batch_size=2"),
        *("branches.passes=1", "branches.shared_steps=0", "branches.maps_precision=32-true"),
    ),
    profile_runs=1,
    profile_sizes=((64, 128),),
)
PICTURES = 6  # of each set: enough for a crowd and an empty picture
SCALES = (0.1, 0.5)  # of the people: some have a shape of every row


def draw_inputs(folder: Path) -> Inputs:
    """Data and initial weights below a folder, made where they are not there."""
    data, weights = folder / "data", folder / "weights"
    for seed, part in enumerate(("train", "val")):
        if not (data / COCO.format(part)).exists():
            _draw_people(data, part, seed)
            draw_streets(data / "cityscapes", split=part, num_images=2, seed=seed)
    _save_weights(weights)
    return Inputs(data, (weights,))


def _draw_people(data: Path, part: str, seed: int) -> None:
    drawn, pictures = data / f"drawn-{part}", data / "coco" / f"{part}2017"
    shutil.rmtree(pictures, ignore_errors=True)  # of a drawing that was stopped
    draw_people(drawn, num_images=PICTURES, seed=seed, scales=SCALES)
    annotations = data / COCO.format(part)
    annotations.parent.mkdir(parents=True, exist_ok=True)
    os.replace(drawn / "images", pictures)
    os.replace(drawn / "annotations.json", annotations)
    drawn.rmdir()


def _save_weights(folder: Path) -> None:
    """Random encoders and detectors, the same in every call."""
    for row in ("mobilenet0.5", "squeezenet"):
        torch.manual_seed(0)
        path = folder / f"{row}-start.safetensors"
        record = {"name": row, "task": "semantic", "names": ["a", "b"]}
        if not path.exists():
            save_network(path, SemanticNetwork(SEMANTIC_MODELS[row], num_classes=2), record)
    for row in ("multi-shape", "multi-shape-mn0.75"):
        spec = MODELS[row]
        record = {
            "name": row,
            "row": dataclasses.asdict(spec),
            "names": ["person"],
            "stage": "detector",
            "data": ["drawn"],
            "recipe": {"detector": {"steps": 0}},
        }
        for kind in ("640", "start"):
            torch.manual_seed(0)
            path = folder / f"ssd-mobilenet-v1-{spec.multiplier}-{kind}.safetensors"
            if not path.exists():
                save_detector(path, SsdIsb(spec, num_classes=1), record)
