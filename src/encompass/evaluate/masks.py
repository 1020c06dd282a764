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
from encompass.geometry.masks import mask_iou
from encompass.schema import BoxMask

# COCO's areas, src pixels: small below the first, large above the second.
_SMALL, _LARGE = 32**2, 96**2

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
        "shapes": [group, ...]}; a group has "num_objects", "num_without_mask" and, in points or
        None where it is empty, "mask_IoU" (the mean over its objects) and "IoU_50" (how many have
        an IoU of at least 0.5). Sizes are by annotated area, as COCO has them; the groups of
        "shapes" also have "shape", in the order of `ShapeRows`.
    """
    ious, missing, areas, shapes = [], [], [], []
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
                missing.append(mask.pixels.size == 0)
                areas.append(annotation.area)
            shapes += grid.shapes(boxes, (sample.height, sample.width))
        if progress is not None:
            progress(number, len(dataset))

    iou = np.asarray(ious, dtype=np.float64)
    without = np.asarray(missing, dtype=bool)
    area = np.asarray(areas, dtype=np.float64)

    def group(members: np.ndarray) -> dict[str, Any]:
        return {
            "num_objects": int(members.sum()),
            "num_without_mask": int(without[members].sum()),
            "mask_IoU": points(iou[members]),
            "IoU_50": points(iou[members] >= 0.5),
        }

    rows = ShapeRows(shapes, min_objects=min_objects)
    row = rows.of(shapes)
    return {
        "all": group(np.ones(len(iou), dtype=bool)),
        "small": group(area < _SMALL),
        "medium": group((area >= _SMALL) & (area <= _LARGE)),
        "large": group(area > _LARGE),
        "min_objects": rows.min_objects,
        "shapes": [{"shape": name} | group(row == i) for i, name in enumerate(rows.names)],
    }
