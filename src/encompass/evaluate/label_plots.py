"""Pictures of a semantic result: what was taken for what, and the worst pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from encompass.data.labels import IGNORE, LabelDataset, LabelSample, LabelTable
from encompass.evaluate.miou import LabelPredictor
from encompass.evaluate.plots import INK, save_figure

IGNORED = (235, 235, 235)


def save_label_plots(
    result: dict[str, Any],
    dataset: LabelDataset,
    predict: LabelPredictor,
    folder: Path,
    *,
    num_worst: int = 4,
) -> list[Path]:
    """Draw a result of `score_labels` into confusion.png and worst.png.

    The worst pictures, by their own mIoU, are predicted once more.
    """
    figures = {
        "confusion.png": draw_confusion(result),
        "worst.png": draw_worst(result, dataset, predict, num_worst=num_worst),
    }
    return [save_figure(figure, folder / name) for name, figure in figures.items()]


def draw_confusion(result: dict[str, Any]) -> Figure:
    """The confusion matrix, each row in percent of the class's true pixels, its IoU beside it."""
    names = [row["name"] for row in result["classes"]]
    counts = np.asarray(result["confusion"], dtype=np.float64)
    if not counts[:, -1].any():  # everything is predicted to be some class
        counts = counts[:, :-1]
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.4 + 0.42 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.5:
            colour = "white" if share > 60 else INK
            axes.text(
                column, row, f"{share:.0f}", ha="center", va="center", fontsize=7, color=colour
            )
    rows = [f"{row['name']} {_score(row['IoU'])}" for row in result["classes"]]
    columns = [*names, "no class"][: counts.shape[1]]
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_xticks(range(len(columns)), columns, fontsize=8, rotation=90)
    axes.set_ylabel("truth, with its IoU", color=INK)
    axes.set_xlabel("predicted, % of the truth's pixels", color=INK)
    axes.set_title(
        f"mIoU {_score(result['mIoU'])}, pixels right {_score(result['pixel_accuracy'])} %",
        fontsize=10,
        color=INK,
    )
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=INK)
    return figure


def draw_worst(
    result: dict[str, Any], dataset: LabelDataset, predict: LabelPredictor, *, num_worst: int
) -> Figure:
    """The pictures of lowest mIoU, worst first: picture, truth and prediction side by side."""
    worst = worst_images(result, num_worst)
    figure = Figure(figsize=(10.5, 1 + 2.5 * max(len(worst), 1)), layout="constrained")
    if not worst:
        return figure
    table = dataset.table
    grid = figure.subplots(len(worst), 3, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, title in zip(grid[0], ("picture", "truth", "prediction"), strict=True):
        axes.set_title(title, fontsize=10, color=INK)
    for row, index in zip(grid, worst, strict=True):
        sample, scores = dataset.samples[index], result["images"][index]
        for axes, pixels in zip(row, _panels(sample, table, predict), strict=True):
            axes.imshow(pixels)
        row[0].text(
            0,
            -0.02,
            f"{sample.path.name}: mIoU {_score(scores['mIoU'])}",
            transform=row[0].transAxes,
            va="top",
            fontsize=8,
            color=INK,
        )
    shown = [*zip(table.names, table.colours, strict=True), ("ignored", IGNORED)]
    keys = [
        Patch(
            facecolor="#{:02x}{:02x}{:02x}".format(*colour),
            edgecolor=INK,
            linewidth=0.5,
            label=name,
        )
        for name, colour in shown
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    return figure


def worst_images(result: dict[str, Any], number: int) -> list[int]:
    """Positions of the images of lowest mIoU, worst first; those without a score are left out."""
    scored = [i for i, image in enumerate(result["images"]) if image["mIoU"] is not None]
    return sorted(scored, key=lambda i: result["images"][i]["mIoU"])[:number]


def _panels(
    sample: LabelSample, table: LabelTable, predict: LabelPredictor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture, truth and prediction as colours; what is ignored is nearly white in both."""
    picture, truth = sample.read()
    shown, found = table.paint(truth), table.paint(predict(sample.path))
    shown[truth == IGNORE] = found[truth == IGNORE] = IGNORED
    return picture, shown, found


def _score(points: float | None) -> str:
    return "-" if points is None else f"{points:.1f}"
