"""Pictures a second of `encompass predict` over a folder, against those that the network allows.

    python benchmarks/folder_rate.py --copies 200 --json results/folder_rate.json

The bound is the model alone on the same threads: the picture is decoded beforehand, and nothing is
drawn or written. The folder holds copies of this package's photo; each is read, predicted, drawn
and written as the command does. Both take turns, so that whatever else the machine does hits both.
Processor time a picture is told as well, because on as many cores as the network has threads,
reading and writing take what they need from the network.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from encompass import load
from encompass.cli._predict_pictures import predict_pictures
from encompass.cli._predict_report import Report, progress_bar
from encompass.environment import commit, cpu_name, versions
from encompass.files import write_json
from encompass.pictures import read_picture
from encompass.run.benchmark import PACKAGES
from encompass.run.catalogue import DEFAULT_MODEL
from encompass.run.predictor import usable_cores
from encompass.run.source import EXAMPLE


def rate(run: Callable[[], object], pictures: int) -> tuple[float, float]:
    """Pictures a second, and milliseconds of processor time a picture."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return pictures / wall, processor * 1000 / pictures


@click.command()
@click.option("--model", default=DEFAULT_MODEL, show_default=True)
@click.option("--copies", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Of the network; all cores if left.")
@click.option("--json", "out", type=click.Path(path_type=Path, dir_okay=False))
def main(model: str, copies: int, rounds: int, threads: int | None, out: Path | None) -> None:
    threads = threads or usable_cores()
    predict = load(model, threads=threads)
    decoded = read_picture(EXAMPLE)
    rounds_of: dict[str, list[tuple[float, float]]] = {"network": [], "folder": []}
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{i:04}.jpg") for i in range(copies)]
        for path in paths:
            shutil.copyfile(EXAMPLE, path)

        def network() -> None:
            for _ in range(copies):
                predict(decoded)

        def over_folder() -> None:
            report = Report(progress=progress_bar(hidden=True))
            predict_pictures(paths, predict, Path(folder, "out"), report)
            assert len(report.files) == copies

        network()  # not counted: the first runs allocate
        for _ in range(rounds):
            rounds_of["network"].append(rate(network, copies))
            rounds_of["folder"].append(rate(over_folder, copies))

    ratios = [f[0] / n[0] for n, f in zip(*rounds_of.values(), strict=True)]
    record: dict[str, Any] = {
        "model": model,
        "copies": copies,
        "rounds": rounds,
        "threads": threads,
        "cores": usable_cores(),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "cpu": cpu_name(),
        "versions": versions(*PACKAGES, predict.runtime),
        "commit": commit(),
    }
    table = Table("", "pictures/s", "processor ms a picture")
    for name, each in rounds_of.items():
        speed, processor = (statistics.median(values) for values in zip(*each, strict=True))
        record[name] = {"per_second": round(speed, 2), "processor_ms": round(processor, 2)}
        table.add_row(name, f"{speed:.1f}", f"{processor:.1f}")
    console = Console()
    console.print(table)
    console.print(f"ratio {record['ratio']:.3f} (median of {rounds} rounds, {threads} threads)")
    if out:
        write_json(out, record)


if __name__ == "__main__":
    main()
