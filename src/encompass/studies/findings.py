"""What the thesis concludes of its instance networks (5.2.2 to 5.2.4), checked on our results.

A finding says that one row is better than another in one figure. Its margin is the difference of
our figures, the mean of the differences of equal seeds where both rows have several. It is
confirmed when the margin is above the spread, refuted when it is below minus the spread, undecided
between them. The spread is twice the standard error of the mean of the differences, from the seeds
of both rows or, where a row has one seed, from the differences between the four main rows.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Result = Mapping[str, Any]
Results = Mapping[str, Sequence[Result]]  # row -> its results, one for each seed
Verdict = Literal["confirmed", "undecided", "not confirmed"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`better` has more points than `worse`, in one figure of their results."""

    claim: str
    section: str  # of the thesis; "" for what it assumes and does not test
    better: str
    worse: str
    figure: str  # a key of FIGURES
    share: float = 1.0  # the part of the better row's points that must be above the worse's


@dataclass(frozen=True, kw_only=True)
class Check:
    """A finding with what our results say of it."""

    finding: Finding
    better: float  # points, mean over the seeds
    worse: float
    margin: float
    spread: float
    seeds: int  # that both rows have

    @property
    def verdict(self) -> Verdict:
        """Whether the margin is outside the spread, and on which side."""
        if abs(self.margin) <= self.spread:
            return "undecided"
        return "confirmed" if self.margin > 0 else "not confirmed"


FIGURES: dict[str, Callable[[Result], float]] = {
    "AP50": lambda result: result["mask_at_50"]["AP"],
    "AP50 small": lambda result: result["mask_at_50"]["APs"],
    "AP50 medium": lambda result: result["mask_at_50"]["APm"],
    "AP50 large": lambda result: result["mask_at_50"]["APl"],
    "mask IoU": lambda result: result["quality"]["all"]["mask_IoU"],
}

FINDINGS: tuple[Finding, ...] = (
    Finding(
        claim="Multi-Shape is above Single-Branch overall",
        section="5.2.2",
        better="multi-shape",
        worse="single-branch",
        figure="AP50",
    ),
    Finding(
        claim="Multi-Shape is above Single-Branch on medium objects",
        section="5.2.2",
        better="multi-shape",
        worse="single-branch",
        figure="AP50 medium",
    ),
    Finding(
        claim="Multi-Shape is above Single-Branch on large objects",
        section="5.2.2",
        better="multi-shape",
        worse="single-branch",
        figure="AP50 large",
    ),
    Finding(
        claim="Multi-Shape is above Single-Shape+",
        section="5.2.2",
        better="multi-shape",
        worse="single-shape-plus",
        figure="AP50",
    ),
    Finding(
        claim="Single-Shape+ is above Single-Branch overall",
        section="5.2.2",
        better="single-shape-plus",
        worse="single-branch",
        figure="AP50",
    ),
    Finding(
        claim="Single-Shape fails on large objects: less than half of Single-Branch's",
        section="5.2.2",
        better="single-branch",
        worse="single-shape",
        figure="AP50 large",
        share=0.5,
    ),
    Finding(
        claim="Single-Shape is above Single-Branch on medium objects",
        section="5.2.2",
        better="single-shape",
        worse="single-branch",
        figure="AP50 medium",
    ),
    Finding(
        claim="Single-Shape+ is above Single-Branch on medium objects",
        section="5.2.2",
        better="single-shape-plus",
        worse="single-branch",
        figure="AP50 medium",
    ),
    Finding(
        claim="Depth 0.75 costs accuracy (Single-Branch)",
        section="5.2.4",
        better="single-branch",
        worse="single-branch-mn0.75",
        figure="AP50",
    ),
    Finding(
        claim="Depth 0.75 costs accuracy (Multi-Shape)",
        section="5.2.4",
        better="multi-shape",
        worse="multi-shape-mn0.75",
        figure="AP50",
    ),
    Finding(
        claim="FCN-16 is worse than FCN-8 (Single-Branch)",
        section="5.2.4",
        better="single-branch",
        worse="single-branch-fcn16",
        figure="AP50",
    ),
    Finding(
        claim="FCN-16 is worse than FCN-8 (Multi-Shape)",
        section="5.2.4",
        better="multi-shape",
        worse="multi-shape-fcn16",
        figure="AP50",
    ),
    Finding(
        claim="FCN-16 costs Multi-Shape more than depth 0.75 does",
        section="5.2.4",
        better="multi-shape-mn0.75",
        worse="multi-shape-fcn16",
        figure="AP50",
    ),
    Finding(
        claim="Multi-Shape at depth 0.75 is above Single-Branch at 1.0",
        section="5.2.4",
        better="multi-shape-mn0.75",
        worse="single-branch",
        figure="AP50",
    ),
    Finding(
        claim="NewShapes is below the ten shapes",
        section="5.2.4",
        better="multi-shape",
        worse="multi-shape-new-shapes",
        figure="AP50",
    ),
    Finding(
        claim="SmallShapes is below the ten shapes",
        section="5.2.4",
        better="multi-shape",
        worse="multi-shape-small-shapes",
        figure="AP50",
    ),
    Finding(
        claim="SmallShapes is above NewShapes",
        section="5.2.4",
        better="multi-shape-small-shapes",
        worse="multi-shape-new-shapes",
        figure="AP50",
    ),
    Finding(
        claim="Crops of default anchors train worse masks than crops of boxes",
        section="3.1.4",
        better="single-branch",
        worse="single-branch-anchors",
        figure="AP50",
    ),
    Finding(
        claim="Encompassing boxes are no worse than aligned ones: the same branch, boxes given",
        section="3.1.3",
        better="single-branch",
        worse="single-branch-aligned",
        figure="mask IoU",
    ),
    Finding(
        claim="Multi-Shape's masks are no worse than those of Mask R-CNN's head, boxes given",
        section="3.1.3",
        better="multi-shape",
        worse="mask-rcnn-head",
        figure="mask IoU",
    ),
)

MAIN = ("single-branch", "single-shape", "single-shape-plus", "multi-shape")


def check(finding: Finding, results: Results) -> Check:
    """What the results say of one finding."""
    value = FIGURES[finding.figure]
    better = [finding.share * value(result) for result in results[finding.better]]
    worse = [value(result) for result in results[finding.worse]]
    seeds = min(len(better), len(worse))
    differences = [a - b for a, b in zip(better[:seeds], worse[:seeds], strict=True)]
    if seeds > 1:
        deviation = statistics.stdev(differences)
    else:
        deviation = _deviation(value, results)
    return Check(
        finding=finding,
        better=statistics.mean(better[:seeds]),
        worse=statistics.mean(worse[:seeds]),
        margin=statistics.mean(differences),
        spread=2 * deviation / seeds**0.5,
        seeds=seeds,
    )


def _deviation(value: Callable[[Result], float], results: Results) -> float:
    """Of the difference of two rows with one seed each, from the seeds of the main rows."""
    variances = [statistics.variance(map(value, results[row])) for row in MAIN]
    return (2 * statistics.mean(variances)) ** 0.5
