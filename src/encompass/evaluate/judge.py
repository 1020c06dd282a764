"""COCO's judge (faster-coco-eval), and what it is shown: ground truth and finds as its records.

The ground truth is what the dataset's samples hold, so that any dataset, a part of one or several
joined can be scored. Crowd regions count as COCO has it: finds inside them are neither right nor
wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from encompass.data.instances import Dataset
from encompass.errors import UsageError
from encompass.geometry.boxes import xyxy_to_xywh
from encompass.geometry.masks import rle_encode
from encompass.schema import BoxMask, Instances

Part = Literal["box", "mask"]
AT_50, AT_75 = slice(0, 1), slice(5, 6)  # of the thresholds of IoU: 0.50, 0.55 .. 0.95
_KINDS: dict[Part, Literal["bbox", "segm"]] = {"box": "bbox", "mask": "segm"}
_KEYS: dict[Part, str] = {"box": "bbox", "mask": "segmentation"}


@dataclass(frozen=True, slots=True, eq=False)
class Finds:
    """What a predictor found in one picture, small enough to be kept for every picture."""

    boxes_xyxy: np.ndarray  # (N, 4) float32, src pixels
    scores: np.ndarray  # (N,) float32
    labels: np.ndarray  # (N,) int64
    # N run-length codes, None for an object without a mask; None where masks are not predicted.
    codes: tuple[dict | None, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What COCO accumulates, in [0, 1]; -1 where a class has no object. The last axis is the number
    of detections allowed a picture: 1, 10, 100."""

    precision: np.ndarray  # (10 IoUs, 101 recalls, classes, area ranges, 3)
    recall: np.ndarray  # (10 IoUs, classes, area ranges, 3)
    scores: np.ndarray  # of the find at which each recall is reached, as `precision`


def collect(
    dataset: Dataset,
    predict: Callable[[Path], Instances],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Finds, ...]:
    """Run a predictor once on every picture, in the dataset's order.

    Raises UsageError when its classes are not the dataset's.
    """
    finds = []
    for number, sample in enumerate(dataset.samples, start=1):
        found = predict(sample.path)
        if found.names != dataset.classes.names:
            raise UsageError(
                f"The predictor's classes {found.names} are not the dataset's "
                f"{dataset.classes.names}; score it on a dataset that has the same."
            )
        codes = None
        if len(found.masks) == len(found):
            codes = tuple(_code(mask, found.height, found.width) for mask in found.masks)
        finds.append(Finds(found.boxes, found.scores, found.labels, codes))
        if progress is not None:
            progress(number, len(dataset))
    return tuple(finds)


def _code(mask: BoxMask, height: int, width: int) -> dict | None:
    """A crop without extent is no mask: the network has no branch for that box (thesis 5.2.1)."""
    return rle_encode(mask, height=height, width=width) if mask.pixels.size else None


def ground_truth(dataset: Dataset, areas: Sequence[np.ndarray] | None = None) -> COCO:
    """The dataset as COCO has it, numbered anew: ids of joined datasets may collide.

    Args:
        dataset: pictures and annotations.
        areas: of each picture's annotations, in place of their own.
    """
    images, annotations = [], []
    for number, sample in enumerate(dataset.samples, start=1):
        images.append({"id": number, "height": sample.height, "width": sample.width})
        for position, annotation in enumerate(sample.annotations):
            record = {
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": annotation.label + 1,
                "bbox": list(annotation.box_xywh),
                "area": annotation.area if areas is None else float(areas[number - 1][position]),
                "iscrowd": int(annotation.crowd),
            }
            if annotation.segmentation is not None:
                record["segmentation"] = annotation.segmentation
            annotations.append(record)
    names = enumerate(dataset.classes.names, start=1)
    categories = [{"id": number, "name": name} for number, name in names]
    return COCO({"images": images, "annotations": annotations, "categories": categories})


def judge(
    truth: COCO,
    finds: Sequence[Finds],
    part: Part,
    *,
    areas: Sequence[np.ndarray] | None = None,
    ranges: Sequence[tuple[float, float]] | None = None,
) -> Verdict:
    """COCO's precision and recall of boxes or of masks.

    Args:
        truth: of `ground_truth`.
        finds: of each of its pictures, in order.
        part: what is compared; finds without a mask are left out of "mask".
        areas: of each picture's finds, in place of what COCO measures on boxes or masks.
        ranges: of areas, both ends inside; COCO's all, small, medium and large when None.
    """
    # Boxes and masks go apart, lest a box give a mask its area.
    found = truth.loadRes(_results(finds, part))
    if areas is not None:
        flat = (
            area
            for find, own in zip(finds, areas, strict=True)
            for value, area in zip(_values(find, part), own.tolist(), strict=True)
            if value is not None
        )
        for record, area in zip(found.dataset["annotations"], flat, strict=True):
            record["area"] = area
    court = COCOeval_faster(truth, found, _KINDS[part], print_function=_silent)
    if ranges is not None:
        court.params.areaRng = [list(ends) for ends in ranges]
    court.evaluate()
    court.accumulate()
    keys = ("precision", "recall", "scores")
    return Verdict(**{key: np.asarray(court.eval[key]) for key in keys})


def points(values: np.ndarray) -> float | None:
    """The mean of what there is to find, in points 0..100; None where there is nothing."""
    known = values[values > -1]
    return 100 * float(known.mean()) if known.size else None


def _values(find: Finds, part: Part) -> Sequence[Any]:
    """What COCO compares of each object; None for one without a mask."""
    if part == "box":
        return xyxy_to_xywh(find.boxes_xyxy.astype(float)).tolist()
    assert find.codes is not None
    return find.codes


def _results(finds: Sequence[Finds], part: Part) -> list[dict]:
    return [
        {"image_id": number, "category_id": label + 1, "score": score, _KEYS[part]: value}
        for number, find in enumerate(finds, start=1)
        for label, score, value in zip(
            find.labels.tolist(), find.scores.tolist(), _values(find, part), strict=True
        )
        if value is not None
    ]


def _silent(*_: Any) -> None:
    """In place of the judge's print."""
