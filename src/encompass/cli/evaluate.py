"""`encompass evaluate`: the scores of a model or a checkpoint on a dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from encompass.evaluate.masks import MaskPredictor
    from encompass.evaluate.shapes import Grid
    from encompass.models.instance import SsdIsb
    from encompass.schema import Instances


@click.command(name="evaluate")
@click.argument("model")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="COCO annotations (.json, pictures in images/ beside it) or a folder with images/ and "
    "masks/.",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of the pictures of COCO annotations, if not images/ beside each.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the result to this JSON file.")
@click.option(
    "--plots",
    type=click.Path(path_type=Path, file_okay=False),
    help="Draw precision-recall curves and the scores of each shape into this folder.",
)
@click.option(
    "--quality",
    is_flag=True,
    help="Score the masks of ground-truth boxes too, apart from detection (checkpoints only).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, not as a table.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads; all cores by default.")
def command(
    model: str,
    data: Path,
    images: Path | None,
    out: Path | None,
    plots: Path | None,
    quality: bool,
    as_json: bool,
    threads: int | None,
) -> None:
    """Score MODEL: a name, an exported file (.onnx) or a checkpoint (.safetensors)."""
    import json

    from rich.console import Console
    from rich.progress import Progress

    from encompass.data.sources import load_dataset
    from encompass.environment import commit, cpu_name, versions
    from encompass.evaluate.coco import score_instances
    from encompass.evaluate.masks import score_masks
    from encompass.files import replacing, sha256
    from encompass.run.predictor import usable_cores

    if plots:  # here, so that a missing library is told before the work
        from encompass.evaluate.plots import save_plots

    threads = threads or usable_cores()
    opened = _open(model, threads)
    masks = opened.masks() if quality else None
    dataset = load_dataset(data, images=images, classes=opened.names)
    with Progress(console=Console(stderr=True), transient=True, disable=as_json) as bar:
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
    result = {
        "model": opened.name,
        "file": {"name": opened.path.name, "sha256": sha256(opened.path)},
        "data": f"{data.parent.name}/{data.name}",
        **scores,
        "cpu": cpu_name(),
        "threads": threads,
        "versions": versions("numpy", "onnxruntime", "torch", "faster-coco-eval"),
        "commit": commit(),
    }
    if out:
        with replacing(out) as file:
            file.write((json.dumps(result, indent=2) + "\n").encode())
    if plots:
        for path in save_plots(result, plots):
            click.echo(path, err=True)
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        _print(result)


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
        from encompass.errors import UsageError
        from encompass.evaluate.network import mask_predictor

        if self.network is None:
            raise UsageError(
                f"--quality: {self.path} finds its own boxes; give the checkpoint (.safetensors)."
            )
        return mask_predictor(self.network)


def _open(model: str, threads: int) -> _Opened:
    from encompass.evaluate.network import SCORE_FOR_AP, load_network, network_predictor
    from encompass.evaluate.shapes import Grid
    from encompass.run.predictor import load

    if model.endswith(".safetensors"):
        import torch

        torch.set_num_threads(threads)
        network, record = load_network(Path(model))
        names = tuple(record["names"])
        size = network.spec.input_size
        return _Opened(
            record["name"],
            Path(model),
            names,
            network_predictor(network, names=names),
            Grid((size, size), network.stride),
            network,
        )
    loaded = load(model, threads=threads)
    return _Opened(
        loaded.card.name,
        loaded.path,
        loaded.names,
        lambda path: loaded(path, score=SCORE_FOR_AP),
        Grid.of_input(loaded.card.input_size),
        None,
    )


def _print(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    click.echo(
        f"{result['model']} on {result['data']}: "
        f"{result['num_images']} pictures, {result['num_annotations']} objects"
    )
    parts = [part for part in ("box", "mask") if part in result]
    scores = Table("", *parts, *(f"{part}, IoU 0.50" for part in parts))
    for metric in result["box"]:
        columns = (result[key] for key in (*parts, *(f"{part}_at_50" for part in parts)))
        scores.add_row(metric, *(_points(c[metric]) if metric in c else "" for c in columns))
    console.print(scores)

    shapes = Table("shape", "objects", "found", *(f"{part} AP50" for part in parts))
    if "mask" in parts:
        shapes.add_column("mask IoU")
    for row in result["shapes"]["rows"]:
        shape, objects, found, *values = row.values()
        shapes.add_row(shape, str(objects), str(found), *map(_points, values))
    console.print(shapes)

    if "quality" in result:
        quality = Table("given boxes", "objects", "without mask", "mask IoU", "IoU >= 0.50")
        for name in ("all", "small", "medium", "large"):
            objects, missing, *values = result["quality"][name].values()
            quality.add_row(name, str(objects), str(missing), *map(_points, values))
        console.print(quality)


def _points(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
