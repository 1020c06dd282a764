"""Tables 4.2, 5.5, 5.7 and 5.9 of the thesis: speed, memory and parameters of every row.

    encompass reproduce --table 5.5
    python -m encompass.studies.costs --runs 20      # all rows of the thesis and ours, fewer passes

The thesis measures TensorFlow's graphs, 200 passes each, on a GeForce RTX 2080 Ti and on an Intel
Core i9-9900K, with the output bytes of TensorFlow's profiler as memory. Here the torch networks are
measured on this machine's CPU, and on its GPU if it has one, by the same definitions
(`evaluate.profile`, docs/profile.md). Absolute figures cannot be compared; ratios between rows can:
rows that are measured in one call take turns. Instance rows are measured twice: with the boxes of
ten people, and with every branch full, since a TensorFlow graph computes each branch for all the
boxes it can take.

Each row ends in `results/profile/ROW.json`, an instance row in `ROW-padded.json` too, as `encompass
profile ROW --json` writes them; what is there already is not measured again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch

from encompass.evaluate.profile import profile
from encompass.evaluate.profile_semantic import SIZES, profile_semantic
from encompass.files import write_json
from encompass.models.zoo import SEMANTIC_MODELS
from encompass.studies import instance, semantic

PEOPLE = 10
RUNS = 200  # the thesis's
THREADS = 2


def measure(
    rows: Sequence[str],
    folder: Path,
    *,
    runs: int = RUNS,
    sizes: tuple[tuple[int, int], ...] = SIZES,
    say: Callable[[str], None],
) -> None:
    """Measure rows that have no file yet, in turn.

    Args:
        rows: of the zoo.
        folder: of the results; their files lie in profile/.
        runs: timed passes of each.
        sizes: (height, width) of the pictures of semantic rows, pixels.
        say: told what is done.
    """
    todo = {name: row for row in rows for name in _names(row) if not _path(folder, name).exists()}
    for name in [name for row in rows for name in _names(row) if name not in todo]:
        say(f"{_path(folder, name)}: measured before.")
    instance = [name for name, row in todo.items() if row not in SEMANTIC_MODELS]
    kinds: list[tuple[list[str], Callable[[list[str], str], list[Any]]]] = [
        *(
            ([n for n, row in todo.items() if row in SEMANTIC_MODELS], partial(_labels, size, runs))
            for size in sizes
        ),
        ([name for name in instance if name == todo[name]], partial(_people, PEOPLE, runs)),
        ([name for name in instance if name != todo[name]], partial(_people, None, runs)),
    ]
    records: dict[str, list[Any]] = {name: [] for name in todo}
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        for names, measured in kinds:
            if names:
                say(f"{len(names)} rows on {device}, {runs} runs of each in turn.")
                found = measured([todo[name] for name in names], device)
                for name, record in zip(names, found, strict=True):
                    records[name].append(dataclasses.asdict(record))
    for name, several in records.items():
        write_json(_path(folder, name), several)
        say(f"{_path(folder, name)}: measured.")


def _names(row: str) -> list[str]:
    """Of a row's files."""
    return [row] if row in SEMANTIC_MODELS else [row, f"{row}-padded"]


def _path(folder: Path, name: str) -> Path:
    return folder / "profile" / f"{name}.json"


def _labels(size: tuple[int, int], runs: int, rows: list[str], device: str) -> list[Any]:
    return profile_semantic(rows, size=size, runs=runs, threads=THREADS, device=device)


def _people(people: int | None, runs: int, rows: list[str], device: str) -> list[Any]:
    return profile(rows, people=people, runs=runs, threads=THREADS, device=device)


@click.command()
@click.option("--results", default="results", type=click.Path(path_type=Path))
@click.option("--runs", default=RUNS, show_default=True, type=click.IntRange(min=1))
def main(results: Path, runs: int) -> None:
    """Measure all rows that have no file yet, in turn."""
    measure((*semantic.ROWS, semantic.OURS, *instance.ROWS), results, runs=runs, say=click.echo)


if __name__ == "__main__":
    main()
