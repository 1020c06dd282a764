"""Tables 4.2, 5.5, 5.7 and 5.9 of the thesis: speed, memory and parameters of every row.

    encompass reproduce --table 5.5

The thesis measures TensorFlow's graphs, 200 passes each, on a GeForce RTX 2080 Ti and on an Intel
Core i9-9900K, with the output bytes of TensorFlow's profiler as memory. Here the torch networks are
measured on this machine's CPU, and on its GPU if it has one, by the same definitions
(`evaluate.profile`, docs/profile.md). Absolute figures cannot be compared; ratios between rows can.
Instance rows are measured twice: with the boxes of ten people, and with every branch full, since a
TensorFlow graph computes each branch for all the boxes it can take.

Each row ends in `results/profile/ROW.json`, an instance row in `ROW-padded.json` too, as `encompass
profile ROW --json` writes them; what is there already is not measured again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from encompass.evaluate.profile import profile
from encompass.evaluate.profile_semantic import SIZES, profile_semantic
from encompass.files import write_json
from encompass.models.zoo import SEMANTIC_MODELS

PEOPLE = 10
RUNS = 200  # the thesis's
THREADS = 2


def measure(
    rows: Iterable[str],
    folder: Path,
    *,
    runs: int = RUNS,
    sizes: tuple[tuple[int, int], ...] = SIZES,
    say: Callable[[str], None],
) -> None:
    """Measure rows that have no file yet.

    Args:
        rows: of the zoo.
        folder: of the results; their files lie in profile/.
        runs: timed passes of each.
        sizes: (height, width) of the pictures of semantic rows, pixels.
        say: told what is done.
    """
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]

    def of_labels(row: str) -> list[Any]:
        return [
            profile_semantic(row, size=size, runs=runs, threads=THREADS, device=device)
            for device in devices
            for size in sizes
        ]

    def of_instances(row: str, people: int | None) -> list[Any]:
        return [
            profile(row, people=people, runs=runs, threads=THREADS, device=device)
            for device in devices
        ]

    for row in rows:
        kinds: dict[str, Callable[[], list[Any]]] = (
            {row: lambda row=row: of_labels(row)}
            if row in SEMANTIC_MODELS
            else {
                row: lambda row=row: of_instances(row, PEOPLE),
                f"{row}-padded": lambda row=row: of_instances(row, None),
            }
        )
        for name, measured in kinds.items():
            path = folder / "profile" / f"{name}.json"
            if path.exists():
                say(f"{path}: measured before.")
                continue
            write_json(path, [dataclasses.asdict(record) for record in measured()])
            say(f"{path}: measured.")
