"""Figures 4.2 to 4.6: whose crop is shown, and pictures of tiny networks."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from encompass.data.cityscapes import load_cityscapes
from encompass.data.drawn import draw_people
from encompass.data.drawn_streets import draw_streets as draw_street_files
from encompass.data.person_crops import People, PersonMask, people_of_instances
from encompass.models.semantic import SemanticNetwork
from encompass.models.weights import save_network
from encompass.models.zoo import SEMANTIC_MODELS
from encompass.schema import BoxMask
from encompass.studies.label_figures import (
    crops_of_one,
    draw_crops,
    draw_masks,
    draw_streets,
    find_person,
)

ROW = "mobilenet0.5"


def person(name, x, y, height, width):
    return PersonMask(name, BoxMask(x, y, np.ones((height, width), bool)))


def test_the_largest_person_whose_crop_is_in_the_picture_is_shown():
    at_the_edge = person("edge", 0, 0, 100, 60)
    inside = person("inside", 80, 60, 50, 30)
    small = person("small", 80, 60, 10, 6)
    pictures = [
        People(Path("a"), (240, 320), (small, at_the_edge)),
        People(Path("b"), (240, 320), ()),
    ]
    assert find_person(pictures)[1].name == "small"
    more = [*pictures, People(Path("c"), (240, 320), (inside,))]
    assert find_person(more) == (Path("c"), inside)
    assert find_person([People(Path("a"), (100, 60), (at_the_edge,))])[1].name == "edge"


def checkpoint(path, names, colours):
    torch.manual_seed(0)
    network = SemanticNetwork(SEMANTIC_MODELS[ROW], num_classes=len(names))
    record = {"name": ROW, "task": "semantic", "names": names, "colours": colours}
    save_network(path, network, {**record, "row": asdict(SEMANTIC_MODELS[ROW])})
    return path


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    people = draw_people(tmp_path_factory.mktemp("people"), num_images=2, seed=0)
    return crops_of_one(*find_person(people_of_instances(people)))


def test_one_person_has_three_crops(crops):
    assert list(crops) == [0.0, 0.05, 0.10]
    assert all(crop.picture.shape == (320, 192, 3) for crop in crops.values())
    # More background, smaller person.
    assert crops[0.10].labels.sum() < crops[0.05].labels.sum() < crops[0.0].labels.sum()
    assert draw_crops(crops).width == 3 * 144 + 4 * 8


def test_masks_of_a_checkpoint_are_drawn_on_the_crops(crops, tmp_path):
    path = checkpoint(tmp_path / "a.safetensors", ["background", "person"], [(0, 0, 0)] * 2)
    drawn = draw_masks([(f"{b}", crop, path) for b, crop in crops.items()])
    assert drawn.width == 3 * 144 + 4 * 8


def test_a_street_stands_beside_its_truth_and_each_network(tmp_path):
    root = draw_street_files(tmp_path / "streets", split="val", num_images=1, seed=0)
    streets = load_cityscapes(root, split="val")
    path = checkpoint(
        tmp_path / "a.safetensors", list(streets.table.names), list(streets.table.colours)
    )
    drawn = draw_streets(streets, {"one": path, "two": path})
    assert drawn.width == 2 * 480 + 3 * 8  # 128x64 at a height of 240
    assert drawn.height > 2 * 240
