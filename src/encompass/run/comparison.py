"""Models side by side: time from a decoded picture to its masks or labels, size and memory.

The picture is one of `run.benchmark`: one person, each model's score threshold such that it finds
just one; or, of semantic models, the smaller view. The models take turns, so that whatever else
the machine does hits all.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from encompass.environment import commit, versions
from encompass.errors import UsageError
from encompass.files import sha256
from encompass.run.benchmark import (
    PACKAGES,
    SIZES,
    WARM_UP,
    peak_mb,
    scene,
    score_for,
    summary,
    view,
)
from encompass.run.engine import model_files
from encompass.run.machine import Machine, describe_machine
from encompass.run.predictor import Model, SemanticModel, load

PEOPLE = 1  # in the picture of instance models
SIZE = SIZES[0]  # (height, width) of that of semantic models, pixels
REST = 0.05  # seconds before each turn: threads of the one before spin for a while, on its cores
WARM = 2  # runs of each turn that are not counted: they refill the caches
CALLS = 10  # of each turn that are


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One model on so many threads, and on what it was measured."""

    model: str  # of the card
    task: str
    file: str  # its name
    sha256: str  # of the file that opens the model
    runtime: str  # the package that computes
    precision: str
    size_mb: float  # 10^6 bytes of all its files
    threads: int
    height: int  # of the picture, pixels
    width: int
    found: int | None  # objects in the picture; None for a semantic model
    median_ms: float
    p95_ms: float
    ratio: float  # of the median to that of the first
    runs: int
    peak_mb: float | None  # 10^6 bytes, of a process that only predicts; None where not Linux
    machine: Machine
    versions: dict[str, str]
    commit: str  # "" outside a checkout


def compare(names: Sequence[str], *, threads: Sequence[int], runs: int) -> list[Compared]:
    """Time each model, given by name or path, on each number of threads: one row for each.

    Raises:
        UsageError: a name is unknown, or the models are not of one task.
        ModelError: a file cannot be used.
    """
    pairs = [(name, number) for name in names for number in threads]
    models: list[Any] = [load(name, threads=number) for name, number in pairs]
    task = one_task(models)
    picture = view(SIZE) if task == "semantic" else scene(PEOPLE)
    calls = [_call(model, picture) for model in models]
    times = take_turns(calls, runs)
    medians = [summary(spent)[0] for spent in times]
    machine = describe_machine()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder, "picture.jpg")
        Image.fromarray(picture).save(photo, quality=90)
        for (name, number), model, call, spent in zip(pairs, models, calls, times, strict=True):
            median, p95 = summary(spent)
            rows.append(
                Compared(
                    model=model.card.name,
                    task=task,
                    file=model.path.name,
                    sha256=sha256(model.path),
                    runtime=model.runtime,
                    precision=model.card.precision,
                    size_mb=size_mb(model.path),
                    threads=number,
                    height=picture.shape[0],
                    width=picture.shape[1],
                    found=None if task == "semantic" else len(call()),
                    median_ms=median,
                    p95_ms=p95,
                    ratio=round(median / medians[0], 3),
                    runs=runs,
                    peak_mb=peak_mb(name, photo, threads=number),
                    machine=machine,
                    versions=versions(*PACKAGES, model.runtime),
                    commit=commit(),
                )
            )
    return rows


def one_task(models: Sequence[Model]) -> str:
    """The task of all. Raises UsageError when they differ."""
    first = models[0]
    for model in models:
        if model.card.task != first.card.task:
            raise UsageError(
                f"{first.path.name} is of task {first.card.task!r}, {model.path.name} of "
                f"{model.card.task!r}; compare models of one task."
            )
    return first.card.task


def size_mb(path: Path) -> float:
    """10^6 bytes of all files of a model."""
    return round(sum(file.stat().st_size for file in model_files(path)) / 1e6, 3)


def _call(model: Any, picture: np.ndarray) -> Callable[[], Any]:
    if isinstance(model, SemanticModel):
        return partial(model, picture)
    return partial(model, picture, score=score_for(model, picture, PEOPLE))


def take_turns(calls: Sequence[Callable[[], Any]], runs: int) -> list[list[float]]:
    """Milliseconds of each call, `runs` of them, after a warm-up."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        for _ in range(WARM_UP):
            call()
    for done in range(0, runs, CALLS):
        for call, spent in zip(calls, times, strict=True):
            time.sleep(REST)
            for number in range(WARM + min(CALLS, runs - done)):
                start = time.perf_counter()
                call()
                if number >= WARM:
                    spent.append((time.perf_counter() - start) * 1e3)
    return times
