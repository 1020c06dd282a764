"""What the scoring of a model hands to `encompass evaluate`, whatever its task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A model and its scores."""

    name: str
    path: Path  # of its file
    scores: dict[str, Any]
    draw: Callable[[dict[str, Any], Path], list[Path]]  # the whole result, into a folder


def points(value: float | None) -> str:
    """As a table shows it; a dash where there is nothing to score."""
    return "-" if value is None else f"{value:.1f}"
