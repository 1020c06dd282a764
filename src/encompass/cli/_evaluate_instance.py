"""Scores of a model that finds instances."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from encompass.cli._scored import Scored, points
from encompass.data.sources import load_dataset
from encompass.errors import UsageError
from encompass.evaluate.coco import score_instances
from encompass.evaluate.masks import MaskPredictor, score_masks
from encompass.evaluate.shapes import Grid
from encompass.models.instance import SsdIsb
from encompass.run.predictor import Model
from encompass.schema import Instances


def score_instance(
    model: Path | Model,
    data: Path,
    *,
    images: Path | None,
    quality: bool,
    tiles: tuple[int, int] | None = None,
    threads: int,
    quiet: bool,
    pictures: int | None = None,
) -> Scored:
    """Score a checkpoint or an exported model on a dataset, or its first `pictures`."""
    opened = _open(model, tiles, threads)
    masks = opened.masks() if quality else None
    dataset = load_dataset(data, images=images, classes=opened.names)
    dataset = dataclasses.replace(dataset, samples=dataset.samples[:pictures])
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task(f"scoring {opened.name}", total=len(dataset))
        scores = score_instances(
            dataset,
            opened.predict,
            grid=opened.grid,
            progress=lambda done, _: bar.update(task, completed=done),
        )
        if masks:
            bar.update(task, description=f"masks of {opened.name}", completed=0)
            scores["quality"] = score_masks(
                dataset,
                masks,
                opened.grid,
                progress=lambda done, _: bar.update(task, completed=done),
            )
    return Scored(name=opened.name, path=opened.path, scores=scores, draw=_draw)


def _draw(result: dict[str, Any], folder: Path) -> list[Path]:
    from encompass.evaluate.plots import save_plots

    return save_plots(result, folder)


@dataclass(frozen=True)
class _Opened:
    """A model as the scorer wants it."""

    name: str
    path: Path
    names: tuple[str, ...]  # of its classes
    predict: Callable[[Path], Instances]
    grid: Grid
    network: SsdIsb | None  # of a checkpoint

    def masks(self) -> MaskPredictor:
        """The branches on given boxes."""
        from encompass.evaluate.network import mask_predictor

        if self.network is None:
            raise UsageError(
                f"--quality: {self.path} finds its own boxes; give the checkpoint (.safetensors)."
            )
        return mask_predictor(self.network)


def _open(model: Path | Model, tiles: tuple[int, int] | None, threads: int) -> _Opened:
    from encompass.evaluate.network import SCORE_FOR_AP, load_network, network_predictor

    if isinstance(model, Path):
        if tiles:
            raise UsageError(f"--tiles: {model} is a checkpoint; export it, and give the file.")
        import torch

        torch.set_num_threads(threads)
        network, record = load_network(model)
        names = tuple(record["names"])
        size = network.spec.input_size
        return _Opened(
            record["name"],
            model,
            names,
            network_predictor(network, names=names),
            Grid((size, size), network.stride),
            network,
        )
    exported: Any = model
    return _Opened(
        model.card.name,
        model.path,
        model.names,
        lambda path: exported(path, score=SCORE_FOR_AP, tiles=tiles),
        Grid.of_input(model.card.input_size),
        None,
    )


def show(result: dict[str, Any]) -> None:
    """Print a result as tables."""
    console = Console()
    click.echo(
        f"{result['model']} on {result['data']}: "
        f"{result['num_images']} pictures, {result['num_annotations']} objects"
    )
    parts = [part for part in ("box", "mask") if part in result]
    scores = Table("", *parts, *(f"{part}, IoU 0.50" for part in parts))
    for metric in result["box"]:
        columns = (result[key] for key in (*parts, *(f"{part}_at_50" for part in parts)))
        scores.add_row(metric, *(points(c[metric]) if metric in c else "" for c in columns))
    console.print(scores)
    for part, best in result["best_F1"].items():
        if best:
            click.echo(f"best F1 of {part}: {best['F1']:.1f} at score {best['score']:.2f}")

    shapes = Table("shape", "objects", "found", *(f"{part} AP50" for part in parts))
    if "mask" in parts:
        shapes.add_column("mask IoU")
    for row in result["shapes"]["rows"]:
        shape, objects, found, *values = row.values()
        shapes.add_row(shape, str(objects), str(found), *map(points, values))
    console.print(shapes)

    if "quality" in result:
        quality = Table("given boxes", "objects", "without mask", "mask IoU", "IoU >= 0.50")
        quality.add_column("boundary IoU")
        for name in ("all", "small", "medium", "large"):
            objects, missing, *values = result["quality"][name].values()
            quality.add_row(name, str(objects), str(missing), *map(points, values))
        console.print(quality)
        pairs = result["quality"]["pairs"]
        click.echo(
            f"{pairs['num_pairs']} pairs in much the same cells, "
            f"both masks right: {points(pairs['both_IoU_50'])}"
        )
