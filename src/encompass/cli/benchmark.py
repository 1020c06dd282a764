"""`encompass benchmark`: models side by side, or where the time of each goes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from encompass.errors import UsageError


@click.command()
@click.option(
    "--model",
    "models",
    metavar="NAME|PATH",
    multiple=True,
    help="A name or an exported file (.onnx, .xml, .tflite); repeat to compare several.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    multiple=True,
    default=(2,),
    show_default="2",
    help="Repeat to compare several.",
)
@click.option("--runs", type=click.IntRange(min=1), default=50, show_default=True)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Score the models as well, on what `encompass evaluate --data` takes: COCO annotations "
    "(.json), or a dataset of label maps. Needs the extra 'train'.",
)
@click.option("--split", metavar="NAME", help="Part of --data that has parts, e.g. val.")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of the pictures of COCO annotations, if not images/ beside them.",
)
@click.option(
    "--pictures",
    type=click.IntRange(min=1),
    metavar="N",
    help="Score on the first N pictures of --data alone, for a quick look.",
)
@click.option(
    "--stages",
    is_flag=True,
    help="Instead, where the time of each model goes, by people in the picture or by its size.",
)
@click.option("--json", "as_json", is_flag=True, help="One record for each row or stage.")
def command(
    models: tuple[str, ...],
    threads: tuple[int, ...],
    runs: int,
    data: Path | None,
    split: str | None,
    images: Path | None,
    pictures: int | None,
    stages: bool,
    as_json: bool,
) -> None:
    """Compare models, formats, precisions and threads in one table.

    Times are median and 95th percentile from a decoded picture to its masks or labels, after a
    warm-up; the models take turns. The picture shows one person in 640x480 pixels, and the score
    threshold is set so that one is found. A semantic model gets a photo of 480x360.

    With --stages each model is timed alone, stage by stage, with 0, 1, 5 and 20 people in the
    picture. A semantic model gets a photo of 480x360 and of 2048x1024 pixels then. Reading the file
    stands apart: it is not in "end to end".
    """
    # Not before it is needed: listing the verbs imports this module too.
    from encompass.run.catalogue import DEFAULT_MODEL

    models = models or (DEFAULT_MODEL,)
    chosen = {"--split": split, "--images": images, "--pictures": pictures}
    if not data and (lost := [option for option, value in chosen.items() if value]):
        raise UsageError(f"{lost[0]} is of the data to score on; give --data too.")
    if stages:
        if data:
            raise UsageError(f"--data {data}: --stages scores nothing; leave one of them out.")
        _stages(models, threads, runs, as_json)
        return
    scored: dict[str, Any] = {"data": None, "num_images": None}
    accuracy: dict[str, dict[str, float | None]] = {}
    if data:
        from encompass.files import describe_data

        accuracy, scored["num_images"] = _accuracies()(
            models, data, split=split, images=images, pictures=pictures, quiet=as_json
        )
        scored["data"] = describe_data(data, split)

    from encompass.run.comparison import compare

    rows = compare(models, threads=threads, runs=runs)
    names = [name for name in models for _ in threads]
    records = [
        dataclasses.asdict(row) | {"accuracy": accuracy.get(name, {})} | scored
        for name, row in zip(names, rows, strict=True)
    ]
    if as_json:
        click.echo(json.dumps(records, indent=2))
        return
    from rich.console import Console

    from encompass.cli._benchmark_tables import comparison_table

    Console().print(comparison_table(records))


def _accuracies() -> Any:
    """The function of that name. Raises UsageError when what it needs is not installed."""
    try:
        from encompass.cli._accuracy import accuracies
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--data: scoring needs {error.name}, of the training half: install the extra 'train' "
            "(pip install '.[train]' in the checkout), or leave --data out."
        ) from None
    return accuracies


def _stages(models: Sequence[str], threads: Sequence[int], runs: int, as_json: bool) -> None:
    """Time each model alone, and print a table of each."""
    from rich.console import Console

    from encompass.cli._benchmark_tables import stages_table
    from encompass.run.benchmark import benchmark

    console = Console()
    every = []
    for name in models:
        for number in threads:
            timings = benchmark(name, threads=number, runs=runs)
            if not as_json:
                console.print(stages_table(timings))
            every += timings
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(timing) for timing in every], indent=2))
