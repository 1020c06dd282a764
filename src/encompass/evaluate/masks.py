"""How good masks are when every box is right: the branches apart from the detector.

The predictor is given the boxes of the ground truth. AP cannot tell the two apart, because a mask
that is never asked for counts as one that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from encompass.data.instances import Dataset, rasterise
from encompass.evaluate.judge import points
from encompass.evaluate.shapes import Grid, ShapeRows
from encompass.geometry.boxes import iou
from encompass.geometry.masks import boundary_iou, mask_iou
from encompass.schema import BoxMask

# COCO's areas, src pixels: small below the first, large above the second.
_SMALL, _LARGE = 32**2, 96**2

PAIR_IOU = 0.5  # of encompassing boxes: two objects that a crop hardly tells apart

# A picture's path, (N, 4) float32 boxes in its pixels (xyxy) and (N,) labels, to N masks.
MaskPredictor = Callable[[Path, np.ndarray, np.ndarray], tuple[BoxMask, ...]]


def score_masks(
    dataset: Dataset,
    predict: MaskPredictor,
    grid: Grid,
    *,
    min_objects: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Compare the masks of ground-truth boxes with the annotated ones, pixel by pixel.

    Crowd regions and objects of which only the box is known are left out. A crop without extent is
    no mask (the network has no branch for the box): its IoU is 0.

    Args:
        dataset: pictures and ground truth.
        predict: called once for each picture that has objects.
        grid: on which shapes are counted.
        min_objects: as `ShapeRows` has it.
        progress: called with the numbers of pictures done and in all, after each.

    Returns:
        {"all": group, "small": group, "medium": group, "large": group, "min_objects": int,
        "shapes": [group, ...], "pairs": pairs, "equal_pairs": pairs}; a group has "num_objects",
        "num_without_mask" and, in points or None where it is empty, "mask_IoU" (the mean over its
        objects), "IoU_50" (how many have an IoU of at least 0.5) and "boundary_IoU" (the mean of
        `geometry.masks.boundary_iou`). Sizes are by annotated area, as COCO has them; the groups of
        "shapes" also have "shape", in the order of `ShapeRows`. Pairs are two objects of a picture
        whose encompassing boxes overlap by an IoU of at least `PAIR_IOU`, or are equal: "num_pairs"
        and "both_IoU_50", those of which both masks have an IoU of at least 0.5 with their own
        object, in points or None.
    """
    ious, boundaries, missing, areas, shapes = [], [], [], [], []
    pairs, both = [], []  # overlap of the encompassing boxes; whether both masks are right
    for number, sample in enumerate(dataset.samples, start=1):
        known = [(i, a) for i, a in enumerate(sample.objects) if a.segmentation is not None]
        chosen = np.asarray([i for i, _ in known], dtype=np.int64)
        if len(chosen):
            boxes = sample.boxes_xyxy[chosen]
            masks = predict(sample.path, boxes, sample.labels[chosen])
            for (_, annotation), mask in zip(known, masks, strict=True):
                assert annotation.segmentation is not None
                truth = rasterise(annotation.segmentation, sample.height, sample.width)
                ious.append(mask_iou(truth, mask))
                size = {"height": sample.height, "width": sample.width}
                boundaries.append(boundary_iou(truth, mask, **size))
                missing.append(mask.pixels.size == 0)
                areas.append(annotation.area)
            shapes += grid.shapes(boxes, (sample.height, sample.width))
            cells = grid.cells(boxes, (sample.height, sample.width)).astype(np.float64)
            one, other = np.triu_indices(len(boxes), k=1)
            right = np.asarray(ious[-len(boxes) :]) >= 0.5
            pairs.append(iou(cells, cells)[one, other])
            both.append(right[one] & right[other])
        if progress is not None:
            progress(number, len(dataset))

    overlap = np.asarray(ious, dtype=np.float64)
    boundary = np.asarray(boundaries, dtype=np.float64)
    without = np.asarray(missing, dtype=bool)
    area = np.asarray(areas, dtype=np.float64)

    def group(members: np.ndarray) -> dict[str, Any]:
        return {
            "num_objects": int(members.sum()),
            "num_without_mask": int(without[members].sum()),
            "mask_IoU": points(overlap[members]),
            "IoU_50": points(overlap[members] >= 0.5),
            "boundary_IoU": points(boundary[members]),
        }

    together = np.concatenate([np.zeros(0), *pairs])
    well = np.concatenate([np.zeros(0, dtype=bool), *both])

    def of_pairs(least: float) -> dict[str, Any]:
        chosen = together >= least
        return {"num_pairs": int(chosen.sum()), "both_IoU_50": points(well[chosen])}

    rows = ShapeRows(shapes, min_objects=min_objects)
    row = rows.of(shapes)
    return {
        "all": group(np.ones(len(overlap), dtype=bool)),
        "small": group(area < _SMALL),
        "medium": group((area >= _SMALL) & (area <= _LARGE)),
        "large": group(area > _LARGE),
        "min_objects": rows.min_objects,
        "shapes": [{"shape": name} | group(row == i) for i, name in enumerate(rows.names)],
        "pairs": of_pairs(PAIR_IOU),
        "equal_pairs": of_pairs(1.0),
    }
