"""`encompass benchmark`: where the time goes, by people in the picture or by its size."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from encompass.run.benchmark import SemanticTiming, Timing


@click.command()
@click.option(
    "--model", "models", metavar="NAME|PATH", multiple=True, help="Repeat to compare several."
)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--runs", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One record for each stage and picture.")
def command(models: tuple[str, ...], threads: int, runs: int, as_json: bool) -> None:
    """Time each stage of a model with 0, 1, 5 and 20 people in a 640x480 picture.

    The score threshold is set for each picture so that so many are found. A semantic model is timed
    on a photo of 480x360 and of 2048x1024 pixels instead.

    Prints median and 95th percentile after a warm-up. "end to end" is from a decoded picture to its
    masks or labels; reading the file stands apart.
    """
    # Not before it is needed: listing the verbs imports this module too.
    from rich.console import Console

    from encompass.run.benchmark import benchmark
    from encompass.run.catalogue import DEFAULT_MODEL

    console = Console()
    every = []
    for name in models or (DEFAULT_MODEL,):
        timings = benchmark(name, threads=threads, runs=runs)
        if not as_json:
            console.print(_table(timings))
        every += timings
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(timing) for timing in every], indent=2))


def _table(timings: list[Timing] | list[SemanticTiming]) -> Table:
    """One model: stages downwards, pictures across."""
    from rich.table import Table

    from encompass.run.benchmark import Timing

    first = timings[0]
    pictures: dict[str, list[Timing | SemanticTiming]] = {}
    for timing in timings:
        pictures.setdefault(_picture(timing), []).append(timing)
    columns = list(pictures.values())
    memory = "" if first.peak_mb is None else f", peak memory {columns[-1][0].peak_mb:.0f} MB"
    about = [first.cpu, *(f"{name} {version}" for name, version in first.versions.items())]
    if first.commit:
        about.append(f"commit {first.commit}")
    table = Table(
        title=f"{first.model}: median / p95 in ms of {first.runs} runs, "
        f"{first.threads} threads{memory}",
        caption=", ".join(about),
    )
    found = [str(column[0].found) for column in columns if isinstance(column[0], Timing)]
    table.add_column("people" if found else "picture, px")
    for picture in pictures:
        table.add_column(picture, justify="right")
    if found:
        table.add_row("found", *found, end_section=True)
    for row in zip(*columns, strict=True):
        table.add_row(row[0].stage, *(f"{t.median_ms:.1f} / {t.p95_ms:.1f}" for t in row))
    return table


def _picture(timing: Timing | SemanticTiming) -> str:
    """What the picture is known by: its people, or its size as width x height."""
    from encompass.run.benchmark import Timing

    if isinstance(timing, Timing):
        return str(timing.people)
    return f"{timing.width} x {timing.height}"
