"""Label maps without logits of every pixel against the same network with them, in one run.

    python benchmarks/against_full_size.py fcn16.onnx --json results/against_full_size.json

Two peers, each the same file with more nodes, in ONNX Runtime as well. In both the logits are
interpolated to the picture and what lies beyond it is cut off; "in graph" then takes the largest of
each pixel inside the graph, "logits" hands the logits out, as an exported network mostly does, and
numpy takes the largest. All go from a decoded picture to its label map. The file is given as many
classes as the thesis's Cityscapes has, by some of its own for the mirrored picture. Two pictures:
this package's photo, enlarged, and coloured squares. What `geometry.labels` costs depends on where
classes meet. They take turns, so that whatever else the machine does hits all; memory is that of a
process each that predicts once.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from rich.console import Console
from rich.table import Table

from encompass import load
from encompass.environment import commit, cpu_name, origin, peak_mb_of, versions
from encompass.files import write_json
from encompass.run.benchmark import PACKAGES, peak_mb, summary, view
from encompass.run.comparison import take_turns
from encompass.run.predictor import SemanticModel

SIZE = (1024, 2048)  # (height, width), pixels
PEERS = ("in graph", "logits")

CHILD = """
import sys
from encompass.environment import peak_mb
from encompass.pictures import read_picture
sys.path.insert(0, sys.argv[4])
from against_full_size import open_full_size
open_full_size(sys.argv[1], int(sys.argv[2]))(read_picture(sys.argv[3]))
print(peak_mb())
"""


def with_classes(path: Path, number: int) -> onnx.ModelProto:
    """A semantic file of ours with so many classes: the first again, of the mirrored picture.

    They win where they are sure and the others are not, as classes do.
    """
    model = onnx.load(path)
    graph = model.graph
    entries = {entry.key: entry for entry in model.metadata_props}
    names, colours = (json.loads(entries[key].value) for key in ("names", "colours"))
    extra = number - len(names)
    if extra <= 0:
        return model
    for entry, values in (
        ("names", [*names, *(f"class {i}" for i in range(len(names), number))]),
        ("colours", [*colours, *([[0, 0, 0]] * extra)]),
    ):
        entries[entry].value = json.dumps(values)
    (last,) = (node for node in graph.node if "logits" in node.output)
    last.output[list(last.output).index("logits")] = "own.logits"
    constants = {
        "places": np.arange(extra) % len(names),
        "start": np.asarray([-1]),
        "end": np.asarray([np.iinfo(np.int64).min]),
        "axis": np.asarray([2]),
    }
    for name, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(value, f"own.{name}"))
    graph.node.extend(
        [
            helper.make_node("Gather", ["own.logits", "own.places"], ["own.some"], axis=0),
            helper.make_node(
                "Slice",
                ["own.some", "own.start", "own.end", "own.axis", "own.start"],  # by -1
                ["own.mirrored"],
            ),
            helper.make_node("Concat", ["own.logits", "own.mirrored"], ["logits"], axis=0),
        ]
    )
    for value in graph.output:
        if value.name == "logits":
            value.type.tensor_type.shape.dim[0].Clear()
    return model


def with_full_size(path: Path, *, labels: bool) -> onnx.ModelProto:
    """A semantic file of ours that ends in "labels" (H, W) uint8, by logits of every pixel.

    Or, without `labels`, in those logits, "full" (classes, H, W) float32.
    """
    model = onnx.load(path)
    graph = model.graph
    black = {"picture": np.zeros((8, 8, 3), np.uint8)}
    stride = int(load(path, threads=1)._engine.run(["stride"], black)[0])
    constants: dict[str, Any] = {
        "batch": np.asarray([0], np.int64),
        "scales": np.asarray([1, 1, stride, stride], np.float32),
        "from": np.asarray([0, 0], np.int64),
        "axes": np.asarray([1, 2], np.int64),
    }
    if labels:
        del constants["axes"]
    for name, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(value, f"full.{name}"))
    interpolated = [
        helper.make_node("Shape", ["picture"], ["full.size"], start=0, end=2),
        helper.make_node("Unsqueeze", ["logits", "full.batch"], ["full.logits"]),
        helper.make_node(
            "Resize", ["full.logits", "", "full.scales"], ["full.pixels"], mode="linear"
        ),
    ]
    if labels:
        ending = [
            helper.make_node("ArgMax", ["full.pixels"], ["full.best"], axis=1, keepdims=0),
            helper.make_node("Squeeze", ["full.best", "full.batch"], ["full.whole"]),
            helper.make_node("Slice", ["full.whole", "full.from", "full.size"], ["full.cut"]),
            helper.make_node("Cast", ["full.cut"], ["labels"], to=TensorProto.UINT8),
        ]
        shape: list[Any] = ["height", "width"]
        output = helper.make_tensor_value_info("labels", TensorProto.UINT8, shape)
    else:
        cut = ["full.whole", "full.from", "full.size", "full.axes"]
        ending = [
            helper.make_node("Squeeze", ["full.pixels", "full.batch"], ["full.whole"]),
            helper.make_node("Slice", cut, ["full"]),
        ]
        shape = ["classes", "height", "width"]
        output = helper.make_tensor_value_info("full", TensorProto.FLOAT, shape)
    graph.node.extend([*interpolated, *ending])
    del graph.output[:]
    graph.output.append(output)
    return model


def open_full_size(path: str | Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """A file of `with_full_size` as a call from picture to labels."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (output,) = session.get_outputs()

    def labels(picture: np.ndarray) -> np.ndarray:
        found: Any = session.run([output.name], {"picture": picture})[0]
        return found if output.name == "labels" else found.argmax(axis=0).astype(np.uint8)

    return labels


def noise(size: tuple[int, int]) -> np.ndarray:
    """(height, width, 3) uint8 RGB: blocks of 32 pixels, each of a random colour."""
    blocks = np.random.default_rng(0).integers(0, 256, (size[0] // 32, size[1] // 32, 3), np.uint8)
    return blocks.repeat(32, axis=0).repeat(32, axis=1)


PICTURES = {"photo": view, "noise": noise}


def measure(path: Path, kind: str, *, classes: int, threads: int, runs: int) -> dict[str, Any]:
    """All forms of a model on a picture of one kind."""
    picture = PICTURES[kind](SIZE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo, own = folder / "view.png", folder / "own.onnx"
        files = {peer: folder / f"{peer}.onnx" for peer in PEERS}
        Image.fromarray(picture).save(photo)
        onnx.save(with_classes(path, classes), own)
        for peer, file in files.items():
            onnx.save(with_full_size(own, labels=peer == "in graph"), file)
        model = load(own, threads=threads)
        if not isinstance(model, SemanticModel):
            raise click.ClickException(f"{path} is not a semantic model.")
        calls: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "ours": lambda picture: model(picture).labels
        }
        calls |= {peer: open_full_size(file, threads) for peer, file in files.items()}
        peaks = {"ours": peak_mb(str(own), photo, threads=threads)}
        given = (str(threads), str(photo), str(Path(__file__).parent))
        peaks |= {peer: peak_mb_of(CHILD, str(file), *given) for peer, file in files.items()}
        turns = [lambda call=call: call(picture) for call in calls.values()]
        times = take_turns(turns, runs)
        labels = [call(picture) for call in calls.values()]
    forms = {}
    for form, spent, found in zip(calls, times, labels, strict=True):
        median, p95 = summary(spent)
        equal = float((found == labels[0]).mean())
        forms[form] = {
            "median_ms": median,
            "p95_ms": p95,
            "peak_mb": peaks[form],
            "equal_pixels": equal,
        }
    return {
        "model": model.card.name,
        "classes": len(model.card.names),
        "picture": kind,
        "height": SIZE[0],
        "width": SIZE[1],
        "forms": forms,
        "runs": runs,
        "threads": threads,
        "cpu": cpu_name(),
        "versions": versions(*PACKAGES, "onnxruntime"),
        "commit": commit(),
    }


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--classes", type=click.IntRange(min=1), default=19, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--runs", type=click.IntRange(min=1), default=30, show_default=True)
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(
    paths: tuple[Path, ...], classes: int, threads: int, runs: int, json_path: Path | None
) -> None:
    """Time exported semantic models, PATHS, at 2048x1024 against their full-size forms."""
    records = [
        measure(path, kind, classes=classes, threads=threads, runs=runs)
        for path in paths
        for kind in PICTURES
    ]
    first = records[0]
    table = Table(
        *("model", "picture", "form", "median / p95 ms", "ours over it", "peak MB", "ours over it"),
        title=f"{first['classes']} classes, {runs} runs in turn, {threads} threads",
        caption=origin(first["cpu"], first["versions"], first["commit"]),
    )
    for r in records:
        ours = r["forms"]["ours"]
        for form, figures in r["forms"].items():
            table.add_row(
                r["model"],
                r["picture"],
                f"{form}, {figures['equal_pixels']:.3%} of labels equal",
                f"{figures['median_ms']:.1f} / {figures['p95_ms']:.1f}",
                f"{ours['median_ms'] / figures['median_ms']:.2f}",
                f"{figures['peak_mb']:.0f}",
                f"{ours['peak_mb'] / figures['peak_mb']:.2f}",
            )
    Console().print(table)
    if json_path:
        write_json(json_path, records)


if __name__ == "__main__":
    main()
