"""COCO's numbers of boxes and masks: its twelve, and the thesis's ten at IoU 0.50 (Table 5.4)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from encompass.data.instances import Dataset
from encompass.evaluate.curves import RECALLS, best_f1, precision_curves
from encompass.evaluate.judge import (
    AT_50,
    AT_75,
    Part,
    Verdict,
    collect,
    ground_truth,
    judge,
    points,
)
from encompass.evaluate.shapes import Grid, score_shapes
from encompass.schema import Instances

# In the order of COCO's summary. AR10 is the recall when 10 objects a picture are allowed.
METRICS = (
    *("AP", "AP50", "AP75", "APs", "APm", "APl"),
    *("AR1", "AR10", "AR100", "ARs", "ARm", "ARl"),
)
# The thesis's columns: the same at IoU 0.50 alone, where "AP" is COCO's AP50.
METRICS_AT_50 = tuple(metric for metric in METRICS if metric not in ("AP50", "AP75"))


def score_instances(
    dataset: Dataset,
    predict: Callable[[Path], Instances],
    *,
    grid: Grid | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Score a predictor on every picture of a dataset; it is called once for each.

    An object whose mask is a crop without extent has no mask: it counts among the boxes alone.

    Args:
        dataset: pictures and ground truth.
        predict: a picture's path to what it contains, with the dataset's class names.
        grid: on which shapes are counted; without one there are no "shapes".
        progress: called with the numbers of pictures done and in all, after each.

    Returns:
        "box" and "mask" map each of `METRICS`, "box_at_50" and "mask_at_50" each of
        `METRICS_AT_50` to points 0..100, or None where the dataset has no such object; "best_F1"
        maps both to what `best_f1` returns; "num_images" and "num_annotations" (without crowd
        regions); "shapes" as `score_shapes` has it; "curves" has "recall" and, for "box" and
        "mask", what `precision_curves` returns. All of masks is left out when objects of the
        dataset or of the predictor have none.

    Raises:
        UsageError: the predictor's classes are not the dataset's.
    """
    finds = collect(dataset, predict, progress=progress)
    has_masks = all(find.codes is not None for find in finds) and all(
        a.segmentation for sample in dataset.samples for a in sample.annotations
    )
    truth = ground_truth(dataset)
    parts: tuple[Part, ...] = ("box", "mask") if has_masks else ("box",)
    verdicts = {part: judge(truth, finds, part) for part in parts}
    result: dict[str, Any] = {part: _numbers(verdict) for part, verdict in verdicts.items()}
    for part, verdict in verdicts.items():
        at_50 = _numbers(
            Verdict(verdict.precision[AT_50], verdict.recall[AT_50], verdict.scores[AT_50])
        )
        result[f"{part}_at_50"] = {metric: at_50[metric] for metric in METRICS_AT_50}
    result["best_F1"] = {part: best_f1(verdict) for part, verdict in verdicts.items()}
    result["num_images"] = len(dataset)
    result["num_annotations"] = sum(len(sample.objects) for sample in dataset.samples)
    if grid is not None:
        result["shapes"] = score_shapes(dataset, finds, grid, with_masks=has_masks)
    curves = {part: precision_curves(verdict) for part, verdict in verdicts.items()}
    result["curves"] = {"recall": list(RECALLS), **curves}
    return result


def _numbers(verdict: Verdict) -> dict[str, float | None]:
    """COCO's summary over the thresholds there are. Area ranges: all, small, medium, large."""
    precision, recall = verdict.precision, verdict.recall
    values = [
        *(precision[..., 0, -1], precision[AT_50, ..., 0, -1], precision[AT_75, ..., 0, -1]),
        *(precision[..., size, -1] for size in (1, 2, 3)),
        *(recall[..., 0, allowed] for allowed in (0, 1, 2)),
        *(recall[..., size, -1] for size in (1, 2, 3)),
    ]
    return {metric: points(value) for metric, value in zip(METRICS, values, strict=True)}
