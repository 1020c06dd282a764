"""What our networks cost beside Mask R-CNN, the reference of the thesis's Tables 5.4 and 5.5.

    python benchmarks/against_mask_rcnn.py --python PEER/bin/python \\
        --json results/against_mask_rcnn.json

The peer is torchvision's Mask R-CNN with ResNet-50-FPN and ResNet-101-FPN, for two classes. Its
wheels do not import beside a CPU-only torch of PyPI, so it has an environment of its own, in which
our rows run too, so that both have one PyTorch:

    python3 -m venv PEER
    PEER/bin/pip install torch==2.14.1 torchvision==0.29.1 safetensors pillow \\
        faster-coco-eval

What is timed is the network alone: from a ready tensor of 640x640 to boxes and mask logits, without
resizing before and without pasting masks after; the exported files of ours resize their picture as
well. All compute in float32 on so many threads, each in a process of its own (mask_rcnn_worker.py),
and take turns, so that whatever else the machine does hits all.

Weights are random but in the exported files, which does not change the time, because each gets
`--people` boxes: a random Mask R-CNN scores every box about a half, finds as many as it is allowed
and is allowed so many. It has 1000 proposals, as a trained one has; the result has both numbers.
Of our rows those people's boxes that have a branch get a mask (docs/profile.md).

Figures are those of `encompass profile`, defined in docs/profile.md; peak memory is that of the
worker, which only runs its network. Accuracy is left empty: the peer is not trained here.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from workers import Worker, stop, take_turns

from encompass.environment import commit, cpu_name
from encompass.files import write_json
from encompass.run.benchmark import summary
from encompass.run.catalogue import entries
from encompass.studies.published import MAIN

WORKER = Path(__file__).with_name("mask_rcnn_worker.py")
PEERS = ("resnet50", "resnet101")
ROWS = (*MAIN, *entries())


def describe(kind: str, name: str, facts: dict[str, Any], times: list[float]) -> dict[str, Any]:
    """What a network is, and its times."""
    mean = statistics.fmean(times)
    median, p95 = summary(times)
    return {
        "name": f"Mask R-CNN {name}-fpn" if kind == "mask-rcnn" else name,
        "runtime": "onnxruntime" if kind == "onnx" else "torch",
        "weights": "trained" if kind == "onnx" else "random",
        **facts,
        "mean_ms": round(mean, 3),
        "median_ms": median,
        "p95_ms": p95,
        "fps": round(1e3 / mean, 3),
    }


@click.command()
@click.option(
    "--python",
    required=True,
    type=click.Path(exists=True, dir_okay=False, executable=True, path_type=Path),
    help="Of an environment that has torchvision.",
)
@click.option("--row", "rows", multiple=True, default=ROWS, show_default=True)
@click.option("--model", "models", metavar="NAME|PATH", multiple=True, default=tuple(entries()))
@click.option("--people", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--runs", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(
    python: Path,
    rows: tuple[str, ...],
    models: tuple[str, ...],
    people: int,
    runs: int,
    threads: int,
    json_path: Path | None,
) -> None:
    """Time and weigh rows and exported files of ours beside Mask R-CNN."""
    wanted = [(python, "mask-rcnn", name) for name in PEERS]
    wanted += [(python, "torch", name) for name in rows]
    wanted += [(Path(sys.executable), "onnx", name) for name in models]
    workers = [
        Worker(python, WORKER, kind, name, str(people), str(threads))
        for python, kind, name in wanted
    ]
    try:
        for worker in workers:  # builds its network, one after the other
            worker.ask({"warm": 1, "calls": 0})
        times = take_turns([(worker, {}) for worker in workers], runs)
        networks = [
            describe(kind, name, worker.ask({"facts": True}), spent)
            for worker, (_, kind, name), spent in zip(workers, wanted, times, strict=True)
        ]
    finally:
        stop(workers)
    record = {
        "threads": threads,
        "runs": runs,
        "people": people,
        "timed": "network alone, ready tensor to boxes and mask logits",
        "accuracy": "not trained here",
        "cpu": cpu_name(),
        "commit": commit(),
        "networks": networks,
    }
    Console().print(table(record))
    if json_path:
        write_json(json_path, record)


def table(record: dict) -> Table:
    shown = Table(
        title=f"Network alone, {record['people']} people: {record['runs']} runs in turn, "
        f"{record['threads']} threads",
        caption=f"{record['cpu']}, commit {record['commit'] or 'unknown'}",
    )
    shown.add_column(overflow="fold")
    for column in (
        "boxes",
        "params\nM",
        "GMACs",
        "output\nMB",
        "peak\nMB",
        "FPS",
        "median\nms",
        "p95",
    ):
        shown.add_column(column, justify="right", no_wrap=True)
    for one in record["networks"]:
        counted = one["macs"] is not None
        shown.add_row(
            f"{one['name']}, {one['runtime']}",
            str(one["boxes"]),
            f"{one['parameters'] / 1e6:.2f}",
            f"{one['macs'] / 1e9:.2f}" if counted else "",
            f"{one['output_bytes'] / 1e6:.0f}" if counted else "",
            "" if one["peak_mb"] is None else f"{one['peak_mb']:.0f}",
            *(f"{one[key]:.1f}" for key in ("fps", "median_ms", "p95_ms")),
        )
    return shown


if __name__ == "__main__":
    main()
