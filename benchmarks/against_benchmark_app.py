"""Our time of an exported OpenVINO file's network against that of OpenVINO's own benchmark_app.

    encompass export encompass-s --format openvino --size 352x352 --out one_size.xml
    python benchmarks/against_benchmark_app.py one_size.xml \\
        --json results/against_benchmark_app.json

Both run the same file on the same picture (one person) and score threshold, with the same number of
threads, precision and hint, one request at a time. Ours is the stage "network" of `encompass
benchmark`, with what Python adds; benchmark_app, a program that comes with OpenVINO's package, is
given the inputs as .npy files and times the request alone. The two take turns, so that whatever
else the machine does hits both. Each turn of benchmark_app is a process that compiles the model
anew; a turn therefore has `--runs` runs, and a ratio of its own.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from encompass import load
from encompass.environment import commit, cpu_name, origin, versions
from encompass.files import write_json
from encompass.run.benchmark import PACKAGES, WARM_UP, scene, score_for
from encompass.run.engine_openvino import computed_in
from encompass.run.predictor import InstanceModel, Model

TOOL = "from openvino.tools.benchmark.main import main; main()"
REST = 0.5  # seconds between turns: threads of the one before spin for a while, on its cores
PEOPLE = 1
MOST = 0.1  # by which the two may differ


def inputs(model: Model) -> tuple[Callable[[], Any], dict[str, np.ndarray]]:
    """A call that predicts the picture, and what the file is fed by it."""
    picture = scene(PEOPLE)
    feed = {"picture": model.fit(picture)}
    if not isinstance(model, InstanceModel):
        return lambda: model(feed["picture"]), feed
    score = score_for(model, feed["picture"], PEOPLE)
    feed["score_threshold"] = np.asarray(score, np.float32)
    return lambda: model(feed["picture"], score=score), feed


def ours(call: Callable[[], Any], runs: int) -> float:
    """Median milliseconds of the stage "network"."""
    for _ in range(WARM_UP):
        call()
    return statistics.median(call().speed["network"] for _ in range(runs))


def theirs(path: Path, folder: Path, *, precision: str, threads: int, runs: int) -> float:
    """Median milliseconds that benchmark_app tells; the inputs lie in the folder."""
    names = [file.stem for file in folder.glob("*.npy")]
    # Its own option for threads excludes the hint.
    (folder / "config.json").write_text(json.dumps({"CPU": {"INFERENCE_NUM_THREADS": threads}}))
    options = {
        "m": path,
        "i": ",".join(f"{name}:{folder / name}.npy" for name in names),
        "hint": "latency",
        "api": "sync",
        "load_config": folder / "config.json",
        "infer_precision": precision,
        "niter": runs,
        "report_type": "no_counters",
        "report_folder": folder,
    }
    arguments = [word for key, value in options.items() for word in (f"-{key}", str(value))]
    done = subprocess.run(
        [sys.executable, "-c", TOOL, *arguments, "-json_stats"], capture_output=True, text=True
    )
    if done.returncode:
        raise click.ClickException(f"benchmark_app failed:\n{done.stdout}{done.stderr}")
    report = json.loads((folder / "benchmark_report.json").read_text())
    return float(report["execution_results"]["latency (ms)"])


def measure(path: Path, *, threads: int, turns: int, runs: int) -> dict[str, Any]:
    """Both on one file, turn by turn."""
    model = load(path, threads=threads)
    call, feed = inputs(model)
    precision = computed_in(model.card.precision)
    medians: dict[str, list[float]] = {"ours": [], "theirs": []}
    with tempfile.TemporaryDirectory() as name:
        for input_name, value in feed.items():
            np.save(Path(name, f"{input_name}.npy"), value)
        for _ in range(turns):
            medians["ours"].append(ours(call, runs))
            time.sleep(REST)
            medians["theirs"].append(
                theirs(path, Path(name), precision=precision, threads=threads, runs=runs)
            )
            time.sleep(REST)
    ratios = [a / b for a, b in zip(*medians.values(), strict=True)]
    return {
        "model": model.card.name,
        "file": path.name,
        "precision": model.card.precision,
        "threads": threads,
        "turns": turns,
        "runs": runs,
        **{f"{who}_ms": round(statistics.median(times), 3) for who, times in medians.items()},
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "cpu": cpu_name(),
        "versions": versions(*PACKAGES, model.runtime),
        "commit": commit(),
    }


@click.command()
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--turns", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--runs", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(
    paths: tuple[Path, ...], threads: int, turns: int, runs: int, json_path: Path | None
) -> None:
    """Time OpenVINO files, PATHS, here and in benchmark_app."""
    if others := [path for path in paths if path.suffix != ".xml"]:
        raise click.UsageError(f"{others[0]} is no OpenVINO file (.xml), which benchmark_app runs.")
    records = [measure(path, threads=threads, turns=turns, runs=runs) for path in paths]
    first = records[0]
    table = Table(
        *("file", "precision", "ours\nms", "benchmark_app\nms", "ratio", "of each turn"),
        title=f"The network alone, median of {turns} turns of {runs} runs, {threads} threads",
        caption=origin(first["cpu"], first["versions"], first["commit"]),
    )
    for r in records:
        table.add_row(
            r["file"],
            r["precision"],
            f"{r['ours_ms']:.2f}",
            f"{r['theirs_ms']:.2f}",
            f"{r['ratio']:.3f}",
            " ".join(f"{ratio:.2f}" for ratio in r["ratios"]),
        )
    console = Console()
    console.print(table)
    apart = [r["file"] for r in records if abs(r["ratio"] - 1) > MOST]
    console.print(f"More than {MOST:.0%} apart: {', '.join(apart) or 'none'}.")
    if json_path:
        write_json(json_path, records)


if __name__ == "__main__":
    main()
