"""`encompass evaluate`: COCO's twelve numbers of a model or a checkpoint on a dataset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
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
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, not as a table.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads; all cores by default.")
def command(
    model: str,
    data: Path,
    images: Path | None,
    out: Path | None,
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
    from encompass.files import replacing, sha256
    from encompass.run.predictor import usable_cores

    threads = threads or usable_cores()
    name, path, names, predict = _open(model, threads)
    dataset = load_dataset(data, images=images, classes=names)
    with Progress(console=Console(stderr=True), transient=True, disable=as_json) as bar:
        task = bar.add_task(f"scoring {name}", total=len(dataset))
        scores = score_instances(
            dataset, predict, progress=lambda done, _: bar.update(task, completed=done)
        )
    result = {
        "model": name,
        "file": {"name": path.name, "sha256": sha256(path)},
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
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        _print(result)


def _open(
    model: str, threads: int
) -> tuple[str, Path, tuple[str, ...], Callable[[Path], Instances]]:
    """The model's name, its file, its classes, and what predicts."""
    from encompass.evaluate.network import SCORE_FOR_AP, load_network, network_predictor
    from encompass.run.predictor import load

    if model.endswith(".safetensors"):
        import torch

        torch.set_num_threads(threads)
        network, record = load_network(Path(model))
        names = tuple(record["names"])
        return record["name"], Path(model), names, network_predictor(network, names=names)
    loaded = load(model, threads=threads)
    predict = lambda path: loaded(path, score=SCORE_FOR_AP)  # noqa: E731
    return loaded.card.name, loaded.path, loaded.names, predict


def _print(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    parts = [part for part in ("box", "mask") if part in result]
    click.echo(f"{result['model']} on {result['data']}")
    table = Table("", *parts)
    for metric in result["box"]:
        values = (result[part][metric] for part in parts)
        table.add_row(metric, *("-" if value is None else f"{value:.1f}" for value in values))
    Console().print(table)
    click.echo(f"{result['num_images']} pictures, {result['num_annotations']} objects")
