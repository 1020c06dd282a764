"""COCO's twelve numbers for boxes and masks, by faster-coco-eval.

The ground truth is what the dataset's samples hold, so that any dataset, a part of one or several
joined can be scored. Crowd regions count as COCO has it: finds inside them are neither right nor
wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from faster_coco_eval import COCO, COCOeval_faster

from encompass.data.coco import Dataset
from encompass.errors import UsageError
from encompass.geometry.boxes import xyxy_to_xywh
from encompass.geometry.masks import rle_encode
from encompass.schema import Instances

# In the order of COCO's summary. AR10 is the recall when 10 objects a picture are allowed.
METRICS = (
    *("AP", "AP50", "AP75", "APs", "APm", "APl"),
    *("AR1", "AR10", "AR100", "ARs", "ARm", "ARl"),
)


def score_instances(
    dataset: Dataset,
    predict: Callable[[Path], Instances],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Score a predictor on every picture of a dataset.

    Args:
        dataset: pictures and ground truth.
        predict: a picture's path to what it contains, with the dataset's class names.
        progress: called with the numbers of pictures done and in all, after each.

    Returns:
        {"box": scores, "mask": scores, "num_images": int, "num_annotations": int}; `scores` maps
        each of `METRICS` to points 0..100, or None where the dataset has no such object. "mask" is
        left out when objects of the dataset or of the predictor have no masks. Crowd regions are
        not among the annotations counted.

    Raises:
        UsageError: the predictor's classes are not the dataset's.
    """
    has_masks = all(a.segmentation for sample in dataset.samples for a in sample.annotations)
    boxes, masks = [], []
    for number, sample in enumerate(dataset.samples, start=1):
        found = predict(sample.path)
        if found.names != dataset.classes.names:
            raise UsageError(
                f"The predictor's classes {found.names} are not the dataset's "
                f"{dataset.classes.names}; score it on a dataset that has the same."
            )
        has_masks = has_masks and len(found.masks) == len(found)
        boxes += _results(number, found, "bbox", xyxy_to_xywh(found.boxes.astype(float)).tolist())
        if has_masks:
            size = {"height": found.height, "width": found.width}
            codes = [rle_encode(mask, **size) for mask in found.masks]
            masks += _results(number, found, "segmentation", codes)
        if progress is not None:
            progress(number, len(dataset))

    truth = COCO(_ground_truth(dataset))
    scores = {"box": _score(truth, boxes, "bbox")}
    if has_masks:
        scores["mask"] = _score(truth, masks, "segm")
    num_annotations = sum(len(sample.objects) for sample in dataset.samples)
    return {**scores, "num_images": len(dataset), "num_annotations": num_annotations}


def _ground_truth(dataset: Dataset) -> dict[str, list[dict]]:
    """The dataset in COCO's format, numbered anew: ids of joined datasets may collide."""
    images, annotations = [], []
    for number, sample in enumerate(dataset.samples, start=1):
        images.append({"id": number, "height": sample.height, "width": sample.width})
        for annotation in sample.annotations:
            record = {
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": annotation.label + 1,
                "bbox": list(annotation.box_xywh),
                "area": annotation.area,
                "iscrowd": int(annotation.crowd),
            }
            if annotation.segmentation is not None:
                record["segmentation"] = annotation.segmentation
            annotations.append(record)
    names = enumerate(dataset.classes.names, start=1)
    categories = [{"id": number, "name": name} for number, name in names]
    return {"images": images, "annotations": annotations, "categories": categories}


def _results(number: int, found: Instances, key: str, values: list) -> list[dict]:
    """COCO results of one picture; boxes and masks go apart, lest a box give a mask its area."""
    return [
        {"image_id": number, "category_id": label + 1, "score": score, key: value}
        for label, score, value in zip(
            found.labels.tolist(), found.scores.tolist(), values, strict=True
        )
    ]


def _score(
    truth: COCO, results: list[dict], kind: Literal["bbox", "segm"]
) -> dict[str, float | None]:
    """The twelve numbers of one kind, "bbox" or "segm", in points."""
    judge = COCOeval_faster(truth, truth.loadRes(results), kind, print_function=_silent)
    judge.run()
    stats = [float(value) for value in judge.stats[: len(METRICS)]]
    # COCO writes -1 where there is nothing to find.
    points = [None if value < 0 else 100 * value for value in stats]
    return dict(zip(METRICS, points, strict=True))


def _silent(*_: Any) -> None:
    """In place of the judge's print."""
