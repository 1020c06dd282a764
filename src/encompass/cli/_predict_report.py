"""What `encompass predict` says: while it works, of what failed, and in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from encompass.errors import BadData, EncompassError


@dataclass(frozen=True, kw_only=True)
class Report:
    """Of everything that was predicted: records for a reader, sizes in pixels, times in ms."""

    progress: Progress
    files: list[dict[str, Any]] = field(default_factory=list)  # of pictures
    videos: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    _codes: set[int] = field(default_factory=set)

    def fault(self, source: str | PathLike[str], error: EncompassError) -> None:
        """Say that a source was passed over, and why."""
        message = str(error).removeprefix(f"{source}: ")
        self.errors.append({"file": str(source), "message": message})
        self._codes.add(error.exit_code)
        self.progress.console.print(
            f"Error: {source}: {message}", markup=False, highlight=False, soft_wrap=True
        )

    @property
    def exit_code(self) -> int:
        """0 when nothing failed, 3 when something was bad data, else 1."""
        if not self._codes:
            return 0
        return (BadData if BadData.exit_code in self._codes else EncompassError).exit_code


def progress_bar(*, hidden: bool) -> Progress:
    """A bar on stderr, if a person looks at it."""
    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=hidden or not console.is_terminal)


def show_pictures(report: Report, score: float) -> None:
    """A table for each picture, and where its files are."""
    for file in report.files:
        click.echo(file["file"])
        if "areas" in file:
            _print_areas(file["areas"])
        else:
            _print_detections(file["detections"], score)
        labels = f", labels {file['labels']}" if "labels" in file else ""
        click.echo(f"{_times(file['speed'])}; overlay {file['overlay']}{labels}\n")


def show_videos(report: Report) -> None:
    """A paragraph for each video or camera."""
    for video in report.videos:
        dropped = f", {video['dropped']} dropped" if "dropped" in video else ""
        click.echo(
            f"{video['file']}\n{video['frames']} frames{dropped}, {video['seconds']:.1f} s, "
            f"{video['frames_per_second']:.1f} frames a second; medians: {_times(video['speed'])}; "
            f"overlay {video['overlay']}, predictions {video['predictions']}\n"
        )


def _times(speed: Mapping[str, float]) -> str:
    return ", ".join(f"{stage} {time:.1f} ms" for stage, time in speed.items())


def _print_detections(detections: list[dict[str, Any]], score: float) -> None:
    if not detections:
        click.echo(f"nothing of score {score:g} or more")
        return
    table = Table("#", "label", "score", "box (x0 y0 x1 y1)", "mask, px")
    for number, found in enumerate(detections, start=1):
        table.add_row(
            str(number),
            found["label"],
            f"{found['score']:.2f}",
            " ".join(f"{edge:.0f}" for edge in found["box_xyxy"]),
            f"{found['mask_area']:,}",
        )
    Console().print(table)


def _print_areas(areas: dict[str, int]) -> None:
    """The classes that were found, the largest first."""
    total = sum(areas.values())
    table = Table("label", "px", "of the picture")
    for name, area in sorted(areas.items(), key=lambda one: -one[1]):
        if area:
            table.add_row(name, f"{area:,}", f"{area / total:.1%}")
    Console().print(table)
