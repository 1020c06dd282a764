"""Precision at 101 levels of recall, as COCO interpolates it: the mean of a curve is its AP."""

from __future__ import annotations

from encompass.evaluate.judge import AT_50, AT_75, Verdict, points

RECALLS = range(101)  # points
_IOUS = {"0.50": AT_50, "0.75": AT_75, "0.50:0.95": slice(None)}


def precision_curves(verdict: Verdict) -> dict[str, list[float]] | None:
    """Precision in points at each of `RECALLS`, objects of all sizes, mean over the classes.

    Returns {"0.50": [...], "0.75": [...], "0.50:0.95": [...]} by IoU, rounded to a hundredth of a
    point; None for a dataset without objects.
    """
    precision = verdict.precision[..., 0, -1]  # (IoUs, recalls, classes)
    if points(precision) is None:
        return None
    return {
        name: [round(points(precision[chosen, level]) or 0.0, 2) for level in RECALLS]
        for name, chosen in _IOUS.items()
    }
