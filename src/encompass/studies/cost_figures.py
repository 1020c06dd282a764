"""Plots that the thesis lacks: accuracy against time, and what each branch of a row costs.

A section of RESULTS.md and its pictures, from the scores of `results/instance/` and
`results/semantic/` and the costs of `results/profile/` on the CPU.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from encompass.evaluate.plots import INK, PALE, plain, save_figure
from encompass.models.zoo import MODELS, SEMANTIC_MODELS
from encompass.studies.stored import (
    Record,
    load_instance,
    load_instance_costs,
    load_semantic,
    load_semantic_costs,
)

FIGURES = "docs/figures"
# Okabe and Ito's, told apart by colour-blind eyes too: one for the rows that have this in their
# name, the first that fits.
COLOURS = {
    "single-branch": "#0072B2",
    "single-shape": "#E69F00",
    "multi-shape": "#009E73",
    "mask-rcnn": "#000000",
    "squeezenet": "#E69F00",
    "refine": "#D55E00",
    "mobilenet": "#0072B2",
    "": "#999999",
}
MARKERS = "os^DvPX"  # of the rows of one colour
CROPS, BRANCHES = "#E69F00", ("#0072B2", "#56B4E9")
LEGIBLE = 0.1  # of the axis: the least length of a part that has its shape written on it

Rows = Mapping[str, Record]  # records of `encompass profile`


class Point(NamedTuple):
    """What a row takes, and what it is worth."""

    ms: float
    accuracies: tuple[float, ...]  # points, one a seed


def points_of(
    results: Mapping[str, Sequence[Record]], costs: Rows, accuracy: Callable[[Record], float]
) -> dict[str, Point]:
    """The rows that have both results and costs."""
    return {
        row: Point(record["whole"]["median_ms"], tuple(map(accuracy, results[row])))
        for row, record in costs.items()
        if row in results
    }


def _ordered(rows: Rows) -> Rows:
    """In the zoo's order, then others."""
    known = [row for row in (*MODELS, *SEMANTIC_MODELS) if row in rows]
    return {row: rows[row] for row in dict.fromkeys([*known, *rows])}


def _filling(rows: Rows, full: bool) -> str:
    return "every branch full" if full else f"{next(iter(rows.values()))['people']} people"


def figures_of(folder: Path) -> dict[str, tuple[str, Figure]]:
    """Name of the file -> what the plot shows, and the plot; those that have something to show."""
    instance, semantic = load_instance(folder), load_semantic(folder)
    costs = {
        _filling(rows, full): _ordered(rows)
        for (device, full), rows in sorted(load_instance_costs(folder).items())
        if device == "cpu"
    }
    sizes = {
        f"{width}x{height}": _ordered(rows)
        for (height, width), rows in sorted(load_semantic_costs(folder).get("cpu", {}).items())
    }
    masks = {
        title: points_of(instance, rows, lambda result: result["mask_at_50"]["AP"])
        for title, rows in costs.items()
    }
    labels = {
        title: points_of(semantic, rows, lambda result: result["mIoU"])
        for title, rows in sizes.items()
    }
    found: dict[str, tuple[str, Figure]] = {}
    if any(masks.values()):
        plot = draw_points(masks, "mask AP50, points")
        found["instance_time"] = ("Mask AP50 of instance rows against their time", plot)
    if any(labels.values()):
        plot = draw_points(labels, "mIoU, points")
        found["semantic_time"] = ("mIoU of semantic rows against their time", plot)
    if costs:
        plot = draw_branches(costs)
        found["branch_costs"] = ("Time and multiply-adds of crops and branches, by row", plot)
    return found


def cost_figures(folder: Path) -> list[str]:
    """The section, as lines; none when nothing was measured."""
    pictures = [f"![{title}]({FIGURES}/{n}.png)" for n, (title, _) in figures_of(folder).items()]
    if not pictures:
        return []
    return [
        "## Accuracy against time, and the cost of each branch",
        "",
        "What the tables of scores and of speed have, in one place: the median time of the torch "
        "network on the CPU, and the mean accuracy over the seeds with a line from the lowest to "
        "the highest. The last picture leaves the detector out, which all rows of one depth share.",
        "",
        *(line for picture in pictures for line in (picture, "")),
    ]


def save_cost_figures(folder: Path, figures: Path) -> list[Path]:
    """Draw what was measured, each plot into a PNG of its name."""
    return [
        save_figure(figure, figures / f"{name}.png", dpi=120)
        for name, (_, figure) in figures_of(folder).items()
    ]


def styles(rows: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Row -> its colour and its marker, no pair twice among fewer rows of a colour than markers."""
    found: dict[str, tuple[str, str]] = {}
    used: dict[str, int] = {}
    for row in rows:
        colour = next(colour for part, colour in COLOURS.items() if part in row)
        number = used[colour] = used.get(colour, -1) + 1
        found[row] = colour, MARKERS[number % len(MARKERS)]
    return found


def draw_points(panels: Mapping[str, Mapping[str, Point]], accuracy: str) -> Figure:
    """A panel for each way to measure time, {its title: {row: its point}}, and one legend."""
    figure = Figure(figsize=(8.8, 4.6), layout="constrained")
    every = styles(dict.fromkeys(row for points in panels.values() for row in points))
    for axes, (title, points) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items(), strict=True
    ):
        for row, (ms, accuracies) in points.items():
            colour, marker = every[row]
            axes.plot([ms, ms], [min(accuracies), max(accuracies)], color=colour, linewidth=1)
            axes.plot(
                *([ms], [statistics.mean(accuracies)]),
                color=colour,
                marker=marker,
                markersize=7,
                markeredgecolor="white",
                markeredgewidth=0.5,
                linestyle="none",
                label=row,
            )
        axes.set(xlabel="median ms", title=title)
        axes.grid(color=PALE, linewidth=0.8)
        plain(axes)
    figure.axes[0].set_ylabel(accuracy, color=INK)
    handles = {line.get_label(): line for axes in figure.axes for line in axes.lines}
    figure.legend(
        *([handles[row] for row in every], list(every)),
        loc="outside right center",
        frameon=False,
        fontsize=8,
    )
    return figure


def draw_branches(kinds: Mapping[str, Rows]) -> Figure:
    """Bars of what masks cost beside the detector: crops, then branch by branch from left to right.

    Args:
        kinds: how the branches were filled -> row -> its record.
    """
    heights = [len(rows) for rows in kinds.values()]
    figure = Figure(figsize=(8.8, 1.4 * len(kinds) + 0.3 * sum(heights)), layout="constrained")
    grid = figure.subplots(len(kinds), 2, squeeze=False, gridspec_kw={"height_ratios": heights})
    for panels, (title, rows) in zip(grid, kinds.items(), strict=True):
        for axes, key, unit, label in (
            (panels[0], "median_ms", 1, "median ms"),
            (panels[1], "macs", 1e9, "billion multiply-adds"),
        ):
            parts = {row: _parts(record, key, unit) for row, record in rows.items()}
            whole = max(sum(value for _, value in several) for several in parts.values())
            for place, several in enumerate(parts.values()):
                left = 0.0
                for number, (name, value) in enumerate(several):
                    colour = BRANCHES[number % 2] if number else CROPS
                    axes.barh(place, value, 0.72, left, color=colour, zorder=2)
                    if value > LEGIBLE * whole:
                        ink = "white" if colour == BRANCHES[0] else "black"
                        where = {"ha": "center", "va": "center", "fontsize": 7}
                        axes.text(left + value / 2, place, name, color=ink, **where)
                    left += value
            axes.set_yticks(range(len(parts)), list(parts) if axes is panels[0] else [])
            axes.tick_params(axis="y", length=0)
            axes.set(xlabel=label, title=title, ylim=(len(parts) - 0.4, -0.6))
            axes.grid(axis="x", color=PALE, linewidth=0.8)
            plain(axes)
    return figure


def _parts(record: Record, key: str, unit: float) -> list[tuple[str, float]]:
    """Crops and branches of one record with what each costs; a branch without boxes has nothing."""
    return [
        ("{}x{}".format(*stage["shape"]) if stage["shape"] else stage["name"], stage[key] / unit)
        for stage in record["stages"]
        if stage["boxes"]
    ]
