"""Figures 3.5 to 3.7 of the thesis: boxes grown to the cells of the coarse map.

The thesis draws 3.5 as a sketch and 3.6 and 3.7 on pictures of COCO. Here 3.5 is drawn people with
the boxes of their annotation, and in the docs photos that may be shown, with the boxes that a
bundled model finds. Who is shown in the others is decided by rules, not by hand:

- 3.6: whose encompassing box is nearest to 10x10 cells of the 20x20 map (the thesis's 5x5 on the
  10x10 map of a 320x320 input), one of each picture, the first in the file's order of equals.
- 3.7: the two of one picture who share the most cells, of those whose encompassing boxes overlap
  by half or more (IoU); their own boxes by half at most, since some people are annotated twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image

import encompass
from encompass.data.instances import Dataset, Sample
from encompass.evaluate.masks import MaskPredictor
from encompass.geometry.boxes import area, iou
from encompass.geometry.grid import cell_sizes, encompassing_cells
from encompass.geometry.resize import Stretch
from encompass.pictures import read_picture
from encompass.run.catalogue import DEFAULT_MODEL
from encompass.schema import BoxMask
from encompass.studies.panels import BLACK, GREEN, Panel, draw_boxes, draw_grid, side_by_side, tint

INPUT_SIZE, STRIDE = 640, 32
CELLS = INPUT_SIZE // STRIDE  # along each side of the coarse map
SHOWN = 10  # cells, of Figure 3.6's boxes
HALF = 0.5  # IoU, of Figure 3.7's boxes at most, of what encompasses them at least
HEIGHT = 320  # of a panel, pixels


def cells_of(boxes_xyxy: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The cells that encompass (N, 4) boxes of a picture of this (height, width)."""
    net = Stretch(size, (INPUT_SIZE, INPUT_SIZE)).forward_xyxy(boxes_xyxy)
    return encompassing_cells(net, stride=STRIDE, grid=(CELLS, CELLS))


def encompass_boxes(boxes_xyxy: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The (N, 4) encompassing boxes in the picture's own pixels."""
    net = cells_of(boxes_xyxy, size).astype(np.float64) * STRIDE
    return Stretch(size, (INPUT_SIZE, INPUT_SIZE)).inverse_xyxy(net)


def draw_encompassing(picture: np.ndarray, boxes_xyxy: np.ndarray, *, grid: bool) -> Image.Image:
    """A picture with its boxes in black and their encompassing boxes in green.

    Args:
        picture: (H, W, 3) uint8 RGB.
        boxes_xyxy: (N, 4), its pixels.
        grid: whether the cells are drawn too.
    """
    image = Image.fromarray(picture)
    if grid:
        draw_grid(image, (CELLS, CELLS), (255, 255, 255))
    draw_boxes(image, encompass_boxes(boxes_xyxy, picture.shape[:2]), GREEN)
    draw_boxes(image, boxes_xyxy, BLACK)
    return image


def figure_3_5(dataset: Dataset) -> Image.Image:
    """Pictures with their boxes on the cells of the coarse map."""
    panels = [
        (draw_encompassing(read_picture(sample.path), sample.boxes_xyxy, grid=True), "")
        for sample in dataset.samples
    ]
    return side_by_side([panels], height=HEIGHT)


def draw_photos(photos: Sequence[Path]) -> Image.Image:
    """The same of photos, with the boxes that a bundled model finds."""
    model, panels = encompass.load(DEFAULT_MODEL), []
    for photo in photos:
        found = model(photo)
        panels.append((draw_encompassing(read_picture(photo), found.boxes, grid=True), ""))
    return side_by_side([panels], height=HEIGHT)


def figure_3_6(dataset: Dataset, *, number: int = 2) -> Image.Image:
    """The people whose encompassing boxes are nearest to the thesis's, one of each picture."""
    people = sorted(_people(dataset), key=lambda person: abs(person[2] - SHOWN).sum())
    chosen: dict[int, tuple[Sample, np.ndarray, np.ndarray]] = {}
    for person in people:
        chosen.setdefault(person[0].image_id, person)
    panels = []
    for sample, box, shape in list(chosen.values())[:number]:
        drawn = draw_encompassing(read_picture(sample.path), box[None], grid=False)
        panels.append((drawn, "{}x{} cells".format(*shape)))
    return side_by_side([panels], height=HEIGHT)


def _people(dataset: Dataset) -> Iterator[tuple[Sample, np.ndarray, np.ndarray]]:
    """Picture, (4,) box and (2,) encompassing shape of every person."""
    for sample in dataset.samples:
        boxes = sample.boxes_xyxy
        shapes = cell_sizes(cells_of(boxes, (sample.height, sample.width)))
        yield from ((sample, box, shape) for box, shape in zip(boxes, shapes, strict=True))


def closest_pair(dataset: Dataset) -> tuple[Sample, tuple[int, int]]:
    """The picture and the two of its people that Figure 3.7 shows."""

    def rank(pair: tuple[Sample, tuple[int, int]]) -> tuple[bool, float]:
        sample, members = pair
        boxes = sample.boxes_xyxy[list(members)].astype(np.float64)
        cells = cells_of(boxes, (sample.height, sample.width)).astype(np.float64)
        overlap = _overlap(cells)
        shared = overlap / (1 + overlap) * float(area(cells).sum())
        return overlap >= HALF >= _overlap(boxes), shared

    pairs = [
        (sample, members)
        for sample in dataset.samples
        for members in combinations(range(len(sample.objects)), 2)
    ]
    return max(pairs, key=rank)


def _overlap(two_xyxy: np.ndarray) -> float:
    return float(iou(two_xyxy[:1], two_xyxy[1:])[0, 0])


def figure_3_7(dataset: Dataset, *predictors: MaskPredictor) -> Image.Image:
    """Two people in one encompassing box, and the mask that each gets of the same crop.

    A mask is cut to its person's box here, so that the two differ; the thesis's was one for both.
    Each predictor has a row of its own.
    """
    sample, members = closest_pair(dataset)
    boxes, labels = sample.boxes_xyxy[list(members)], sample.labels[list(members)]
    picture = read_picture(sample.path)
    masks = (predict(sample.path, boxes, labels) for predict in predictors)
    return side_by_side([mask_panels(picture, boxes, found) for found in masks], height=HEIGHT)


def mask_panels(
    picture: np.ndarray, boxes_xyxy: np.ndarray, masks: Sequence[BoxMask]
) -> list[Panel]:
    """A picture with (N, 4) boxes and what encompasses them, then N times with one's mask."""
    first = draw_encompassing(picture, boxes_xyxy, grid=False)
    panels = [(first, "boxes, and what encompasses them")]
    for number, mask in enumerate(masks):
        image = Image.fromarray(picture)
        tint(image, mask, GREEN)
        draw_boxes(image, boxes_xyxy[number : number + 1], BLACK)
        panels.append((image, f"mask of person {number + 1}"))
    return panels
