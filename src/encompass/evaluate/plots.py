"""Pictures of a result: precision against recall, and the scores of each shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from encompass.files import replacing

# Okabe and Ito's, told apart by colour-blind eyes too; dark, middle, light also in grey.
_COLOURS = ("#0072B2", "#E69F00", "#56B4E9")
INK, PALE = "#333333", "#DDDDDD"
_BARS = {"box_AP50": "box AP50", "mask_AP50": "mask AP50", "mask_IoU": "mask IoU of those found"}


def save_plots(result: dict[str, Any], folder: Path) -> list[Path]:
    """Draw a result of `score_instances` that has "shapes", into curves.png and shapes.png."""
    title = f"{result['model']} on {result['data']}"
    figures = {
        "curves.png": draw_curves(result["curves"], title),
        "shapes.png": draw_shapes(result["shapes"], title),
    }
    return [save_figure(figure, folder / name) for name, figure in figures.items()]


def save_figure(figure: Figure, path: Path, *, dpi: int = 150) -> Path:
    """Write a PNG, whole or not at all; gives its path back."""
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=dpi)
    return path


def draw_curves(curves: dict[str, Any], title: str) -> Figure:
    """A panel each for boxes and masks, a line for each IoU; the legend has the area under it."""
    parts = [part for part in ("box", "mask") if part in curves]
    figure = Figure(figsize=(4.4 * len(parts), 5.2), layout="constrained")
    figure.suptitle(title, fontsize=10, color=INK)
    panels = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    for axes, part in zip(panels, parts, strict=True):
        lines = curves[part] or {}  # None where there was nothing to find
        for (iou, precision), colour in zip(lines.items(), _COLOURS, strict=False):
            label = f"IoU {iou}: AP {sum(precision) / len(precision):.1f}"
            reached = sum(value > 0 for value in precision) + 1  # the rest lies on the axis
            x, y = curves["recall"][:reached], precision[:reached]
            axes.plot(x, y, color=colour, linewidth=2, label=label, solid_capstyle="round")
        axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="recall, %", title=part)
        axes.grid(color=PALE, linewidth=0.8)
        plain(axes)
        if lines:
            axes.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.15))
    panels[0].set_ylabel("precision, %")
    return figure


def draw_shapes(shapes: dict[str, Any], title: str) -> Figure:
    """Bars for each shape, smallest first; below each its name and number of objects."""
    rows = [row for row in shapes["rows"] if row["shape"] != "all"]
    bars = {key: label for key, label in _BARS.items() if key in shapes["rows"][-1]}
    figure = Figure(figsize=(max(6.0, 0.7 * len(rows) + 1.2), 4.2), layout="constrained")
    figure.suptitle(title, fontsize=10, color=INK)
    axes = figure.subplots()
    width = 0.8 / len(bars)
    for position, (key, label) in enumerate(bars.items()):
        left = [i + (position - (len(bars) - 1) / 2) * width for i in range(len(rows))]
        heights = [row[key] or 0.0 for row in rows]
        axes.bar(left, heights, width * 0.92, color=_COLOURS[position], label=label, zorder=2)
    names = [f"{row['shape']}\n{row['num_objects']}" for row in rows]
    axes.set_xticks(range(len(rows)), names, fontsize=9)
    axes.tick_params(axis="x", length=0)
    axes.set(ylim=(0, 100), ylabel="points", xlim=(-0.6, max(len(rows), 1) - 0.4))
    axes.set_xlabel("encompassing shape (height x width in cells), number of objects")
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    plain(axes)
    axes.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(bars))
    return figure


def plain(axes: Axes) -> None:
    """No frame but the two axes, and grey for what is not data."""
    axes.set_axisbelow(True)
    axes.title.set_color(INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(colors=INK)
