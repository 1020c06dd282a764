"""What `encompass benchmark` prints: models side by side, or the stages of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from encompass.cli._scored import points
from encompass.environment import origin
from encompass.run.benchmark import SemanticTiming, Timing
from encompass.run.comparison import PEOPLE


def comparison_table(records: Sequence[Mapping[str, Any]]) -> Table:
    """Models downwards, from the records that --json gives."""
    first = records[0]
    metrics = list(dict.fromkeys(metric for r in records for metric in r["accuracy"]))
    masks = "labels" if first["task"] == "semantic" else f"masks ({PEOPLE} person)"
    title = f"{first['width']}x{first['height']} picture to {masks}, {first['runs']} runs in turn"
    if metrics:
        title += f"; {', '.join(metrics)} of {first['num_images']} pictures of {first['data']}"
    # Narrow, so that a terminal of 80 columns holds it.
    table = Table(title=title, caption=_machine(records), box=SIMPLE_HEAD, padding=0)
    table.add_column("model", overflow="fold", min_width=10)
    for head in ("runtime", "preci-\nsion"):
        table.add_column(head, no_wrap=True)
    numbers = ("file\nMB", "thre-\nads", "median\nms", "p95\nms", "ratio", "peak\nMB")
    for head in (*numbers, *(metric.replace(" ", "\n") for metric in metrics)):
        table.add_column(head, justify="right", no_wrap=True)
    for r in records:
        table.add_row(
            r["file"],
            r["runtime"],
            r["precision"],
            f"{r['size_mb']:.1f}",
            str(r["threads"]),
            *(f"{r[key]:.1f}" for key in ("median_ms", "p95_ms")),
            f"{r['ratio']:.2f}",
            "-" if r["peak_mb"] is None else f"{r['peak_mb']:.0f}",
            *(points(r["accuracy"].get(metric)) for metric in metrics),
        )
    return table


def _machine(records: Sequence[Mapping[str, Any]]) -> str:
    """On what a comparison was measured, with the version of every runtime in it."""
    machine, commit = records[0]["machine"], records[0]["commit"]
    versions = {name: version for r in records for name, version in r["versions"].items()}
    about = [machine["cpu"], f"{machine['usable_cores']} of {machine['logical_cores']} cores"]
    if machine["memory_mb"] is not None:
        about.append(f"{machine['memory_mb'] / 1e3:.1f} GB")
    return origin(", ".join(about), versions, commit)


def stages_table(timings: Sequence[Timing] | Sequence[SemanticTiming]) -> Table:
    """One model: stages downwards, pictures across."""
    first = timings[0]
    pictures: dict[str, list[Timing | SemanticTiming]] = {}
    for timing in timings:
        pictures.setdefault(_picture(timing), []).append(timing)
    columns = list(pictures.values())
    memory = "" if first.peak_mb is None else f", peak memory {columns[-1][0].peak_mb:.0f} MB"
    table = Table(
        title=f"{first.model} ({first.runtime}, {first.precision}): median / p95 in ms of "
        f"{first.runs} runs, {first.threads} threads{memory}",
        caption=origin(first.cpu, first.versions, first.commit),
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
    if isinstance(timing, Timing):
        return str(timing.people)
    return f"{timing.width} x {timing.height}"
