"""The little Markdown that generated pages are made of."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from encompass.studies.findings import COSTS, CostFinding, check_cost, took_turns


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table whose first column is left-aligned and whose others are right-aligned."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def points(value: float | None) -> str:
    """One decimal; a dash where there is nothing."""
    return "-" if value is None else f"{value:.1f}"


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation of two values or more."""
    return f"{statistics.mean(values):.1f} +- {statistics.stdev(values):.1f}"


def machine(*records: Mapping[str, Any]) -> str:
    """What figures were measured on, all of it, from records with cpu, versions and commit."""

    def named(values: Iterable[str]) -> str:
        return " and ".join(dict.fromkeys(values))

    versions = ", ".join(
        f"{name} {named(r['versions'].get(name, 'none') for r in records)}"
        for name in records[0]["versions"]
    )
    commits = named(f"`{record['commit']}`" for record in records)
    return f"{named(record['cpu'] for record in records)}, {versions}, commit {commits}"


def cost_findings(
    findings: Iterable[CostFinding],
    profiles: Mapping[str, Mapping[str, Any]],
    *,
    control: tuple[str, str] | None = None,
) -> list[str]:
    """A table of the findings on costs, from records of `encompass profile` by row.

    `control` names two rows of one network, whose times tell what a ratio of times can mean.
    """
    noise, told = 0.0, []
    if control and profiles.keys() >= set(control) and took_turns(*control, profiles):
        row, same = control
        ratios, _ = check_cost(CostFinding(claim="", cheaper=row, dearer=same), profiles)
        noise = abs(ratios["time"] - 1)
        told = [
            f"As a control, `{row}` and `{same}` are one network, measured in the same turns under "
            f"two names: the ratio of its times to themselves is {ratios['time']:.3f}. A ratio "
            "that is no further from the limit is undecided too.",
            "",
        ]
    rows = []
    for finding in findings:
        if not {finding.cheaper, finding.dearer} <= profiles.keys():
            continue
        ratios, verdict = check_cost(finding, profiles, noise=noise)
        shown = [
            f"**{ratio:.3f}**" if key in finding.on else f"{ratio:.3f}"
            for key, ratio in ratios.items()
        ]
        rows.append([finding.claim, *shown, f"{finding.below:g}", verdict])
    return [
        "Ratios of the first row's cost to the second's. A finding is on those in bold, and "
        "confirmed when they are all below the limit; a time is decided when one row is ahead in "
        "enough of the turns (sign test, 5 %).",
        "",
        table(["finding", *COSTS, "limit", "here"], rows),
        "",
        *told,
    ]
