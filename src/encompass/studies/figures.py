"""Pictures of the study of instance rows: the four main ones, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from encompass.evaluate.plots import INK, PALE, plain, save_figure

# Okabe and Ito's, told apart by colour-blind eyes too.
COLOURS = ("#000000", "#E69F00", "#56B4E9", "#0072B2")


def save_figures(results: Mapping[str, Mapping[str, Any]], folder: Path) -> dict[str, Path]:
    """Draw the results of some rows, {row: result}, into curves.png and shapes.png of a folder."""
    figures = {"curves": draw_curves(results), "shapes": draw_shapes(results)}
    return {
        name: save_figure(figure, folder / f"{name}.png", dpi=120)
        for name, figure in figures.items()
    }


def draw_curves(results: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Precision of masks against recall, a panel for each IoU and a line for each row."""
    figure = Figure(figsize=(8.8, 5.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, iou in zip(panels, ("0.50", "0.75"), strict=True):
        for (row, result), colour in zip(results.items(), COLOURS, strict=False):
            precision = result["curves"]["mask"][iou]
            reached = sum(value > 0 for value in precision) + 1  # the rest lies on the axis
            axes.plot(
                result["curves"]["recall"][:reached],
                precision[:reached],
                color=colour,
                linewidth=2,
                label=f"{row}: AP {sum(precision) / len(precision):.1f}",
            )
        axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="recall, %", title=f"masks, IoU {iou}")
        axes.grid(color=PALE, linewidth=0.8)
        plain(axes)
        axes.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.15))
    panels[0].set_ylabel("precision, %")
    return figure


def draw_shapes(results: Mapping[str, Mapping[str, Any]]) -> Figure:
    """IoU of the masks of given boxes by encompassing shape, a bar for each row."""
    several = {row: result["quality"]["shapes"] for row, result in results.items()}
    shapes = next(iter(several.values()))
    figure = Figure(figsize=(0.9 * len(shapes) + 1.5, 4.2), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(several)
    for position, (row, rows) in enumerate(several.items()):
        heights = {shape["shape"]: shape["mask_IoU"] or 0.0 for shape in rows}
        left = [i + (position - (len(several) - 1) / 2) * width for i in range(len(shapes))]
        bars = [heights[shape["shape"]] for shape in shapes]
        axes.bar(left, bars, width * 0.92, color=COLOURS[position], label=row, zorder=2)
    names = [f"{shape['shape']}\n{shape['num_objects']}" for shape in shapes]
    axes.set_xticks(range(len(shapes)), names, fontsize=9)
    axes.tick_params(axis="x", length=0)
    axes.set(ylim=(0, 100), xlim=(-0.6, len(shapes) - 0.4))
    axes.set_ylabel("mask IoU of given boxes, points", color=INK)
    axes.set_xlabel("encompassing shape (height x width in cells), number of persons")
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    plain(axes)
    axes.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), ncols=4)
    return figure
