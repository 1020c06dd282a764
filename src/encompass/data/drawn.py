"""A drawn dataset of people, so that tests and a first training need no download.

Figures of a head, a body and two legs stand on a textured background. Their outlines are the
annotation; they never overlap, so that every outline is wholly visible.
"""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from encompass.data.coco import load_coco
from encompass.data.instances import Dataset, rasterise
from encompass.geometry.boxes import iou
from encompass.geometry.masks import rle_encode
from encompass.schema import BoxMask

_CROWD_PICTURE, _EMPTY_PICTURE = 1, 2  # positions of the two special pictures
_SKIN = ((255, 224, 196), (234, 192, 134), (198, 134, 66), (141, 85, 36), (92, 58, 33))

Part = tuple[np.ndarray, tuple[int, int, int]]  # (K, 2) corners x, y in pixels; colour


def draw_people(
    root: str | PathLike[str],
    *,
    num_images: int,
    seed: int,
    size: tuple[int, int] = (240, 320),
    scales: tuple[float, float] = (0.25, 0.9),
) -> Dataset:
    """Write `root`/images/*.jpg and `root`/annotations.json in COCO's format, and load them.

    The second picture also has a crowd region (iscrowd=1, run-length code), the third has nobody.
    A picture depends on the seed, its position and the size only, so that more pictures begin with
    the same ones.

    Args:
        root: a folder, made where it is missing.
        num_images: at least 3 for both special pictures.
        seed: of all random numbers.
        size: (height, width) of every picture, pixels.
        scales: the least and the greatest height of a person, as shares of the picture's.
    """
    root = Path(root)
    (root / "images").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for index in range(num_images):
        rng = np.random.default_rng((seed, index))
        picture = _background(size, rng)
        if index == _EMPTY_PICTURE:
            people, crowd = [], None
        else:
            people = _place(size, int(rng.integers(1, 5)), scales, rng)
            crowd = _draw_crowd(picture, people, rng) if index == _CROWD_PICTURE else None
        for parts in people:
            _paint(picture, parts)
        name = f"{index + 1:06d}.jpg"
        Image.fromarray(picture).save(root / "images" / name, quality=92)
        height, width = size
        images.append({"id": index + 1, "file_name": name, "height": height, "width": width})
        found = [_outline_record(parts, size) for parts in people]
        if crowd is not None and crowd.area:
            found.append(_crowd_record(crowd, size))
        for record in found:
            identity = len(annotations) + 1
            annotations.append({"id": identity, "image_id": index + 1, "category_id": 1, **record})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "supercategory": "person"}],
    }
    (root / "annotations.json").write_text(json.dumps(content))
    return load_coco(root / "annotations.json", root / "images")


def _background(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """(h, w, 3) uint8: coarse patches of colour under fine grain."""
    height, width = size
    patches = Image.fromarray(rng.integers(40, 216, (6, 8, 3), dtype=np.uint8))
    smooth = np.asarray(patches.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float64)
    grain = rng.normal(0, 8, (height, width, 1))
    return np.clip(smooth + grain, 0, 255).astype(np.uint8)


def _place(
    size: tuple[int, int], number: int, scales: tuple[float, float], rng: np.random.Generator
) -> list[list[Part]]:
    """Up to `number` figures whose boxes keep clear of each other."""
    people: list[list[Part]] = []
    boxes = np.zeros((0, 4))
    for _ in range(number):
        parts = _figure(size, rng.uniform(*scales), rng)
        box = _extent(parts)[None]
        if not iou(box, boxes).any():
            people.append(parts)
            boxes = np.concatenate([boxes, box])
    return people


def _figure(size: tuple[int, int], scale: float, rng: np.random.Generator) -> list[Part]:
    """The parts of one person, `scale` of the picture high, somewhere inside it."""
    height, width = size
    tall = scale * height
    wide = 0.36 * tall
    left = rng.uniform(1, max(width - wide - 1, 1))
    top = rng.uniform(1, max(height - tall - 1, 1))
    turns = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    head = np.stack([0.5 + 0.22 * np.cos(turns), 0.1 + 0.1 * np.sin(turns)], axis=1)
    shoulder, hip = rng.uniform(0.36, 0.5), rng.uniform(0.22, 0.34)
    body = [[0.5 - shoulder, 0.22], [0.5 + shoulder, 0.22], [0.5 + hip, 0.6], [0.5 - hip, 0.6]]
    step = rng.uniform(0.0, 0.2)
    leg = np.asarray([[0.02, 0.6], [hip, 0.6], [hip + step, 1.0], [0.06 + step, 1.0]])
    legs = [leg * [side, 1] + [0.5, 0] for side in (-1, 1)]
    skin = _SKIN[rng.integers(len(_SKIN))]
    shirt, trousers = (tuple(rng.integers(0, 256, 3).tolist()) for _ in range(2))
    outlines = [(head, skin), (np.asarray(body), shirt), *((each, trousers) for each in legs)]
    return [
        (np.round(np.asarray(outline) * [wide, tall] + [left, top], 2), colour)
        for outline, colour in outlines
    ]


def _extent(parts: list[Part]) -> np.ndarray:
    """(4,) xyxy box around the corners of all parts."""
    corners = np.concatenate([outline for outline, _ in parts])
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def _paint(picture: np.ndarray, parts: list[Part]) -> None:
    """Colour exactly the pixels that the annotation will cover, in place."""
    for part in parts:
        picture[_full_mask([part], picture.shape[:2])] = part[1]


def _draw_crowd(picture: np.ndarray, people: list[list[Part]], rng: np.random.Generator) -> BoxMask:
    """Paint a dozen small figures that hide each other; returns the pixels that they cover.

    `people` are painted later and cover the crowd where they meet.
    """
    size = height, width = picture.shape[:2]
    covered = np.zeros(size, dtype=bool)
    corner = rng.uniform(0, 0.5, 2) * [width, height]
    for _ in range(12):
        parts = _figure(size, 0.18, rng)
        shift = corner + rng.uniform(0, 0.2, 2) * [width, height]
        parts = [(outline - _extent(parts)[:2] + shift, colour) for outline, colour in parts]
        _paint(picture, parts)
        covered |= _full_mask(parts, size)
    for parts in people:
        covered &= ~_full_mask(parts, size)
    return BoxMask(0, 0, covered)


def _polygons(parts: list[Part]) -> list[list[float]]:
    return [outline.ravel().tolist() for outline, _ in parts]


def _full_mask(parts: list[Part], size: tuple[int, int]) -> np.ndarray:
    return rasterise(_polygons(parts), *size).to_full(*size)


def _outline_record(parts: list[Part], size: tuple[int, int]) -> dict:
    """COCO's fields for a figure, without ids."""
    x0, y0, x1, y1 = _extent(parts).tolist()
    return {
        "bbox": [x0, y0, round(x1 - x0, 2), round(y1 - y0, 2)],
        "area": rasterise(_polygons(parts), *size).area,
        "iscrowd": 0,
        "segmentation": _polygons(parts),
    }


def _crowd_record(crowd: BoxMask, size: tuple[int, int]) -> dict:
    """COCO's fields for a crowd region, without ids."""
    rows, columns = np.nonzero(crowd.pixels)
    x, y = int(columns.min()), int(rows.min())
    return {
        "bbox": [x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y],
        "area": crowd.area,
        "iscrowd": 1,
        "segmentation": rle_encode(crowd, height=size[0], width=size[1]),
    }
