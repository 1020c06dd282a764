"""What a picture costs by the number of people in it: our files beside YOLO's, end to end.

    python benchmarks/per_object.py --peer-python PEER/bin/python --model multi-shape.onnx \\
        --model multi-shape-mn0.75 --json results/per_object.json
    python benchmarks/per_object.py --runtime openvino ... --json results/per_object_openvino.json

Ours go from a decoded 640x480 picture to box-local masks, the peers from the same picture to what
`YOLO(file).predict(picture)` gives: letterboxed, suppressed, masks at 640x640. Each is a process of
its own (end_to_end_worker.py) with as many threads, and they take turns, as do the numbers of
people, so that a slow minute of the machine is everybody's. Everyone's score threshold
is set so that just so many objects are found as there are people, where scores allow it: what is
found else is told. With nobody in the picture the network of an .onnx file takes turns as well, by
itself and without its masks: what masks cost when nobody is there is the difference. Ratios are
medians over the turns.

The peers are AGPL-3.0: they are never imported here, but called as outside programs, also to write
their files, which are kept in `--cache` and belong in no commit. Their environment needs:

    python3 -m venv PEER
    PEER/bin/pip install torch onnx onnxruntime onnxslim openvino matplotlib numpy \\
        opencv-python-headless pillow polars psutil pyyaml requests scipy
    PEER/bin/pip install --no-deps torchvision ultralytics ultralytics-thop
    PEER/bin/pip install nncf        # for their int8 files, with --runtime openvino

(torchvision without its dependencies, because it would bring another torch.) The time of a network
does not depend on its weights: they are random, unless the released .pt lies in `--cache`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from PIL import Image
from rich.console import Console
from rich.table import Table
from workers import ROOT, Worker, by_turn, stop, take_turns

from encompass.environment import commit, cpu_name
from encompass.files import sha256, write_json
from encompass.run.benchmark import scene, summary
from encompass.run.catalogue import entries, find_model
from encompass.studies.per_object import GRAPHS

SCRIPT = Path(__file__).with_name("end_to_end_worker.py")
PEERS = ("yolo11n-seg", "yolo26n-seg")
# What a peer calls its files, by the format and precision that it is asked for.
FILES = {
    "onnx": "{}.onnx",
    "openvino": "{}_openvino_model",
    "openvino-int8": "{}_int8_openvino_model",
}
PEOPLE = (0, 1, 2, 5, 10, 20, 50)
# A peer would otherwise install packages by itself, and write its settings to the home folder.
QUIET = {"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true"}

# A network of random weights gives every box the same score. So that just so many can be found,
# batch norm first learns the scale of one picture, and what a class is known by is drawn. Boxes
# without an area are no finds.
EXPORT = """
import pathlib, sys
import numpy as np
import torch
from PIL import Image
from ultralytics import YOLO
name, kind, pictures = sys.argv[1:]
pixels = np.array(Image.open(f"{pictures}/images/5.png").resize((640, 640)))
released = pathlib.Path(name + ".pt")
model = YOLO(released if released.exists() else name + ".yaml", task="segment")
if not released.exists():
    torch.manual_seed(0)
    network, head = model.model, model.model.model[-1]
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = None
    with torch.no_grad():
        network.train()(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255)
    network.eval()
    for heads in (head.cv3, getattr(head, "one2one_cv3", ())):
        for layers in heads:
            torch.nn.init.normal_(layers[-1].weight, std=0.1 * layers[-1].in_channels**-0.5)
    if head.reg_max == 1:  # distances as they are: a box then needs some on all its sides
        for heads in (head.cv2, head.one2one_cv2):
            for layers in heads:
                torch.nn.init.normal_(layers[-1].weight, std=0.1 * layers[-1].in_channels**-0.5)
                torch.nn.init.constant_(layers[-1].bias, 4.0)
more = {"nms": False} if "26" in name else {}  # without suppression, as it is made for
kind, _, int8 = kind.partition("-")
if int8:
    more |= {"int8": True, "data": f"{pictures}/data.yaml", "fraction": 1.0}
model.export(format=kind, imgsz=640, device="cpu", **more)
"""
CALIBRATION = range(1, 21)  # people in the pictures that a peer's int8 is calibrated on


def export_peer(python: Path, name: str, kind: str, cache: Path) -> Path:
    """A peer's file in `cache`, written by the peer itself if need be.

    Args:
        python: of the peer's environment.
        name: of its model.
        kind: a key of FILES.
        cache: folder of the peers' files.
    """
    path = cache / FILES[kind].format(name)
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            _write_pictures(Path(folder))
            done = subprocess.run(
                [python.absolute(), "-c", EXPORT, name, kind, folder],
                cwd=cache,
                env={**os.environ, **QUIET, "YOLO_CONFIG_DIR": str(cache)},
                capture_output=True,
                text=True,
            )
        if done.returncode:
            raise click.ClickException(
                f"{python} could not export {name}:\n{done.stderr.strip()}\n"
                "What its environment needs stands at the top of this script."
            )
    return path


def _write_pictures(folder: Path) -> None:
    """A dataset as the peers take it: what is drawn on the pictures does not matter for speed."""
    for part in ("images", "labels"):
        (folder / part).mkdir()
    for people in CALIBRATION:
        Image.fromarray(scene(people)).save(folder / "images" / f"{people}.png")
        (folder / "labels" / f"{people}.txt").write_text("0 0.1 0.1 0.2 0.1 0.2 0.2\n")
    names = "".join(f"  {number}: class {number}\n" for number in range(80))
    (folder / "data.yaml").write_text(
        f"path: {folder}\ntrain: images\nval: images\nnames:\n{names}"
    )


@click.command()
@click.option(
    "--model",
    "models",
    metavar="NAME|PATH",
    multiple=True,
    default=tuple(name for name, entry in entries().items() if entry.card.task == "instance"),
)
@click.option(
    "--peer-python",
    required=True,
    type=click.Path(exists=True, dir_okay=False, executable=True, path_type=Path),
    help="Of an environment that has ultralytics.",
)
@click.option("--peer", "peers", multiple=True, default=PEERS, show_default=True)
@click.option(
    "--runtime",
    type=click.Choice(["onnxruntime", "openvino"]),
    default="onnxruntime",
    show_default=True,
    help="Of the peers; of ours the file tells.",
)
@click.option("--people", "numbers", type=int, multiple=True, default=PEOPLE, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--runs", type=click.IntRange(min=1), default=60, show_default=True)
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / "build" / "peer",
    help="Keeps the peers' files.",
)
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(
    models: tuple[str, ...],
    peer_python: Path,
    peers: tuple[str, ...],
    runtime: str,
    numbers: tuple[int, ...],
    threads: int,
    runs: int,
    cache: Path,
    json_path: Path | None,
) -> None:
    """Time our files and the peers' by the number of people in the picture."""
    cache = cache.resolve()
    kinds = ("openvino-int8", "openvino") if runtime == "openvino" else ("onnx",)
    files = {export_peer(peer_python, name, kind, cache): name for kind in kinds for name in peers}
    own = Path(sys.executable)
    paths = [str(find_model(model)) for model in models]
    wanted = [(own, "ours", path) for path in paths]
    wanted += [(peer_python, "peer", str(path)) for path in files]
    wanted += [(own, "graphs", path) for path in paths if path.endswith(".onnx")]
    quiet = {**QUIET, "YOLO_CONFIG_DIR": str(cache)}
    workers = [
        Worker(python, SCRIPT, kind, path, str(threads), environment=quiet)
        for python, kind, path in wanted
    ]
    peer_names = {str(path): name for path, name in files.items()}
    rows: list[dict[str, Any]] = []
    try:
        timed = [
            (worker, kind, path, {"people": people})
            for people in numbers
            for worker, (_, kind, path) in zip(workers, wanted, strict=True)
            if not people or kind != "graphs"
        ]
        facts = [worker.ask({**asked, "facts": True}) for worker, _, _, asked in timed]
        times = take_turns([(worker, asked) for worker, _, _, asked in timed], runs)
        for fact, (_, kind, path, asked), spent in zip(facts, timed, times, strict=True):
            name: dict[str, Any] = {"file": Path(path).name}
            if kind == "peer":
                name["name"] = peer_names[path]
            else:
                name["sha256"] = sha256(Path(path))
            parts = {kind: spent}
            if kind == "graphs":
                parts = {"network": spent[::2], "boxes": spent[1::2]}
            for part, ms in parts.items():
                median, p95 = summary(ms)
                times_ms = {"median_ms": median, "p95_ms": p95, "turns_ms": by_turn(ms)}
                rows.append({**fact, **name, "kind": part, **asked, **times_ms})
    finally:
        stop(workers)
    record = {
        "threads": threads,
        "runs": runs,
        "timed": "decoded 640x480 picture to masks",
        "cpu": cpu_name(),
        "commit": commit(),
        "rows": rows,
    }
    Console().print(table(record))
    if json_path:
        write_json(json_path, record)


def table(record: dict[str, Any]) -> Table:
    """Models downwards, people across: medians in ms."""
    shown = Table(
        title=f"{record['timed']}, median ms by people: {record['runs']} runs in turn, "
        f"{record['threads']} threads",
        caption=f"{record['cpu']}, commit {record['commit'] or 'unknown'}",
    )
    shown.add_column("")
    numbers = list(dict.fromkeys(row["people"] for row in record["rows"]))
    for number in numbers:
        shown.add_column(str(number), justify="right")
    medians: dict[str, list[str]] = {}
    for row in [row for row in record["rows"] if row["kind"] not in GRAPHS]:
        name = f"{row['name']}, {row['runtime']} {row['precision']}"
        mark = "" if row["found"] == row["people"] else f" ({row['found']} found)"
        medians.setdefault(name, []).append(f"{row['median_ms']:.1f}{mark}")
    for name, cells in medians.items():
        shown.add_row(name, *cells)
    return shown


if __name__ == "__main__":
    main()
