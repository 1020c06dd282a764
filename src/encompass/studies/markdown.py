"""The little Markdown that generated pages are made of."""

from __future__ import annotations

from typing import Any


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table whose first column is left-aligned and whose others are right-aligned."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def points(value: float | None) -> str:
    """One decimal; a dash where there is nothing."""
    return "-" if value is None else f"{value:.1f}"


def machine(record: dict[str, Any]) -> str:
    """What a figure was measured on, from a record with cpu, versions and commit."""
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return f"{record['cpu']}, {versions}, commit `{record['commit']}`"
