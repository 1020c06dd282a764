"""Time and memory of a model on this machine: each stage, by the number of people in the picture.

A picture shows n copies of one photo side by side, as large as they fit. The people therefore cover
about the same area whatever their number, and one person fills the picture: no size is favoured.
The photo is `source.EXAMPLE`.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, sqrt
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from encompass.environment import commit, cpu_name, peak_mb_of, versions
from encompass.pictures import read_picture
from encompass.run.predictor import Model, load
from encompass.run.source import EXAMPLE

STAGES = ("read", "pre", "network", "mask decode", "end to end")
PEOPLE = (0, 1, 5, 20)
PACKAGES = ("numpy", "onnxruntime", "pillow")  # that do the work
LOWEST = 0.01  # score below which nothing is looked for
WARM_UP = 5  # runs, not counted: the first ones allocate

_HEIGHT, _WIDTH = 480, 640
_GROUND = (190, 184, 178)  # the photo's own backdrop

_CHILD = """
import sys, encompass
from encompass.environment import peak_mb
encompass.load(sys.argv[1], threads=int(sys.argv[2]))(sys.argv[3])
print(peak_mb())
"""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One stage of one model on one picture, and on what it was measured."""

    model: str
    stage: str  # of `STAGES`; the last is from decoded picture to masks, so without "read"
    people: int  # in the picture
    found: int  # by the model
    median_ms: float
    p95_ms: float
    runs: int
    threads: int
    peak_mb: float | None  # 10^6 bytes, of a process that only predicts; None where not Linux
    cpu: str
    versions: dict[str, str]
    commit: str  # "" outside a checkout


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


def benchmark(name: str, *, threads: int, runs: int) -> list[Timing]:
    """Time one model, given by name or path, on each picture: one row for each stage."""
    model = load(name, threads=threads)
    timings = []
    with tempfile.TemporaryDirectory() as folder:
        paths = {people: Path(folder, f"{people}.jpg") for people in PEOPLE}
        for people, path in paths.items():
            Image.fromarray(scene(people)).save(path, quality=90)
        timing = partial(
            Timing,
            model=model.card.name,
            runs=runs,
            threads=threads,
            peak_mb=peak_mb(name, paths[max(PEOPLE)], threads=threads),
            cpu=cpu_name(),
            versions=versions(*PACKAGES),
            commit=commit(),
        )
        for people, path in paths.items():
            times, found = _time_stages(model, path, people=people, runs=runs)
            for stage in STAGES:
                median, p95 = summary(times[stage])
                timings.append(
                    timing(stage=stage, people=people, found=found, median_ms=median, p95_ms=p95)
                )
    return timings


def _time_stages(
    model: Model, path: Path, *, people: int, runs: int
) -> tuple[dict[str, list[float]], int]:
    """Milliseconds of each stage in each run, and how many objects were found.

    Args:
        model: to be timed.
        path: `scene(people)` as a file, for the stage that reads.
        people: in the picture.
        runs: after the warm-up.
    """
    picture = scene(people)
    score = score_for(model, picture, people)
    times: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for _ in range(WARM_UP):
        result = model(picture, score=score)
    for _ in range(runs):
        start = time.perf_counter()
        result = model(picture, score=score)
        done = time.perf_counter()
        read_picture(path)
        times["read"].append((time.perf_counter() - done) * 1e3)
        for stage in ("pre", "network", "mask decode"):
            times[stage].append(result.speed[stage])
        times["end to end"].append((done - start) * 1e3)
    return times, len(result)


def score_for(model: Model, picture: np.ndarray, people: int) -> float:
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
