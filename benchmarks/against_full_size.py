"""Label maps without logits of every pixel against the same network with them, in one run.

    python benchmarks/against_full_size.py fcn16.onnx --json results/against_full_size.json

The peer is the same file with more nodes, in ONNX Runtime as well: the logits are interpolated to
the picture, the largest of each pixel is taken, and what lies beyond the picture is cut off. Both
go from a decoded picture to its label map. Two pictures: this package's photo, enlarged, and noise,
where every cell may differ from its neighbours, which is the worst case of `geometry.labels`. They
take turns, so that whatever else the machine does hits both; memory is that of a process each that
predicts once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from PIL import Image
from rich.console import Console
from rich.table import Table

from encompass import load
from encompass.environment import commit, cpu_name, peak_mb_of, versions
from encompass.files import write_json
from encompass.run.benchmark import PACKAGES, peak_mb, summary, view
from encompass.run.comparison import take_turns
from encompass.run.predictor import SemanticModel

SIZE = (1024, 2048)  # (height, width), pixels

CHILD = """
import sys
import onnxruntime
from encompass.environment import peak_mb
from encompass.pictures import read_picture
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[2])
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
session.run(["labels"], {"picture": read_picture(sys.argv[3])})
print(peak_mb())
"""


def with_full_size(path: Path) -> onnx.ModelProto:
    """A semantic file of ours that ends in "labels" (H, W) uint8, by logits of every pixel."""
    model = onnx.load(path)
    graph = model.graph
    black = {"picture": np.zeros((8, 8, 3), np.uint8)}
    stride = int(load(path, threads=1)._engine.run(["stride"], black)[0])
    constants: dict[str, Any] = {
        "batch": np.asarray([0], np.int64),
        "scales": np.asarray([1, 1, stride, stride], np.float32),
        "from": np.asarray([0, 0], np.int64),
    }
    for name, value in constants.items():
        graph.initializer.append(onnx.numpy_helper.from_array(value, f"full.{name}"))
    graph.node.extend(
        [
            helper.make_node("Unsqueeze", ["logits", "full.batch"], ["full.logits"]),
            helper.make_node(
                "Resize", ["full.logits", "", "full.scales"], ["full.pixels"], mode="linear"
            ),
            helper.make_node("ArgMax", ["full.pixels"], ["full.best"], axis=1, keepdims=0),
            helper.make_node("Squeeze", ["full.best", "full.batch"], ["full.whole"]),
            helper.make_node("Shape", ["picture"], ["full.size"], start=0, end=2),
            helper.make_node("Slice", ["full.whole", "full.from", "full.size"], ["full.cut"]),
            helper.make_node("Cast", ["full.cut"], ["labels"], to=TensorProto.UINT8),
        ]
    )
    del graph.output[:]
    shape = ["height", "width"]
    graph.output.append(helper.make_tensor_value_info("labels", TensorProto.UINT8, shape))
    return model


def open_full_size(path: str | Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """A file of `with_full_size` as a call from picture to labels."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda picture: session.run(["labels"], {"picture": picture})[0]  # type: ignore[return-value]


def noise(size: tuple[int, int]) -> np.ndarray:
    """(height, width, 3) uint8 RGB: blocks of 32 pixels, each of a random colour."""
    blocks = np.random.default_rng(0).integers(0, 256, (size[0] // 32, size[1] // 32, 3), np.uint8)
    return blocks.repeat(32, axis=0).repeat(32, axis=1)


PICTURES = {"photo": view, "noise": noise}


def measure(path: Path, kind: str, *, threads: int, runs: int) -> dict[str, Any]:
    """Both forms of a model on a picture of one kind."""
    model = load(path, threads=threads)
    if not isinstance(model, SemanticModel):
        raise click.ClickException(f"{path} is not a semantic model.")
    picture = PICTURES[kind](SIZE)
    with tempfile.TemporaryDirectory() as folder:
        full_path, photo = Path(folder, "full.onnx"), Path(folder, "view.png")
        onnx.save(with_full_size(path), full_path)
        Image.fromarray(picture).save(photo)
        full = open_full_size(full_path, threads)
        peaks = {
            "ours": peak_mb(str(path), photo, threads=threads),
            "full": peak_mb_of(CHILD, str(full_path), str(threads), str(photo)),
        }
        calls = {"ours": lambda: model(picture).labels, "full": lambda: full(picture)}
        times = dict(zip(calls, take_turns(tuple(calls.values()), runs), strict=True))
        equal = float((calls["ours"]() == calls["full"]()).mean())
    medians = {name: summary(spent) for name, spent in times.items()}
    return {
        "model": model.card.name,
        "picture": kind,
        "height": SIZE[0],
        "width": SIZE[1],
        "equal_pixels": equal,
        **{f"{name}_median_ms": median for name, (median, _) in medians.items()},
        **{f"{name}_p95_ms": p95 for name, (_, p95) in medians.items()},
        **{f"{name}_peak_mb": peak for name, peak in peaks.items()},
        "ratio": round(medians["ours"][0] / medians["full"][0], 3),
        "runs": runs,
        "threads": threads,
        "cpu": cpu_name(),
        "versions": versions(*PACKAGES, "onnxruntime"),
        "commit": commit(),
    }


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--runs", type=click.IntRange(min=1), default=30, show_default=True)
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(paths: tuple[Path, ...], threads: int, runs: int, json_path: Path | None) -> None:
    """Time exported semantic models, PATHS, at 2048x1024 against their full-size form."""
    records = [
        measure(path, kind, threads=threads, runs=runs) for path in paths for kind in PICTURES
    ]
    table = Table(
        "model", "picture", "ms, median / p95", "full-size", "ratio", "peak MB", "full-size"
    )
    for r in records:
        table.add_row(
            r["model"],
            r["picture"],
            f"{r['ours_median_ms']:.1f} / {r['ours_p95_ms']:.1f}",
            f"{r['full_median_ms']:.1f} / {r['full_p95_ms']:.1f}",
            f"{r['ratio']:.2f}",
            f"{r['ours_peak_mb']:.0f}",
            f"{r['full_peak_mb']:.0f}, {r['equal_pixels']:.3%} of labels equal",
        )
    Console().print(table)
    if json_path:
        write_json(json_path, records)


if __name__ == "__main__":
    main()
