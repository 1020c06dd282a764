"""Branch shapes proposed from a dataset, as anchors are proposed elsewhere. The thesis chooses its
three lists by hand (5.2.1 and 5.2.4).

A list of shapes is judged on the dataset's ground-truth objects, each sent to the branch that
`geometry.grid.route` would choose:

- *coverage*: the share of objects that their branch holds, so that nothing is shrunk;
- *exact*: the share of objects whose encompassing shape (h, w) is their branch's (h', w'), so that
  nothing is resized;
- *distortion*: the mean over objects of |log(h'/h)| + |log(w'/w)|. Zero is exact; log 2 = 0.69 is
  an object stretched or shrunk to twice or half of one side;
- *cost*: the multiply-adds of the branches for one picture of the dataset, all its objects found.

Shapes are (height, width) in cells of the coarse map. Crowd regions are not objects.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from encompass.data.instances import Dataset
from encompass.errors import AnnotationError, UsageError
from encompass.geometry.grid import Shape, encompassing_shapes, route
from encompass.geometry.resize import Stretch

RANDOM_STARTS = 8  # of a search; more find little, and ten shapes for a 20x20 grid take a second


@dataclass(frozen=True, kw_only=True)
class BranchWidths:
    """The channels of a branch (thesis 3.1.2 and 3.2.1)."""

    channels: tuple[int, ...]  # of the coarse map and of each skip's, coarse to fine
    depth: int  # of the 3x3 layer
    skip_depth: int  # of the transposed convolutions
    num_classes: int


@dataclass(frozen=True, slots=True, eq=False)
class ShapeHistogram:
    """How many objects have which encompassing shape."""

    shapes: np.ndarray  # (S, 2) int64 (height, width), each once, ascending
    counts: np.ndarray  # (S,) int64 objects
    num_images: int  # with and without objects


@dataclass(frozen=True, kw_only=True)
class ShapeReport:
    """How a list of shapes suits a dataset; the module's docstring defines the measures."""

    shapes: tuple[Shape, ...]
    objects_per_image: tuple[float, ...]  # by branch, mean over all pictures
    coverage: float  # share of objects, 0 to 1
    exact: float  # share of objects, 0 to 1
    distortion: float  # nats
    multiply_adds: float  # of the branches for one picture


def count_shapes(dataset: Dataset, *, input_size: int, stride: int) -> ShapeHistogram:
    """The encompassing shapes of a dataset's objects.

    Raises AnnotationError when it has no object.
    """
    counts: Counter[Shape] = Counter()
    for sample in dataset.samples:
        stretch = Stretch((sample.height, sample.width), (input_size, input_size))
        shapes = encompassing_shapes(sample.boxes_xyxy, stretch, stride=stride)
        counts.update(map(tuple, shapes.tolist()))
    if not counts:
        raise AnnotationError(dataset.sources[0], "has no objects; give a dataset that has some.")
    ordered = sorted(counts)
    return ShapeHistogram(
        np.asarray(ordered), np.asarray([counts[s] for s in ordered]), len(dataset)
    )


def branch_multiply_adds(shape: Shape, widths: BranchWidths) -> int:
    """Of one object in a branch of this shape: convolutions alone, without the sampling of crops.

    Every layer works cell by cell, so this is proportional to the shape's area.
    """
    height, width = shape
    cells = height * width
    coarse, *skips = widths.channels
    total = cells * coarse * (9 + widths.depth)  # depthwise 3x3, pointwise
    depth = widths.depth
    for skip in skips:
        # A transposed 4x4 of stride 2 spends 16 products on each of its input's cells.
        total += cells * 16 * depth * widths.skip_depth
        cells *= 4
        total += cells * skip * widths.skip_depth
        depth = widths.skip_depth
    return total + cells * depth * widths.num_classes


def measure_multiply_add(*, runs: int = 300) -> float:
    """Seconds for one multiply-add on this machine: the median of float32 products 64x64 by 64x64.

    That is about a small branch's layer, and too small for a BLAS library to share among threads,
    whose waiting for each other on a busy machine would be all that is measured. The time that it
    predicts for a branch is a lower bound, good for comparing: starting a layer is not in it.
    """
    side = 64
    a, b, out = np.full((3, side, side), 0.5, np.float32)
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        np.matmul(a, b, out=out)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)) / side**3


def report_shapes(
    histogram: ShapeHistogram, shapes: Sequence[Shape], widths: BranchWidths
) -> ShapeReport:
    """Judge a list of branch shapes on a dataset."""
    sizes = histogram.shapes
    cells = np.concatenate([np.zeros_like(sizes), sizes[:, ::-1]], axis=1)
    branches = route(cells, shapes)
    given = np.asarray(shapes)[branches]
    objects = np.bincount(branches, weights=histogram.counts, minlength=len(shapes))
    per_image = objects / histogram.num_images
    share = histogram.counts / histogram.counts.sum()
    return ShapeReport(
        shapes=tuple(shapes),
        objects_per_image=tuple(per_image.tolist()),
        coverage=float(share @ np.all(given >= sizes, axis=1)),
        exact=float(share @ np.all(given == sizes, axis=1)),
        distortion=float(share @ np.abs(np.log(given / sizes)).sum(axis=1)),
        multiply_adds=float(per_image @ [branch_multiply_adds(s, widths) for s in shapes]),
    )


def propose_shapes(
    histogram: ShapeHistogram,
    num_shapes: int,
    widths: BranchWidths,
    *,
    coverage: float,
    budget: float | None = None,
) -> tuple[Shape, ...]:
    """Shapes of least distortion that hold the objects and stay within the budget.

    Candidates are the shapes that occur and their elementwise maxima. A list is changed one shape
    at a time as long as that helps, from several starts: the shapes that help most one after the
    other, and lists drawn at random. The best end is a local optimum, the same in every run.

    Args:
        histogram: of the dataset.
        num_shapes: how many; fewer are returned where fewer are all that can help.
        widths: of the branches.
        coverage: least share of objects that some branch must hold, 0 to 1.
        budget: most multiply-adds of the branches for one picture; None is without limit.

    Returns:
        The shapes, those of the largest area first.

    Raises:
        UsageError: no such list was found within the budget.
    """
    search = _Search(histogram, widths, coverage, budget)
    rng = np.random.default_rng(0)
    starts = [search.greedy(num_shapes)]
    starts += [search.random(num_shapes, rng) for _ in range(RANDOM_STARTS)]
    chosen = min(map(search.exchange, starts), key=search.score)
    shapes = search.shapes(chosen)
    report = report_shapes(histogram, shapes, widths)
    if search.score(chosen)[0] > 0:
        assert budget is not None, "the largest candidate holds every object"
        raise UsageError(
            f"No list of {num_shapes} shapes was found that holds {coverage:.1%} of the objects "
            f"within the budget; the nearest holds {report.coverage:.1%} for "
            f"{report.multiply_adds / budget:.2f} of it. Raise the budget or the number of "
            "shapes, or lower the coverage."
        )
    return tuple(s for s, n in zip(shapes, report.objects_per_image, strict=True) if n)


def format_row(
    name: str, shapes: Sequence[Shape], settings: Mapping[str, Any], *, max_boxes: int
) -> str:
    """The text of a row file (TOML), which `encompass train` accepts.

    Args:
        name: of the row; ASCII letters, digits, dots, dashes.
        shapes: of the branches.
        settings: the row's other fields: numbers, booleans, plain words or sequences of numbers.
        max_boxes: most objects of a picture in one branch.
    """
    # JSON writes such values as TOML does.
    lines = [f"{key} = {json.dumps(value)}" for key, value in {"name": name, **settings}.items()]
    for shape in shapes:
        lines += ["", "[[branches]]"]
        lines += [f"shape = {json.dumps(shape)}  # height, width in cells of the coarse map"]
        lines += [f"max_boxes = {max_boxes}"]
    return "\n".join(lines) + "\n"


class _Search:
    """C candidates against the S shapes that occur. A list is a tuple of candidates' indices."""

    def __init__(
        self,
        histogram: ShapeHistogram,
        widths: BranchWidths,
        coverage: float,
        budget: float | None,
    ) -> None:
        sizes = histogram.shapes
        maxima = np.maximum(sizes[:, None], sizes[None]).reshape(-1, 2)
        candidates = np.unique(maxima, axis=0)
        # In the order in which `route` prefers them: least area first, and of equal areas the
        # first in the list, which is the higher one (`shapes`).
        order = np.lexsort([-candidates[:, 0], candidates.prod(axis=1)])
        self.candidates = candidates = candidates[order]
        # What no shape holds goes to the largest, again the higher of equals.
        self.largeness = [(h * w, h) for h, w in candidates.tolist()]
        self.share = histogram.counts / histogram.counts.sum()  # (S,)
        self.holds = np.all(candidates[:, None] >= sizes[None], axis=-1)  # (C, S)
        self.distortion = np.abs(np.log(candidates[:, None] / sizes[None])).sum(axis=-1)  # (C, S)
        objects = histogram.counts.sum() / histogram.num_images
        per_object = [branch_multiply_adds((h, w), widths) for h, w in candidates.tolist()]
        self.cost = np.asarray(per_object) * objects  # (C,)
        self.coverage = coverage
        self.budget = budget

    def shapes(self, chosen: Sequence[int]) -> tuple[Shape, ...]:
        ordered = sorted(set(chosen), key=self.largeness.__getitem__, reverse=True)
        return tuple((height, width) for height, width in self.candidates[ordered].tolist())

    def extended(self, base: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """(C,) breach of the limits and (C,) distortion of the list with each candidate added."""
        number, occurring = len(self.candidates), len(self.share)
        best = np.full(occurring, number)  # the candidate that each shape goes to; C is none
        for index in base:
            best = np.where(self.holds[index], np.minimum(best, index), best)
        own = np.arange(number)[:, None]
        routed = np.where(self.holds, np.minimum(best, own), best)  # (C, S)
        held = routed < number
        largest = [max([*base, index], key=self.largeness.__getitem__) for index in range(number)]
        routed = np.where(held, routed, np.asarray(largest)[:, None])
        distortion = self.distortion[routed, np.arange(occurring)] @ self.share
        breach = np.maximum(self.coverage - held @ self.share - 1e-9, 0)
        if self.budget is not None:
            spent = self.cost[routed] @ self.share
            breach += np.maximum(spent / self.budget - 1 - 1e-9, 0)
        return breach, distortion

    def score(self, chosen: Sequence[int]) -> tuple[float, float]:
        """Breach of the limits, then distortion: less is better."""
        breach, distortion = self.extended(chosen[:-1])
        return float(breach[chosen[-1]]), float(distortion[chosen[-1]])

    def best_extension(self, base: Sequence[int]) -> tuple[tuple[float, float], int]:
        breach, distortion = self.extended(base)
        index = int(np.lexsort([distortion, breach])[0])
        return (float(breach[index]), float(distortion[index])), index

    def greedy(self, num_shapes: int) -> tuple[int, ...]:
        """Candidates added one by one, each the best; ends early when none helps."""
        chosen: tuple[int, ...] = ()
        score = (np.inf, np.inf)
        while len(chosen) < num_shapes:
            better, index = self.best_extension(chosen)
            if not _is_less(better, score):
                break
            chosen, score = (*chosen, index), better
        return chosen

    def random(self, num_shapes: int, rng: np.random.Generator) -> tuple[int, ...]:
        number = len(self.candidates)
        return tuple(rng.choice(number, min(num_shapes, number), replace=False).tolist())

    def exchange(self, chosen: tuple[int, ...]) -> tuple[int, ...]:
        """One shape after the other replaced by the best candidate, until none can be."""
        score = self.score(chosen)
        position, unchanged = 0, 0
        while unchanged < len(chosen):
            rest = chosen[:position] + chosen[position + 1 :]
            better, index = self.best_extension(rest)
            unchanged += 1
            if _is_less(better, score):
                chosen, score, unchanged = (*rest[:position], index, *rest[position:]), better, 0
            position = (position + 1) % len(chosen)
        return chosen


def _is_less(a: tuple[float, float], b: tuple[float, float]) -> bool:
    """Whether a score is less by more than rounding, so that the exchange ends."""
    return a[0] < b[0] - 1e-12 or (a[0] <= b[0] + 1e-12 and a[1] < b[1] - 1e-12)
