"""Mosaic (Bochkovskiy et al. 2020): four examples around one point; people are small and many."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from PIL import Image

from encompass.data.augment import MEAN_COLOUR, Example, is_visible, keep_objects, move
from encompass.geometry.masks import coverage
from encompass.schema import BoxMask

CENTRE = (0.35, 0.65)  # of the canvas's sides, where the four meet
LEAST_SIDE = 8  # pixels of a canvas: less is not worth dividing


def mosaic(examples: Sequence[Example], rng: np.random.Generator) -> Example:
    """One example as large as the first, of four that keep their aspect and touch one point.

    Args:
        examples: four; where one has no masks, the result has none.
        rng: chooses the point.
    """
    height, width = examples[0].picture.shape[:2]
    if min(height, width) < LEAST_SIDE:
        return examples[0]
    x, y = round(width * rng.uniform(*CENTRE)), round(height * rng.uniform(*CENTRE))
    canvas = np.full((height, width, 3), MEAN_COLOUR, dtype=np.uint8)
    places = [(right, below) for below in (False, True) for right in (False, True)]
    parts = []
    for example, (right, below) in zip(examples, places, strict=True):
        room = (height - y if below else y, width - x if right else x)
        part = _scale(example, room)
        rows, columns = part.picture.shape[:2]
        corner = (x if right else x - columns, y if below else y - rows)
        canvas[corner[1] : corner[1] + rows, corner[0] : corner[0] + columns] = part.picture
        parts.append(move(part, *corner))
    masks = None
    if all(part.masks is not None for part in parts):
        masks = tuple(mask for part in parts for mask in part.masks or ())
    return Example(
        picture=canvas,
        boxes_xyxy=np.concatenate([part.boxes_xyxy for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        masks=masks,
        ignore_xyxy=np.concatenate([part.ignore_xyxy for part in parts]),
        name=" + ".join(example.name for example in examples),
    )


def _scale(example: Example, room: tuple[int, int]) -> Example:
    """The example as large as it fits into (height, width)."""
    height, width = example.picture.shape[:2]
    scale = min(room[0] / height, room[1] / width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    picture = Image.fromarray(example.picture).resize((columns, rows), Image.Resampling.BILINEAR)
    factor = np.asarray([columns / width, rows / height] * 2, dtype=np.float32)
    masks = example.masks
    if masks is not None:
        masks = tuple(_scale_mask(mask, factor, (rows, columns)) for mask in masks)
    ignore = example.ignore_xyxy * factor
    scaled = dataclasses.replace(
        example,
        picture=np.asarray(picture),
        boxes_xyxy=example.boxes_xyxy * factor,
        masks=masks,
        ignore_xyxy=ignore[is_visible(ignore)],
    )
    return keep_objects(scaled, is_visible(scaled.boxes_xyxy))


def _scale_mask(mask: BoxMask, factor: np.ndarray, size: tuple[int, int]) -> BoxMask:
    """A pixel is set where the mask covers half of it."""
    h, w = mask.pixels.shape
    low = np.floor(np.asarray([mask.x, mask.y]) * factor[:2]).astype(int)
    high = np.ceil(np.asarray([mask.x + w, mask.y + h]) * factor[:2]).astype(int)
    high = np.minimum(high, size[::-1])
    area = np.concatenate([low, high]) / factor
    shape = (max(0, int(high[1] - low[1])), max(0, int(high[0] - low[0])))
    if not (mask.pixels.size and min(shape)):
        return BoxMask(int(low[0]), int(low[1]), np.zeros((0, 0), dtype=bool))
    return BoxMask(int(low[0]), int(low[1]), coverage(mask, area, shape) >= 0.5)
