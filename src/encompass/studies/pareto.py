"""Accuracy against time: our rows as points, peers as lines where only their time is known.

Times are of one run, `results/per_object.json` (`benchmarks/per_object.py`), from a decoded picture
with two people to their masks; accuracy is the mask AP50 of the same weights, from `results/`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from encompass.evaluate.plots import INK, PALE, plain, save_figure
from encompass.studies.per_object import FIGURES, Line, lines_of, load_records
from encompass.studies.stored import load_instance

PEOPLE = 2
PICTURE = f"{FIGURES}/pareto.png"
FRONT, BEHIND = "#0072B2", "#777777"  # of the family's points, and of the others


class Point(NamedTuple):
    """A row of ours."""

    name: str
    milliseconds: float
    ap50: float  # of masks, in points


def points(folder: Path) -> list[Point]:
    """Our rows whose time and accuracy are both known, in the order of the times' run."""
    found = []
    for name, line in _lines(folder).items():
        if line[PEOPLE]["kind"] == "ours":
            ap50 = _accuracy(folder, name)
            if ap50 is not None:
                found.append(Point(name, line[PEOPLE]["median_ms"], ap50))
    return found


def front(found: list[Point]) -> list[Point]:
    """Those that no other is both as quick and better than, quickest first."""
    best: list[Point] = []
    for point in sorted(found, key=lambda p: (p.milliseconds, -p.ap50)):
        if not best or point.ap50 > best[-1].ap50:
            best.append(point)
    return best


def _lines(folder: Path) -> Mapping[str, Line]:
    record = load_records(folder).get("per_object")
    if record is None:
        return {}
    named = {tuple(name.split(", ")): line for name, line in lines_of(record).items()}
    # A file of 8 bits has an accuracy of its own.
    return {name: line for (name, precision), line in named.items() if precision != "int8"}


def _accuracy(folder: Path, name: str) -> float | None:
    path = folder / f"{name}.json"
    if path.exists():
        return json.loads(path.read_text())["mask"]["AP50"]
    results = load_instance(folder).get(name)
    return results[0]["mask"]["AP50"] if results else None


def save_pareto(folder: Path, figures: Path) -> list[Path]:
    """Draw what was measured; nothing when nothing was."""
    found = points(folder)
    peers = {
        name: line[PEOPLE]["median_ms"]
        for name, line in _lines(folder).items()
        if line[PEOPLE]["kind"] == "peer"
    }
    if not found:
        return []
    return [save_figure(draw(found, peers), figures / Path(PICTURE).name, dpi=120)]


def draw(found: list[Point], peers: Mapping[str, float]) -> Figure:
    """Mask AP50 against milliseconds, a step line along the front."""
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots()
    best = front(found)
    axes.plot(
        [point.milliseconds for point in best],
        [point.ap50 for point in best],
        drawstyle="steps-post",
        color=FRONT,
        linewidth=1.5,
    )
    for point in found:
        colour = FRONT if point in best else BEHIND
        axes.plot(point.milliseconds, point.ap50, marker="o", color=colour, markersize=6)
        axes.annotate(
            point.name,
            (point.milliseconds, point.ap50),
            xytext=(5, 5),
            textcoords="offset points",
            fontsize=8,
            color=colour if point in best else INK,
        )
    for name, milliseconds in peers.items():
        outside = milliseconds == max(peers.values())  # beside the others, not on their lines
        axes.axvline(milliseconds, color=BEHIND, linewidth=1, linestyle="--")
        axes.annotate(
            f"{name}: time alone",
            (milliseconds, 0.98),
            xycoords=("data", "axes fraction"),
            xytext=(3 if outside else -3, 0),
            textcoords="offset points",
            fontsize=8,
            color=BEHIND,
            rotation="vertical",
            ha="left" if outside else "right",
            va="top",
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    ticks = [t for t in (5, 10, 20, 50, 100, 200) if t <= 2 * max(p.milliseconds for p in found)]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set(xlabel=f"ms from picture to masks, {PEOPLE} people", ylabel="mask AP50 on val")
    axes.grid(color=PALE, linewidth=0.8)
    plain(axes)
    return figure


def pareto(folder: Path) -> list[str]:
    """The lines of RESULTS's section; none before there is a result."""
    found = points(folder)
    if not found:
        return []
    return [
        "## Accuracy against time",
        "",
        f"![Mask AP50 against milliseconds]({PICTURE})",
        "",
        "Mask AP50 on `coco-person/person_val.json`, which also chose the family's "
        "`joint.interpolation`, against the time from a decoded 640x480 "
        f"picture with {PEOPLE} people to their masks, all of one run (below); a blue line joins "
        "what no other of ours is both quicker and better than. Of the peers the time alone is "
        "known: their weights could not be had here, and random ones take as long.",
        "",
    ]
