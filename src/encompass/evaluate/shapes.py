"""Scores by encompassing shape: how good each size of crop is (thesis Table 5.1 counts them).

A shape's AP is COCO's, which knows objects of certain areas: here the "area" of an annotation or a
find is the number of its shape's row, and each row is an area range. So objects of other shapes are
to be ignored: a find on one is neither right nor wrong, and a find on nothing is wrong for the
shape of its own box alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO
from faster_coco_eval import mask as coco_mask

from encompass.data.instances import Dataset, Sample
from encompass.evaluate.judge import AT_50, Finds, Part, ground_truth, judge, points
from encompass.geometry.boxes import iou, xywh_to_xyxy
from encompass.geometry.grid import Shape, cell_sizes, encompassing_cells
from encompass.geometry.resize import Stretch

# The thesis counts shapes on a 20x20 map (Table 5.1): a 640x640 input at stride 32, or ours of
# 320x320 at stride 16.
CELLS = 20

FOUND_IOU = 0.5  # of boxes


@dataclass(frozen=True, slots=True)
class Grid:
    """The coarse map that boxes are grown to."""

    input_size: tuple[int, int]  # (height, width) of the network's input, pixels
    stride: int  # input pixels a cell

    @classmethod
    def of_input(cls, input_size: tuple[int, int]) -> Grid:
        """The grid of `CELLS` cells down an input of which nothing else is known."""
        return cls(input_size, max(1, input_size[0] // CELLS))

    def cells(self, boxes_xyxy: np.ndarray, src: tuple[int, int]) -> np.ndarray:
        """The encompassing boxes of (N, 4) boxes in pixels of a picture of size `src`, in cells."""
        boxes = Stretch(src, self.input_size).forward_xyxy(boxes_xyxy)
        height, width = self.input_size
        grid = (-(-height // self.stride), -(-width // self.stride))
        return encompassing_cells(boxes, stride=self.stride, grid=grid)

    def shapes(self, boxes_xyxy: np.ndarray, src: tuple[int, int]) -> list[Shape]:
        """(N, 4) boxes in pixels of a picture of size `src`, (height, width), to N shapes."""
        return [(h, w) for h, w in cell_sizes(self.cells(boxes_xyxy, src)).tolist()]


class ShapeRows:
    """The shapes that are common enough for a row of their own, smallest first, then "other".

    Args:
        shapes: of all objects.
        min_objects: fewer share the row "other". When None, a hundredth of the objects and at least
            twenty, so that the table is short and each AP has something to stand on.
    """

    def __init__(self, shapes: Sequence[Shape], *, min_objects: int | None = None) -> None:
        if min_objects is None:
            min_objects = max(20, math.ceil(len(shapes) / 100))
        self.min_objects = min_objects
        counts = Counter(shapes)
        common = [shape for shape, count in counts.items() if count >= min_objects]
        common.sort(key=lambda shape: (shape[0] * shape[1], shape))
        self._rows = {shape: row for row, shape in enumerate(common)}
        self.names = tuple(f"{h}x{w}" for h, w in common)
        if len(common) < len(counts):
            self.names += ("other",)

    def of(self, shapes: Sequence[Shape]) -> np.ndarray:
        """(N,) int64 row of each shape; one past the common shapes for all that are not."""
        return np.asarray([self._rows.get(s, len(self._rows)) for s in shapes], dtype=np.int64)


def score_shapes(
    dataset: Dataset,
    finds: Sequence[Finds],
    grid: Grid,
    *,
    with_masks: bool,
    min_objects: int | None = None,
) -> dict[str, Any]:
    """Scores of the objects of each shape.

    Args:
        dataset: pictures and ground truth.
        finds: of each picture, in order.
        grid: on which shapes are counted, those of finds too.
        with_masks: every object of the dataset and of the predictor has a mask.
        min_objects: as `ShapeRows` has it.

    Returns:
        {"cells": [rows, columns], "min_objects": int, "rows": [...]}; each row has "shape" ("3x2",
        height x width in cells, smallest first, then "other" and "all"), "num_objects" and
        "num_found" (some find of its class has a box IoU of at least `FOUND_IOU`), "box_AP50" in
        points and, with masks, "mask_AP50" and "mask_IoU": the mean over the objects found of the
        IoU with the mask of the find whose box fits best, in points; no mask is 0. None where there
        is nothing to measure.
    """
    annotated = [grid.shapes(_boxes(s), (s.height, s.width)) for s in dataset.samples]
    objects = [
        shape
        for sample, shapes in zip(dataset.samples, annotated, strict=True)
        for annotation, shape in zip(sample.annotations, shapes, strict=True)
        if not annotation.crowd
    ]
    rows = ShapeRows(objects, min_objects=min_objects)
    truth = ground_truth(dataset, [rows.of(shapes) for shapes in annotated])
    areas = [
        rows.of(grid.shapes(find.boxes_xyxy, (sample.height, sample.width)))
        for sample, find in zip(dataset.samples, finds, strict=True)
    ]
    every = len(rows.names)  # also the row of a rare find where no object is of a rare shape
    ranges = [*((row, row) for row in range(every)), (0, every)]
    parts: tuple[Part, ...] = ("box", "mask") if with_masks else ("box",)
    verdicts = {part: judge(truth, finds, part, areas=areas, ranges=ranges) for part in parts}
    row_of_object = rows.of(objects)
    overlaps = _overlaps(dataset, finds, truth, with_masks=with_masks)
    found = ~np.isnan(overlaps)
    table = []
    for row, name in enumerate((*rows.names, "all")):
        chosen = row_of_object == row if row < every else np.ones(len(objects), dtype=bool)
        record: dict[str, Any] = {"shape": name, "num_objects": int(chosen.sum())}
        record["num_found"] = int((chosen & found).sum())
        for part, verdict in verdicts.items():
            record[f"{part}_AP50"] = points(verdict.precision[AT_50, ..., row, -1])
        if with_masks:
            record["mask_IoU"] = points(overlaps[chosen & found])
        table.append(record)
    cells = [math.ceil(side / grid.stride) for side in grid.input_size]
    return {"cells": cells, "min_objects": rows.min_objects, "rows": table}


def _boxes(sample: Sample) -> np.ndarray:
    """(N, 4) float32 xyxy, src pixels, of all annotations: COCO's records have crowds as well."""
    boxes_xywh = np.asarray([a.box_xywh for a in sample.annotations], dtype=np.float64)
    return xywh_to_xyxy(boxes_xywh.reshape(-1, 4)).astype(np.float32)


def _overlaps(
    dataset: Dataset, finds: Sequence[Finds], truth: COCO, *, with_masks: bool
) -> np.ndarray:
    """(objects,) mask IoU with the find whose box fits best; NaN for an object that is not found.

    Without masks, 0 for those found.
    """
    overlaps = []
    for number, (sample, find) in enumerate(zip(dataset.samples, finds, strict=True), start=1):
        records = [r for r in truth.imgToAnns[number] if not r["iscrowd"]]
        fits = iou(sample.boxes_xyxy, find.boxes_xyxy)
        fits = fits * (sample.labels[:, None] == find.labels[None, :])
        for record, fit in zip(records, fits, strict=True):
            if not len(fit) or fit.max() < FOUND_IOU:
                overlaps.append(np.nan)
                continue
            code = find.codes[fit.argmax()] if with_masks and find.codes else None
            codes = [] if code is None else [code]
            overlaps.append(np.sum(coco_mask.iou(codes, [truth.annToRLE(record)], [0])))
    return np.asarray(overlaps, dtype=np.float64)
