"""Figures 4.2 to 4.6 of the thesis: label maps of the semantic networks, side by side.

The thesis shows pictures of Cityscapes and crops of their persons that it chose; here a rule
chooses, and the dataset is the one that the networks learnt from:

- 4.2 and 4.3: the first picture of `val`, the same for both.
- 4.4 to 4.6: the person with the most pixels whose crop with 10 % of background lies inside the
  picture; when none does, the one with the most pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from encompass.data.label_augment import LabelExample
from encompass.data.labels import IGNORE, LabelDataset
from encompass.data.person_crops import (
    BACKGROUNDS,
    SIZES,
    People,
    PersonMask,
    crop_person,
    crop_window,
)
from encompass.evaluate.semantic import load_semantic, pixel_predictor
from encompass.geometry.masks import crop_mask
from encompass.pictures import read_picture
from encompass.studies.panels import BLACK, GREEN, Panel, side_by_side, tint, with_legend

SIZE = SIZES[0]  # (height, width) of the crops
HEIGHT = 240  # of a panel, pixels


def draw_streets(dataset: LabelDataset, networks: Mapping[str, Path]) -> Image.Image:
    """The first picture, its truth and what several checkpoints make of it.

    Args:
        dataset: with the networks' classes.
        networks: what stands below each -> its checkpoint.
    """
    sample = dataset.samples[0]
    picture, truth = sample.read()
    panels: list[Panel] = [
        (Image.fromarray(picture), sample.path.name),
        (Image.fromarray(dataset.table.paint(truth)), "truth"),
    ]
    for name, path in networks.items():
        network, table, _ = load_semantic(path)
        found = np.where(truth == IGNORE, IGNORE, pixel_predictor(network)(picture))
        panels.append((Image.fromarray(table.paint(found.astype(np.uint8))), name))
    sheet = side_by_side([panels[i : i + 2] for i in range(0, len(panels), 2)], height=HEIGHT)
    names, colours = dataset.table.names, dataset.table.colours
    return with_legend(sheet, dict(zip(names, colours, strict=True)) | {"ignored": BLACK})


def find_person(pictures: Iterable[People]) -> tuple[Path, PersonMask]:
    """The person that is shown, and the picture's file."""
    everyone = [(people, person) for people in pictures for person in people.persons]
    whole = [(people, person) for people, person in everyone if _inside(people, person)]
    people, person = max(whole or everyone, key=lambda one: one[1].mask.area)
    return people.path, person


def _inside(people: People, person: PersonMask) -> bool:
    if not person.mask.pixels.size:
        return False
    aspect = SIZE[0] / SIZE[1]
    x0, y0, x1, y1 = crop_window(person.mask, aspect=aspect, background=BACKGROUNDS[-1])
    height, width = people.size
    return x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height


def crops_of_one(path: Path, person: PersonMask) -> dict[float, LabelExample]:
    """The crop of one person by its share of background."""
    picture = read_picture(path)
    crops = {b: crop_person(picture, person, size=SIZE, background=b) for b in BACKGROUNDS}
    return {background: crop for background, crop in crops.items() if crop is not None}


def draw_crops(crops: Mapping[float, LabelExample]) -> Image.Image:
    """Figure 4.4: one person with more and more background."""
    panels = [(Image.fromarray(crop.picture), f"{b:.0%} more") for b, crop in crops.items()]
    return side_by_side([panels], height=HEIGHT)


def draw_masks(crops: Iterable[tuple[str, LabelExample, Path]]) -> Image.Image:
    """Figures 4.5 and 4.6: crops with the person's pixels as checkpoints see them.

    Args:
        crops: what stands below each, the crop, and the checkpoint.
    """
    panels = []
    for name, crop, path in crops:
        network, table, _ = load_semantic(path)
        found = pixel_predictor(network)(crop.picture) == table.names.index("person")
        image = Image.fromarray(crop.picture)
        tint(image, crop_mask(found), GREEN)
        panels.append((image, name))
    return side_by_side([panels], height=HEIGHT)
