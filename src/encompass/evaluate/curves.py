"""Precision at 101 levels of recall, as COCO interpolates it: the mean of a curve is its AP."""

from __future__ import annotations

import numpy as np

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


def best_f1(verdict: Verdict) -> dict[str, float] | None:
    """The score threshold of the best F1 at IoU 0.50, objects of all sizes, mean over the classes.

    F1 is the harmonic mean of precision and recall, here at COCO's levels of recall.

    Returns {"F1": points 0..100, "score": the threshold}; None where nothing is found rightly.
    """
    precision, scores = (
        values[AT_50, :, :, 0, -1][0] for values in (verdict.precision, verdict.scores)
    )  # (recalls, classes)
    recall = np.asarray(RECALLS)[:, None] / 100
    reached = precision > 0
    f1 = np.where(reached, 2 * precision * recall / np.where(reached, precision + recall, 1), 0)
    classes = np.flatnonzero((precision > -1).any(axis=0))
    best: dict[str, float] | None = None
    for score in np.unique(scores[reached]):
        # The last level that finds of this score and above reach; at level 0 F1 is 0.
        last = ((scores >= score) & reached).sum(axis=0)[classes] - 1
        mean = 100 * float(f1[np.maximum(last, 0), classes].mean())
        if best is None or mean > best["F1"]:
            best = {"F1": round(mean, 2), "score": round(float(score), 4)}
    return best
