"""What the thesis concludes of its instance networks (5.2.2 to 5.2.4), checked on our results.

A finding says that one row is better than another in one figure. Its margin is the difference of
the rows' means over the seeds that both have. It is confirmed when the margin is above the spread,
not confirmed when it is below minus the spread, undecided between. The spread is what the margin
of two equal rows stays within in 95 of 100 cases: Student's factor times the standard error, from
the variance over seeds of the main rows, pooled (four rows of three seeds: 8 degrees of freedom).
The seeds vary the branches alone. That other pictures, or another training of the detector, would
give other figures is not in the spread; so rows of different detectors are compared on given boxes.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Result = Mapping[str, Any]
Results = Mapping[str, Sequence[Result]]  # row -> its results, one for each seed
Verdict = Literal["confirmed", "undecided", "not confirmed"]

MAIN = ("single-branch", "single-shape", "single-shape-plus", "multi-shape")
STUDENT = 2.306  # two-sided 95 % at 8 degrees of freedom


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`better` has more points than `worse`, in one figure of their results."""

    claim: str
    section: str  # of the thesis
    better: str
    worse: str
    figure: str  # a key of FIGURES
    share: float = 1.0  # of the better row's points, which must still be above the worse's


@dataclass(frozen=True, kw_only=True)
class Check:
    """A finding with what our results say of it."""

    finding: Finding
    better: float  # points, mean over the seeds
    worse: float
    margin: float  # share * better - worse
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
        claim="Depth 0.75 costs mask accuracy (Single-Branch)",
        section="5.2.4",
        better="single-branch",
        worse="single-branch-mn0.75",
        figure="mask IoU",
    ),
    Finding(
        claim="Depth 0.75 costs mask accuracy (Multi-Shape)",
        section="5.2.4",
        better="multi-shape",
        worse="multi-shape-mn0.75",
        figure="mask IoU",
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
        figure="mask IoU",
    ),
    Finding(
        claim="Multi-Shape at depth 0.75 is above Single-Branch at 1.0",
        section="5.2.4",
        better="multi-shape-mn0.75",
        worse="single-branch",
        figure="mask IoU",
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
        claim="Encompassing boxes give better masks than aligned ones, all else equal",
        section="3.1.3",
        better="single-branch",
        worse="single-branch-aligned",
        figure="mask IoU",
    ),
    Finding(
        claim="Multi-Shape's masks are better than those of Mask R-CNN's head",
        section="3.1.3",
        better="multi-shape",
        worse="mask-rcnn-head",
        figure="mask IoU",
    ),
)


def check(finding: Finding, results: Results) -> Check:
    """What the results say of one finding; every main row has several."""
    value = FIGURES[finding.figure]
    seeds = min(len(results[finding.better]), len(results[finding.worse]))
    better, worse = (
        statistics.mean(value(result) for result in results[row][:seeds])
        for row in (finding.better, finding.worse)
    )
    variance = statistics.mean(statistics.variance(map(value, results[row])) for row in MAIN)
    return Check(
        finding=finding,
        better=better,
        worse=worse,
        margin=finding.share * better - worse,
        spread=STUDENT * ((finding.share**2 + 1) * variance / seeds) ** 0.5,
        seeds=seeds,
    )


@dataclass(frozen=True, kw_only=True)
class CostFinding:
    """`cheaper` costs less than `dearer` (thesis Tables 5.5, 5.7 and 5.9)."""

    claim: str
    cheaper: str
    dearer: str


COST_FINDINGS = (
    CostFinding(
        claim="FCN-16 is cheaper than FCN-8 (Single-Branch)",
        cheaper="single-branch-fcn16",
        dearer="single-branch",
    ),
    CostFinding(
        claim="FCN-16 is cheaper than FCN-8 (Multi-Shape)",
        cheaper="multi-shape-fcn16",
        dearer="multi-shape",
    ),
    CostFinding(
        claim="Depth 0.75 is cheaper than 1.0 (Multi-Shape)",
        cheaper="multi-shape-mn0.75",
        dearer="multi-shape",
    ),
    CostFinding(
        claim="SmallShapes is cheaper than the ten shapes",
        cheaper="multi-shape-small-shapes",
        dearer="multi-shape",
    ),
    CostFinding(
        claim="The ten shapes are cheaper than NewShapes",
        cheaper="multi-shape",
        dearer="multi-shape-new-shapes",
    ),
    CostFinding(
        claim="Single-Shape is cheaper than Single-Branch",
        cheaper="single-shape",
        dearer="single-branch",
    ),
    CostFinding(
        claim="Single-Branch is cheaper than Multi-Shape",
        cheaper="single-branch",
        dearer="multi-shape",
    ),
)
