"""Findings of the thesis's person study (4.3.3), checked over cells that differ in nothing else.

A cell has one training, so nothing is known of how seeds vary. But a finding on methods can be read
off at every rate, background and size: each gives one margin. It is confirmed when their mean is
above the spread, not confirmed when it is below minus the spread, undecided between. The spread is
what the mean of margins around zero stays within in 95 of 100 cases: Student's factor times the
standard error of the margins.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from encompass.studies.findings import Verdict, student

FACTORS = ("method", "rate", "background", "size")
Cells = Mapping[tuple[Any, ...], float]  # (method, rate, background, size) -> IoU, points
Term = tuple[int, Mapping[str, Any]]  # a sign, and what the cells have that are counted with it


@dataclass(frozen=True, kw_only=True)
class PairFinding:
    """The sum of the terms is above zero, whatever the factors that they do not name."""

    claim: str
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class PairCheck:
    """What two margins or more say of a finding."""

    margins: tuple[float, ...]  # points

    @property
    def mean(self) -> float:
        """The margin, points."""
        return statistics.mean(self.margins)

    @property
    def spread(self) -> float:
        """What chance alone stays within, points."""
        error = statistics.stdev(self.margins) / len(self.margins) ** 0.5
        return student(len(self.margins) - 1) * error

    @property
    def verdict(self) -> Verdict:
        """Whether the margin is outside the spread, and on which side."""
        if abs(self.mean) <= self.spread:
            return "undecided"
        return "confirmed" if self.mean > 0 else "not confirmed"


def above(better: Mapping[str, Any], worse: Mapping[str, Any]) -> tuple[Term, ...]:
    """Cells that have `better` are above those that have `worse` instead."""
    return ((1, better), (-1, worse))


def margins_of(finding: PairFinding, cells: Cells) -> tuple[float, ...]:
    """The sum of the finding's terms for each combination of the other factors that is there."""
    named = {factor for _, has in finding.terms for factor in has}
    free = [factor for factor in FACTORS if factor not in named]
    values = [dict.fromkeys(_value(cell, factor) for cell in cells) for factor in free]
    margins = []
    for chosen in product(*values):
        rest = dict(zip(free, chosen, strict=True))
        keys = [(sign, _key({**rest, **has})) for sign, has in finding.terms]
        if all(key in cells for _, key in keys):
            margins.append(sum(sign * cells[key] for sign, key in keys))
    return tuple(margins)


def _value(cell: tuple[Any, ...], factor: str) -> Any:
    return cell[FACTORS.index(factor)]


def _key(has: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(has[factor] for factor in FACTORS)
