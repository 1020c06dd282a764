"""Findings of the thesis checked on our results; `claims` has them.

A finding says that one row is better than another in one figure. Its margin is the difference of
the rows' means over the seeds that both have. It is confirmed when the margin is above the spread,
not confirmed when it is below minus the spread, undecided between. The spread is what the margin
of two equal rows stays within in 95 of 100 cases: Student's factor times the standard error, from
the variance over seeds of all rows that have several, pooled (four rows of three seeds: 8 degrees
of freedom). That other pictures would give other figures is not in the spread; nor is, of instance
rows, another training of the detector, for seeds vary the branches alone: rows of different
detectors are compared on given boxes.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Result = Mapping[str, Any]
Results = Mapping[str, Sequence[Result]]  # row -> its results, one for each seed
Verdict = Literal["confirmed", "undecided", "not confirmed"]

# Student's two-sided 95 % factor by degrees of freedom: two for each row of three seeds.
STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306}


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
    "mIoU": lambda result: result["mIoU"],
    "lone cells": lambda result: result["lone_cells"],
}


@dataclass(frozen=True, kw_only=True)
class CostFinding:
    """`cheaper` costs less than `dearer` (thesis Tables 4.2, 5.5, 5.7 and 5.9)."""

    claim: str
    cheaper: str
    dearer: str


def check(finding: Finding, results: Results) -> Check:
    """What the results say of one finding; some rows have several."""
    value = FIGURES[finding.figure]
    seeds = min(len(results[finding.better]), len(results[finding.worse]))
    better, worse = (
        statistics.mean(value(result) for result in results[row][:seeds])
        for row in (finding.better, finding.worse)
    )
    repeated = [several for several in results.values() if len(several) > 1]
    variance = statistics.mean(statistics.variance(map(value, several)) for several in repeated)
    freedom = sum(len(several) - 1 for several in repeated)
    return Check(
        finding=finding,
        better=better,
        worse=worse,
        margin=finding.share * better - worse,
        spread=STUDENT[freedom] * ((finding.share**2 + 1) * variance / seeds) ** 0.5,
        seeds=seeds,
    )
