"""Does the exported file compute what the network computes? The last step of every export."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from encompass.errors import ParityError
from encompass.geometry.boxes import iou
from encompass.schema import Instances

Predict = Callable[[Path], Instances]


@dataclass(frozen=True, kw_only=True)
class Gap:
    """How far two predictors are apart over some pictures."""

    pictures: int
    objects: int  # found by the reference
    unmatched: int  # found by one side only
    box: float  # largest distance of an edge, in parts of the box's longer side
    score: float  # largest difference
    equal_pixels: float  # part of the pixels of matched masks' boxes that are the same, in [0, 1]

    def __str__(self) -> str:
        return (
            f"{self.objects} objects in {self.pictures} pictures, {self.unmatched} unmatched, "
            f"boxes within {self.box:.2%} of their size, scores within {self.score:.5f}, "
            f"{self.equal_pixels:.3%} of mask pixels equal"
        )


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """What still counts as the same model."""

    least: float  # score of the objects that are compared: many, so that all branches are used
    unmatched: float  # part of the reference's objects
    box: float
    score: float
    equal_pixels: float


# Half-precision weights move a logit by about a thousandth of its range, activations in bfloat16
# by a hundredth.
TOLERANCES = {
    "fp32": Tolerance(least=0.1, unmatched=0.02, box=0.002, score=0.001, equal_pixels=0.999),
    "fp16": Tolerance(least=0.2, unmatched=0.05, box=0.02, score=0.01, equal_pixels=0.995),
    "bf16": Tolerance(least=0.3, unmatched=0.1, box=0.05, score=0.05, equal_pixels=0.98),
}
SAME_OBJECT = 0.9  # IoU of boxes
POINTS = {"fp32": 0.1, "fp16": 0.3, "bf16": 1.0}  # by which AP or mIoU may differ, of 100
# More where pictures are resized, and rounded, before the file: not the file's doing.
ROUNDED = 0.1


def compare(
    reference: Predict, exported: Predict, pictures: Sequence[Path], *, sure: float = 0.0
) -> Gap:
    """Run both on real pictures and match what they found.

    Args:
        reference: finds the objects of a picture.
        exported: likewise.
        pictures: their files.
        sure: an object of this score needs a partner; one just above the threshold may lack it.
    """
    objects = unmatched = same = pixels = 0
    box = score = 0.0
    for path in pictures:
        a, b = reference(path), exported(path)
        objects += len(a)
        pairs = _match(a, b)
        alone = (
            np.delete(a.scores, [i for i, _ in pairs]),
            np.delete(b.scores, [j for _, j in pairs]),
        )
        unmatched += sum(int((scores >= sure).sum()) for scores in alone)
        for i, j in pairs:
            side = (a.boxes[i, 2:] - a.boxes[i, :2]).max()
            box = max(box, float(np.abs(a.boxes[i] - b.boxes[j]).max() / side))
            score = max(score, float(abs(a.scores[i] - b.scores[j])))
            ours, theirs = (m.to_full(a.height, a.width) for m in (a.masks[i], b.masks[j]))
            x0, y0, x1, y1 = np.rint(a.boxes[i]).astype(int)
            agree = (ours == theirs)[y0:y1, x0:x1]
            same += int(agree.sum())
            pixels += agree.size
    return Gap(
        pictures=len(pictures),
        objects=objects,
        unmatched=unmatched,
        box=box,
        score=score,
        equal_pixels=same / pixels if pixels else 1.0,
    )


def _match(a: Instances, b: Instances) -> list[tuple[int, int]]:
    """Pairs of the same label that overlap nearly wholly, each object in one pair at most."""
    overlap = iou(a.boxes, b.boxes) * (a.labels[:, None] == b.labels[None, :])
    pairs, taken = [], set()
    for i, row in enumerate(overlap):
        for j in np.argsort(-row):
            if row[j] >= SAME_OBJECT and int(j) not in taken:
                pairs.append((i, int(j)))
                taken.add(int(j))
                break
    return pairs


def check_parity(gap: Gap, tolerance: Tolerance, path: Path) -> None:
    """Raises ParityError naming each figure out of tolerance; also when nothing was found."""
    wrong = []
    if gap.objects == 0:
        wrong.append(f"nothing was found in {gap.pictures} pictures, so nothing was compared")
    if gap.unmatched > tolerance.unmatched * gap.objects:
        wrong.append(f"{gap.unmatched} of {gap.objects} objects have no partner")
    if gap.box > tolerance.box:
        wrong.append(f"boxes differ by {gap.box:.2%} of their size, more than {tolerance.box:.1%}")
    if gap.score > tolerance.score:
        wrong.append(f"scores differ by {gap.score:.4f}, more than {tolerance.score}")
    if gap.equal_pixels < tolerance.equal_pixels:
        wrong.append(
            f"{gap.equal_pixels:.3%} of mask pixels agree, less than {tolerance.equal_pixels:.1%}"
        )
    if wrong:
        raise ParityError(f"{path}: does not compute what its network does: {'; '.join(wrong)}.")


def check_accuracy(
    before: Mapping[str, float | None],
    after: Mapping[str, float | None],
    points: float,
    path: Path,
) -> None:
    """Raises ParityError naming each score that moved by more than so many points.

    Args:
        before: of what was exported, by metric.
        after: of the file.
        points: of `POINTS`.
        path: the file.
    """
    wrong = []
    for metric, score in before.items():
        other = after[metric]
        if score is None or other is None:
            wrong.append(f"{metric} cannot be told, for the data shows no object")
        elif abs(score - other) > points:
            wrong.append(f"{metric} is {other:.2f}, was {score:.2f}: more than {points} apart")
    if wrong:
        raise ParityError(f"{path}: is not as accurate as its model: {'; '.join(wrong)}.")
