"""Our pictures to masks against YOLO11n-seg's network alone, in one run on one machine.

    python benchmarks/against_yolo.py --peer-python PEER/bin/python --json times.json
    python benchmarks/against_yolo.py --peer-onnx yolo11n-seg.onnx

Ours is timed from a decoded 640x480 picture with one person to its masks; of the peer only
`session.run` on a ready float32 (1, 3, 640, 640) tensor, without its preparing, suppression and
masks. Both run in ONNX Runtime in fp32 with the same number of threads. They take turns, so that
whatever else the machine does hits both.

The peer is AGPL-3.0: it is never imported here, but called as an outside program, once, to write
its ONNX file, which is kept in `--cache` and belongs in no commit. Its own environment needs:

    python3 -m venv PEER
    PEER/bin/pip install torch==2.13.0 onnx onnxruntime onnxslim matplotlib numpy \\
        opencv-python-headless pillow polars psutil pyyaml requests scipy
    PEER/bin/pip install --no-deps torchvision ultralytics ultralytics-thop

(torchvision without its dependencies, because it would bring another torch.) The time of a network
does not depend on its weights: it is built from its description with random ones, unless the
released yolo11n-seg.pt lies in `--cache`.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import onnxruntime
from PIL import Image
from rich.console import Console
from rich.table import Table

from encompass import load
from encompass.environment import commit, cpu_name, versions
from encompass.files import write_json
from encompass.run.benchmark import PACKAGES, peak_mb, scene, summary
from encompass.run.catalogue import DEFAULT_MODEL

ROOT = Path(__file__).parents[1]
PEER = "YOLO11n-seg"
REST = 0.05  # seconds before each turn: threads of the one before spin for a while, on its cores
WARM = 3  # calls of each turn that are not counted: they refill the caches
CALLS = 10  # of each turn that are

EXPORT = """
import pathlib
from ultralytics import YOLO
released = pathlib.Path("yolo11n-seg.pt")
YOLO(released if released.exists() else "yolo11n-seg.yaml").export(
    format="onnx", imgsz=640, simplify=True, device="cpu"
)
"""


def export_peer(python: Path, cache: Path) -> tuple[Path, str]:
    """The peer's ONNX file in `cache`, written by the peer itself if need be, and its weights."""
    weights = "released" if (cache / "yolo11n-seg.pt").exists() else "random"
    path = cache / f"yolo11n-seg-{weights}.onnx"
    if path.exists():
        return path, weights
    cache.mkdir(parents=True, exist_ok=True)
    # It would otherwise install packages by itself, and write its settings to the home folder.
    quiet = {"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true", "YOLO_CONFIG_DIR": str(cache)}
    done = subprocess.run(
        [python.absolute(), "-c", EXPORT],  # not resolved: that would leave its environment
        cwd=cache,
        env={**os.environ, **quiet},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise click.ClickException(
            f"{python} could not export {PEER}:\n{done.stderr.strip()}\n"
            "What its environment needs stands at the top of this script."
        )
    return (cache / "yolo11n-seg.onnx").rename(path), weights


def open_peer(path: Path, threads: int) -> tuple[Callable[[], object], str]:
    """A call that runs the peer's network once, and the version of what wrote the file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    pixels = np.asarray(Image.fromarray(scene(1)).resize((640, 640)), np.float32) / 255
    feed = {name: np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])}
    version = session.get_modelmeta().custom_metadata_map.get("version", "unknown")
    return lambda: session.run(None, feed), version


def take_turns(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each call, `rounds` times `CALLS` of them; the first round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            time.sleep(REST)
            for _ in range(WARM):
                call()
            for _ in range(CALLS):
                start = time.perf_counter()
                call()
                spent = (time.perf_counter() - start) * 1e3
                if number:
                    times[name].append(spent)
    return times


@click.command()
@click.option("--model", "names", metavar="NAME|PATH", multiple=True, default=[DEFAULT_MODEL])
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=20, show_default=True)
@click.option(
    "--peer-python",
    type=click.Path(exists=True, dir_okay=False, executable=True, path_type=Path),
    help="Of an environment that has ultralytics.",
)
@click.option(
    "--peer-onnx",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The peer's file, if it is there already.",
)
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / "build" / "peer",
    help="Keeps the peer's ONNX file.",
)
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(
    names: tuple[str, ...],
    threads: int,
    rounds: int,
    peer_python: Path | None,
    peer_onnx: Path | None,
    cache: Path,
    json_path: Path | None,
) -> None:
    """Time our models end to end against YOLO11n-seg's network alone."""
    if (peer_python is None) == (peer_onnx is None):
        raise click.UsageError(
            f"Give --peer-python, a Python that can export {PEER}, or --peer-onnx, its file. "
            "How to install the former stands at the top of this script."
        )
    if peer_onnx:
        path, weights = peer_onnx, "as given"
    else:
        path, weights = export_peer(peer_python, cache.resolve())
    models = {name: load(name, threads=threads) for name in names}
    picture = scene(1)
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder, "1.jpg")
        Image.fromarray(picture).save(photo, quality=90)
        peaks = {name: peak_mb(name, photo, threads=threads) for name in names}
    found = {name: len(model(picture)) for name, model in models.items()}
    run_peer, version = open_peer(path, threads)
    times = take_turns(
        {PEER: run_peer, **{name: lambda m=model: m(picture) for name, model in models.items()}},
        rounds,
    )

    peer_median, peer_p95 = summary(times[PEER])
    record = {
        "threads": threads,
        "runs": rounds * CALLS,
        "cpu": cpu_name(),
        "versions": versions(*PACKAGES, "onnxruntime"),
        "commit": commit(),
        "peer": {
            "name": PEER,
            "weights": weights,
            "ultralytics": version,
            "timed": "network alone",
            "median_ms": peer_median,
            "p95_ms": peer_p95,
        },
        "models": [],
    }
    for name in names:
        median, p95 = summary(times[name])
        record["models"].append(
            {
                "name": models[name].card.name,
                "timed": "decoded picture to masks",
                "found": found[name],
                "median_ms": median,
                "p95_ms": p95,
                "peak_mb": peaks[name],
                "ratio": round(median / peer_median, 3),
            }
        )
    Console().print(table(record))
    if json_path:
        write_json(json_path, record)


def table(record: dict) -> Table:
    peer = record["peer"]
    about = [record["cpu"], *(f"{name} {version}" for name, version in record["versions"].items())]
    shown = Table(
        title=f"Decoded picture to masks, against {peer['name']}'s network alone: "
        f"{record['runs']} runs in turn, {record['threads']} threads. Ratio: our median over its.",
        caption=f"{', '.join(about)}, commit {record['commit'] or 'unknown'}. "
        f"Peer by ultralytics {peer['ultralytics']}, weights {peer['weights']}.",
    )
    shown.add_column(no_wrap=True)
    for column in ("median ms", "p95 ms", "ratio", "found", "peak MB"):
        shown.add_column(column, justify="right")
    times = [f"{peer[key]:.1f}" for key in ("median_ms", "p95_ms")]
    shown.add_row(f"{peer['name']} network", *times, "1.00", "", "", end_section=True)
    for row in record["models"]:
        times = [f"{row[key]:.1f}" for key in ("median_ms", "p95_ms")]
        peak = "" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}"
        shown.add_row(row["name"], *times, f"{row['ratio']:.2f}", str(row["found"]), peak)
    return shown


if __name__ == "__main__":
    main()
