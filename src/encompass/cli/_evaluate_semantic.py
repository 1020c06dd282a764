"""Scores of a semantic network, as a checkpoint or an exported file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click
import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from encompass.cli._scored import Scored, points
from encompass.data.sources import load_labels_of
from encompass.evaluate.miou import score_labels
from encompass.evaluate.semantic import label_predictor, load_semantic
from encompass.run.predictor import Model


def score_semantic(
    model: Path | Model,
    data: Path,
    *,
    split: str | None,
    images: Path | None,
    threads: int,
    quiet: bool,
    pictures: int | None = None,
) -> Scored:
    """Score a checkpoint or an exported model on label maps, or the first `pictures` of them."""
    if isinstance(model, Path):
        torch.set_num_threads(threads)
        path = model
        network, table, record = load_semantic(path)
        name, names, predict = record["name"], table.names, label_predictor(network)
    else:
        exported: Any = model
        name, path, names = model.card.name, model.path, model.names
        predict = lambda picture: exported(picture).labels  # noqa: E731
    dataset = load_labels_of(names, data, split=split, images=images)
    dataset = dataclasses.replace(dataset, samples=dataset.samples[:pictures])
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task(f"scoring {name}", total=len(dataset))
        scores = score_labels(
            dataset, predict, progress=lambda done, _: bar.update(task, completed=done)
        )

    def draw(result: dict[str, Any], folder: Path) -> list[Path]:
        from encompass.evaluate.label_plots import save_label_plots

        return save_label_plots(result, dataset, predict, folder)

    return Scored(name=name, path=path, scores=scores, draw=draw)


def show(result: dict[str, Any]) -> None:
    """Print a result as a table."""
    click.echo(f"{result['model']} on {result['data']}: {result['num_images']} pictures")
    rows = Table("class", "IoU", "% of the pixels")
    pixels = sum(row["num_pixels"] for row in result["classes"])
    for row in result["classes"]:
        share = 100 * row["num_pixels"] / pixels if pixels else None
        rows.add_row(row["name"], points(row["IoU"]), points(share))
    rows.add_section()
    rows.add_row("mIoU", points(result["mIoU"]), "")
    rows.add_row("pixels right", points(result["pixel_accuracy"]), "")
    Console().print(rows)
