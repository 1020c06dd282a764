"""Time and memory of a model on this machine: each stage, by what it depends on.

An instance model's time depends on the number of people. A picture shows n copies of one photo side
by side, as large as they fit. The people therefore cover about the same area whatever their number,
and one person fills the picture: no size is favoured. A semantic model's time depends on the size
of the picture: the photo, cut to its shape. The photo is `source.EXAMPLE`.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, sqrt
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

from encompass.environment import commit, cpu_name, peak_mb_of, versions
from encompass.pictures import read_picture
from encompass.run.label_map import LabelMap
from encompass.run.predictor import LABEL_STAGES, InstanceModel, SemanticModel, load
from encompass.run.result import Result
from encompass.run.source import EXAMPLE

STAGES = ("read", "pre", "network", "mask decode", "end to end")
SEMANTIC_STAGES = (*LABEL_STAGES, "end to end")
PEOPLE = (0, 1, 5, 20)
SIZES = ((360, 480), (1024, 2048))  # (height, width), pixels: CamVid's in most papers, Cityscapes'
PACKAGES = ("numpy", "pillow")  # that do the work beside the runtime
LOWEST = 0.01  # score below which nothing is looked for
WARM_UP = 5  # runs, not counted: the first ones allocate

Predicted = TypeVar("Predicted", Result, LabelMap)

_HEIGHT, _WIDTH = 480, 640
_GROUND = (190, 184, 178)  # the photo's own backdrop

_CHILD = """
import sys, encompass
from encompass.environment import peak_mb
encompass.load(sys.argv[1], threads=int(sys.argv[2]))(sys.argv[3])
print(peak_mb())
"""


@dataclass(frozen=True, kw_only=True)
class _Timing:
    """One stage of one model on one picture, and on what it was measured."""

    model: str
    runtime: str  # the package that computes
    precision: str
    stage: str  # the last is from decoded picture to masks or labels, so without "read"
    median_ms: float
    p95_ms: float
    runs: int
    threads: int
    peak_mb: float | None  # 10^6 bytes, of a process that only predicts; None where not Linux
    cpu: str
    versions: dict[str, str]
    commit: str  # "" outside a checkout


@dataclass(frozen=True, kw_only=True)
class Timing(_Timing):
    """Of an instance model; its stages are `STAGES`, its peak is that of the most people."""

    people: int  # in the picture
    found: int  # by the model


@dataclass(frozen=True, kw_only=True)
class SemanticTiming(_Timing):
    """Of a semantic model; its stages are `SEMANTIC_STAGES`, its peak is that of the picture."""

    height: int  # of the picture, pixels
    width: int


def scene(people: int) -> np.ndarray:
    """(480, 640, 3) uint8 RGB: so many people side by side, none overlapping."""
    canvas = Image.new("RGB", (_WIDTH, _HEIGHT), _GROUND)
    if people:
        columns = max(1, round(sqrt(people * _WIDTH / _HEIGHT)))
        width, height = _WIDTH // columns, _HEIGHT // ceil(people / columns)
        with Image.open(EXAMPLE) as photo:
            person = ImageOps.contain(photo, (width, height))
        for i in range(people):
            row, column = divmod(i, columns)
            canvas.paste(person, (column * width + (width - person.width) // 2, row * height))
    return np.asarray(canvas)


def view(size: tuple[int, int]) -> np.ndarray:
    """(height, width, 3) uint8 RGB: the middle of the photo, resized."""
    height, width = size
    with Image.open(EXAMPLE) as photo:
        return np.asarray(ImageOps.fit(photo.convert("RGB"), (width, height)))


def benchmark(name: str, *, threads: int, runs: int) -> list[Timing] | list[SemanticTiming]:
    """Time one model, given by name or path, on each picture: one row for each stage."""
    model = load(name, threads=threads)
    if isinstance(model, SemanticModel):
        return _benchmark_semantic(model, name, threads=threads, runs=runs)
    return _benchmark_instance(model, name, threads=threads, runs=runs)


def _benchmark_instance(
    model: InstanceModel, name: str, *, threads: int, runs: int
) -> list[Timing]:
    timings = []
    with tempfile.TemporaryDirectory() as folder:
        paths = {people: Path(folder, f"{people}.jpg") for people in PEOPLE}
        for people, path in paths.items():
            Image.fromarray(scene(people)).save(path, quality=90)
        timing = partial(
            Timing,
            model=model.card.name,
            runtime=model.runtime,
            precision=model.card.precision,
            runs=runs,
            threads=threads,
            peak_mb=peak_mb(name, paths[max(PEOPLE)], threads=threads),
            cpu=cpu_name(),
            versions=versions(*PACKAGES, model.runtime),
            commit=commit(),
        )
        for people, path in paths.items():
            picture = scene(people)
            score = score_for(model, picture, people)
            predict = partial(model, picture, score=score)
            times, result = _time_stages(predict, path, runs=runs)
            found = len(result)
            for stage in STAGES:
                median, p95 = summary(times[stage])
                timings.append(
                    timing(stage=stage, people=people, found=found, median_ms=median, p95_ms=p95)
                )
    return timings


def _benchmark_semantic(
    model: SemanticModel, name: str, *, threads: int, runs: int
) -> list[SemanticTiming]:
    timings = []
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            picture, path = view(size), Path(folder, "view.jpg")
            Image.fromarray(picture).save(path, quality=90)
            timing = partial(
                SemanticTiming,
                model=model.card.name,
                runtime=model.runtime,
                precision=model.card.precision,
                height=size[0],
                width=size[1],
                runs=runs,
                threads=threads,
                peak_mb=peak_mb(name, path, threads=threads),
                cpu=cpu_name(),
                versions=versions(*PACKAGES, model.runtime),
                commit=commit(),
            )
            times, _ = _time_stages(partial(model, picture), path, runs=runs)
            for stage in SEMANTIC_STAGES:
                median, p95 = summary(times[stage])
                timings.append(timing(stage=stage, median_ms=median, p95_ms=p95))
    return timings


def _time_stages(
    predict: Callable[[], Predicted], path: Path, *, runs: int
) -> tuple[dict[str, list[float]], Predicted]:
    """Milliseconds of each stage in each run, and the last result.

    Args:
        predict: what is timed, on a decoded picture.
        path: the picture as a file, for the stage that reads.
        runs: after the warm-up.
    """
    times: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(WARM_UP - 1):
        predict()
    result = predict()
    for _ in range(runs):
        start = time.perf_counter()
        result = predict()
        done = time.perf_counter()
        read_picture(path)
        times["read"].append((time.perf_counter() - done) * 1e3)
        for stage, milliseconds in result.speed.items():
            times[stage].append(milliseconds)
        times["end to end"].append((done - start) * 1e3)
    return times, result


def score_for(model: InstanceModel, picture: np.ndarray, people: int) -> float:
    """The threshold at which a model finds just so many people, so that it pays for so many masks.

    Cut-out copies side by side are no natural picture: at 0.5 a model may miss some or find more.
    When even at the lowest threshold there are fewer, all count.
    """
    if people == 0:
        return 0.5
    scores = model(picture, score=LOWEST).scores
    if len(scores) <= people:
        return LOWEST
    return float(scores[people - 1] + scores[people]) / 2


def summary(times_ms: Sequence[float]) -> tuple[float, float]:
    """Median and 95th percentile."""
    median, p95 = np.percentile(times_ms, [50, 95])
    return round(float(median), 3), round(float(p95), 3)


def peak_mb(name: str, path: str | os.PathLike[str], *, threads: int) -> float | None:
    """Most memory, in 10^6 bytes, that a fresh process held to load a model and predict a picture.

    None on systems that do not tell it. Raises ModelError when that process fails.
    """
    return peak_mb_of(_CHILD, name, str(threads), str(path))
