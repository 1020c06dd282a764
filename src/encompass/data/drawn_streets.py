"""Drawn street scenes in Cityscapes' exact layout, so that tests need no download."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from encompass.data.cityscapes import OFFICIAL_IDS, TABLE

CITIES = ("aachen", "bochum")  # pictures alternate between them
_ID = dict(zip(TABLE.names, OFFICIAL_IDS, strict=True))
_COLOUR = dict(zip(TABLE.names, TABLE.colours, strict=True))
_EGO_VEHICLE = 1

Box = tuple[int, int, int, int]  # xyxy


def draw_streets(
    root: str | PathLike[str],
    *,
    split: str,
    num_images: int,
    seed: int,
    size: tuple[int, int] = (64, 128),
) -> Path:
    """Write a split's pictures with labelIds and instanceIds, fine and coarse; returns `root`.

    Sky, buildings, road and pavement fill the picture; one to three persons, a rider, a car and a
    group of persons stand in it, and the own car's bonnet (void) at its lower edge. Objects do not
    overlap. The coarse annotations have no instances and leave a border of the objects unlabelled.

    Args:
        root: a folder, made where it is missing; other splits in it stay.
        split: train, val, test or train_extra.
        num_images: of the split.
        seed: of all random numbers; a picture depends on it, its position and the size.
        size: (height, width) of every picture, pixels; at least (32, 64).
    """
    root = Path(root)
    for index in range(num_images):
        rng = np.random.default_rng((seed, index))
        picture, labels, instances = _scene(size, rng)
        city = CITIES[index % len(CITIES)]
        name = f"{city}_{index:06d}_000019"
        coarse = _coarse(labels)
        for folder, ending, pixels in (
            ("leftImg8bit", "leftImg8bit", picture),
            ("gtFine", "gtFine_labelIds", labels),
            ("gtFine", "gtFine_instanceIds", instances),
            ("gtCoarse", "gtCoarse_labelIds", coarse),
            ("gtCoarse", "gtCoarse_instanceIds", coarse.astype(np.uint16)),
        ):
            path = root / folder / split / city / f"{name}_{ending}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return root


def _scene(
    size: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(H, W, 3) uint8 picture, (H, W) uint8 label ids, (H, W) uint16 instance ids."""
    height, width = size
    labels = np.full(size, _ID["building"], dtype=np.uint8)
    labels[: height // 4] = _ID["sky"]
    labels[height // 2 :] = _ID["sidewalk"]
    labels[height * 5 // 8 :] = _ID["road"]
    instances = labels.astype(np.uint16)
    kinds = ["person"] * int(rng.integers(1, 4)) + ["rider", "car", "group"]
    places = rng.permutation(len(kinds))
    column = width // len(kinds)
    numbers: dict[str, int] = {}
    for kind, place in zip(kinds, places, strict=True):
        name = "person" if kind == "group" else kind
        tall = rng.integers(height // 4, height // 2)
        wide = column - 2 if kind in ("car", "group") else max(column // 3, 2)
        tall = tall // 2 if kind == "car" else tall
        x = int(place) * column + int(rng.integers(0, column - wide))
        y = height * 3 // 4 - int(tall)
        number = numbers.get(kind, 0)
        numbers[kind] = number + 1
        shape = _ellipse(size, (x, y, x + wide, y + int(tall)))
        labels[shape] = _ID[name]
        instances[shape] = _ID[name] if kind == "group" else _ID[name] * 1000 + number
    bonnet = slice(height - height // 8, None)
    labels[bonnet], instances[bonnet] = _EGO_VEHICLE, _EGO_VEHICLE
    picture = np.zeros((*size, 3), dtype=np.float64)
    for name, identity in _ID.items():
        picture[labels == identity] = _COLOUR[name]
    picture += rng.normal(0, 12, (height, width, 3))
    return np.clip(picture, 0, 255).astype(np.uint8), labels, instances


def _ellipse(size: tuple[int, int], box_xyxy: Box) -> np.ndarray:
    """(H, W) bool: the pixels whose centres lie in the ellipse that fills a box."""
    x0, y0, x1, y1 = box_xyxy
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    across, down = (x - (x0 + x1) / 2) / (x1 - x0), (y - (y0 + y1) / 2) / (y1 - y0)
    return across**2 + down**2 <= 0.25


def _coarse(labels: np.ndarray) -> np.ndarray:
    """The labels without the pixels at which another class begins."""
    coarse = labels.copy()
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    for part, border in (
        (coarse[:, 1:], across),
        (coarse[:, :-1], across),
        (coarse[1:], down),
        (coarse[:-1], down),
    ):
        part[border] = 0
    return coarse
