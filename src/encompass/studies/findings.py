"""Findings of the thesis checked on our results; `claims` has them.

A finding says that one row is better than another in one figure, or a row in one figure than in
another. Its margin is the difference of the means over their seeds. It is confirmed when the margin
is above the spread, not confirmed when it is below minus the spread, undecided between. The spread
is what the margin of two equal rows stays within in 95 of 100 cases: Student's factor times the
standard error, from the variance over seeds, pooled over all rows that have several and whose
figure varies at all. That other pictures would give other figures is not in the spread, nor that of
many findings one in twenty is decided by chance.

Seeds of instance rows vary the branches alone. Rows of different detectors differ in how those were
trained as well, of which there is one training each: of them a finding cannot be tested.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Result = Mapping[str, Any]
Results = Mapping[str, Sequence[Result]]  # row -> its results, one for each seed
Verdict = Literal["confirmed", "undecided", "not confirmed", "not testable here"]

# Student's two-sided 95 % factor for 1, 2, .. degrees of freedom: a row of three seeds has two.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179)


def student(freedom: int) -> float:
    """The factor, that of 12 degrees for more."""
    return STUDENT[min(freedom, len(STUDENT)) - 1]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`better` has more points than `worse` in a figure of their results."""

    claim: str
    section: str  # of the thesis
    better: str
    worse: str
    figure: str  # a key of FIGURES
    figure_of_worse: str = ""  # where it is another
    share: float = 1.0  # of the better row's points, which must still be above the worse's

    @property
    def figures(self) -> tuple[str, str]:
        """Of the better row, and of the worse."""
        return self.figure, self.figure_of_worse or self.figure


@dataclass(frozen=True, kw_only=True)
class Check:
    """A finding with what our results say of it."""

    finding: Finding
    better: float  # points, mean over the seeds
    worse: float
    margin: float  # share * better - worse
    spread: float
    seeds: tuple[int, int]  # of the two rows
    testable: bool  # whether one detector served both

    @property
    def verdict(self) -> Verdict:
        """Whether the margin is outside the spread, and on which side."""
        if not self.testable:
            return "not testable here"
        if abs(self.margin) <= self.spread:
            return "undecided"
        return "confirmed" if self.margin > 0 else "not confirmed"


def _subset(ending: str, metric: str) -> Callable[[Result], float | None]:
    """A figure of masks at IoU 0.50 on a subset, on which first seeds alone are scored."""

    def value(result: Result) -> float | None:
        named = (s for name, s in result["subsets"].items() if name.endswith(ending))
        return next((scores["mask_at_50"][metric] for scores in named), None)

    return value


FIGURES: dict[str, Callable[[Result], float | None]] = {
    "AP50": lambda result: result["mask_at_50"]["AP"],
    "AP50 small": lambda result: result["mask_at_50"]["APs"],
    "AP50 medium": lambda result: result["mask_at_50"]["APm"],
    "AP50 large": lambda result: result["mask_at_50"]["APl"],
    "AR100": lambda result: result["mask_at_50"]["AR100"],
    "mask IoU": lambda result: result["quality"]["all"]["mask_IoU"],
    "AP50 of ISB shapes": _subset("-isb", "AP"),
    "AP50 medium of ISB shapes": _subset("-isb", "APm"),
    "AP50 large of ISB shapes": _subset("-isb", "APl"),
    "AR100 of ISB shapes": _subset("-isb", "AR100"),
    "AP50 of matching": _subset("-isb-matching", "AP"),
    "AP50 medium of matching": _subset("-isb-matching", "APm"),
    "AP50 large of matching": _subset("-isb-matching", "APl"),
    "mIoU": lambda result: result["mIoU"],
    "gridding": lambda result: result["gridding"],
}
# Of a figure that one seed alone has, the spread is taken to be that on all pictures.
VARIES_AS = {name: name.split(" of ")[0] for name in FIGURES if " of " in name}


@dataclass(frozen=True, kw_only=True)
class CostFinding:
    """`cheaper` costs less than `dearer` (thesis Tables 4.2, 5.5, 5.7 and 5.9)."""

    claim: str
    cheaper: str
    dearer: str
    on: tuple[str, ...] = ("time", "multiply-adds", "output bytes")  # keys of COSTS
    below: float = 1.0  # `cheaper` costs less than so many times `dearer`


COSTS = {
    "time": lambda profile: profile["whole"]["median_ms"],
    "multiply-adds": lambda profile: profile["whole"]["macs"],
    "output bytes": lambda profile: profile["whole"]["output_bytes"],
    "parameters": lambda profile: profile["whole"]["parameters"],
}


def check_cost(
    finding: CostFinding, profiles: Mapping[str, Mapping[str, Any]], *, noise: float = 0.0
) -> tuple[dict[str, float], Verdict]:
    """Ratios of the two rows' costs, and whether those that the finding is on are all below.

    A ratio of times is the median over turns. It is decided when one of the two is ahead in more
    turns than equal rows would be in 95 of 100 cases (sign test), and undecided in any case where
    the rows did not take turns.

    Args:
        finding: to be checked.
        profiles: records of `encompass profile` by row, with both of its rows.
        noise: a ratio of times no further than this part of the limit from it is undecided too.
    """
    first, second = (profiles[row] for row in (finding.cheaper, finding.dearer))
    ratios = {key: cost(first) / cost(second) for key, cost in COSTS.items()}
    signs = {key: _sign(finding.below - ratio) for key, ratio in ratios.items()}
    signs["time"] = 0
    if took_turns(finding.cheaper, finding.dearer, profiles):
        turns = [a / b for a, b in zip(first["times_ms"], second["times_ms"], strict=True)]
        ratios["time"] = statistics.median(turns)
        ahead = sum(_sign(finding.below - ratio) for ratio in turns)
        clear = abs(ratios["time"] / finding.below - 1) > noise
        if clear and abs(ahead) > 1.96 * len(turns) ** 0.5:
            signs["time"] = _sign(ahead)
    decided = [signs[key] for key in finding.on]
    if min(decided) < 0:
        return ratios, "not confirmed"
    return ratios, "confirmed" if min(decided) > 0 else "undecided"


def took_turns(row: str, other: str, profiles: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the times of two rows' records were measured in the same turns."""
    together = profiles[row].get("together", ())
    return other in together and together == profiles[other].get("together")


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def check(finding: Finding, results: Results) -> Check:
    """What the results say of one finding; some rows have several, whose figure varies."""
    rows = finding.better, finding.worse
    better, worse = (
        _values(results[row], figure) for row, figure in zip(rows, finding.figures, strict=True)
    )
    (first, freedom), (second, other) = (_variance(results, figure) for figure in finding.figures)
    error = finding.share**2 * first / len(better) + second / len(worse)
    detectors = {r.get("detector") for row in rows for r in results[row]}
    return Check(
        finding=finding,
        better=statistics.mean(better),
        worse=statistics.mean(worse),
        margin=finding.share * statistics.mean(better) - statistics.mean(worse),
        spread=student(min(freedom, other)) * error**0.5,
        seeds=(len(better), len(worse)),
        testable=len(detectors) == 1,
    )


def _variance(results: Results, figure: str) -> tuple[float, int]:
    """Of a figure over seeds, pooled over the rows where it varies; and its degrees of freedom."""
    alike = VARIES_AS.get(figure, figure)
    seeds = [_values(several, alike) for several in results.values() if len(several) > 1]
    varying = [values for values in seeds if len(set(values)) > 1]
    freedom = sum(len(values) - 1 for values in varying)
    squares = sum(statistics.variance(values) * (len(values) - 1) for values in varying)
    return squares / freedom, freedom


def _values(several: Sequence[Result], figure: str) -> list[float]:
    """A figure of the results that have it."""
    return [v for result in several if (v := FIGURES[figure](result)) is not None]
