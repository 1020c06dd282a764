"""Mean intersection over union of label maps (thesis 2.5 and 4.1.1), as Cityscapes' judge has it.

All pixels of a dataset are counted into one confusion matrix. Pixels whose truth is ignored count
nowhere. A class's IoU is the number of pixels that truth and prediction share over those that
either has. A class that neither has in any picture has no IoU and is left out of the mean; one
that is predicted but never true has an IoU of 0. A prediction that is no class (IGNORE) is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from encompass.data.labels import LabelDataset

# A picture's path to (H, W) uint8 labels at the picture's size.
LabelPredictor = Callable[[Path], np.ndarray]


def count_confusion(truth: np.ndarray, found: np.ndarray, num_classes: int) -> np.ndarray:
    """How often each class was taken for which: (C, C + 1) int64, rows are truth.

    The last column is what was predicted to be no class.

    Args:
        truth: (H, W) uint8; labels of C and more are ignored.
        found: (H, W) uint8; labels of C and more are no class.
        num_classes: C.
    """
    assert truth.shape == found.shape, f"truth is {truth.shape}, prediction {found.shape}"
    assert truth.dtype == found.dtype == np.uint8, f"{truth.dtype} and {found.dtype}"
    known = truth < num_classes
    columns = num_classes + 1
    cells = truth[known].astype(np.int64) * columns + np.minimum(found[known], num_classes)
    return np.bincount(cells, minlength=num_classes * columns).reshape(num_classes, columns)


def class_ious(confusion: np.ndarray) -> np.ndarray:
    """(C, C + 1), or (C, C), to (C,) float64 in [0, 1]; NaN for a class that never occurs."""
    shared = np.diagonal(confusion)
    either = confusion.sum(axis=1) + confusion.sum(axis=0)[: len(confusion)] - shared
    return np.divide(shared, either, out=np.full(len(confusion), np.nan), where=either > 0)


def mean_iou(confusion: np.ndarray) -> float:
    """The mean over the classes that occur, in [0, 1]; NaN where none does."""
    ious = class_ious(confusion)
    occurring = ious[~np.isnan(ious)]
    return float(occurring.mean()) if occurring.size else float("nan")


def pixel_accuracy(confusion: np.ndarray) -> float:
    """The share of pixels that are right, in [0, 1]; NaN where there is none."""
    pixels = int(confusion.sum())
    return int(np.trace(confusion)) / pixels if pixels else float("nan")


def score_labels(
    dataset: LabelDataset,
    predict: LabelPredictor,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Compare the label map of every picture with its truth, pixel by pixel, at full size.

    Args:
        dataset: pictures and truth.
        predict: called once for each picture.
        progress: called with the numbers of pictures done and in all, after each.

    Returns:
        {"num_images": int, "mIoU", "pixel_accuracy", "classes": [{"name", "IoU", "num_pixels"}],
        "confusion": (C, C + 1) lists, "images": [{"path", "mIoU", "pixel_accuracy"}]}, the scores
        in points, None where there is nothing to score. An image's mIoU is over its own classes.
    """
    num_classes = len(dataset.table)
    total = np.zeros((num_classes, num_classes + 1), dtype=np.int64)
    images = []
    for number, sample in enumerate(dataset.samples, start=1):
        confusion = count_confusion(sample.read_labels(), predict(sample.path), num_classes)
        total += confusion
        images.append({"path": str(sample.path)} | _summary(confusion))
        if progress is not None:
            progress(number, len(dataset))
    rows = zip(dataset.table.names, class_ious(total), total.sum(axis=1), strict=True)
    return {
        "num_images": len(dataset),
        **_summary(total),
        "classes": [
            {"name": name, "IoU": _points(iou), "num_pixels": int(pixels)}
            for name, iou, pixels in rows
        ],
        "confusion": total.tolist(),
        "images": images,
    }


def _summary(confusion: np.ndarray) -> dict[str, float | None]:
    return {
        "mIoU": _points(mean_iou(confusion)),
        "pixel_accuracy": _points(pixel_accuracy(confusion)),
    }


def _points(share: float) -> float | None:
    return None if np.isnan(share) else 100 * float(share)
