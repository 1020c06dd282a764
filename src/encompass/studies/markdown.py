"""The little Markdown that generated pages are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from encompass.studies.findings import CostFinding


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table whose first column is left-aligned and whose others are right-aligned."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def points(value: float | None) -> str:
    """One decimal; a dash where there is nothing."""
    return "-" if value is None else f"{value:.1f}"


def machine(record: Mapping[str, Any]) -> str:
    """What a figure was measured on, from a record with cpu, versions and commit."""
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return f"{record['cpu']}, {versions}, commit `{record['commit']}`"


def cost_findings(
    findings: Iterable[CostFinding], profiles: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """A table of the findings on costs, from records of `encompass profile` by row."""
    rows = []
    for finding in findings:
        if not {finding.cheaper, finding.dearer} <= profiles.keys():
            continue
        cheaper, dearer = (profiles[row]["whole"] for row in (finding.cheaper, finding.dearer))
        ratios = [cheaper[key] / dearer[key] for key in ("median_ms", "macs", "output_bytes")]
        verdict = "confirmed" if all(ratio < 1 for ratio in ratios) else "not confirmed"
        rows.append([finding.claim, *(f"{ratio:.2f}" for ratio in ratios), verdict])
    return [
        "Ratios of the first row's cost to the second's; confirmed when all three are below 1.",
        "",
        table(["finding", "time", "multiply-adds", "output bytes", "here"], rows),
        "",
    ]
