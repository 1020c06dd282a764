"""The pictures that an int8 file is made with, and its accuracy on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from encompass.cli._accuracy import main_scores
from encompass.data.instances import Dataset
from encompass.data.labels import LabelDataset
from encompass.data.sources import load_dataset, load_labels_of
from encompass.errors import ParityError, UsageError
from encompass.evaluate.coco import score_instances
from encompass.evaluate.miou import score_labels
from encompass.evaluate.network import SCORE_FOR_AP
from encompass.export.parity import compare
from encompass.export.semantic_parity import compare_labels
from encompass.geometry.resize import Stretch, reduce_picture
from encompass.pictures import read_picture
from encompass.run.predictor import SemanticModel
from encompass.schema import ModelCard

# The most pictures of each part.
CALIBRATION, CHOICE, JUDGEMENT = 100, 200, 400
BRANCHES = 0.1  # score of the boxes whose masks are calibrated: many, so that all branches run
BLOCKS, LEAST_OF_BLOCK = 5, 8  # of the part to choose by, and pictures in each
# Scores of objects that are compared with the float model's, and that must be there in both.
SEEN, SURE = 0.3, 0.4

LEAST_POINTS = 1.0  # of accuracy in fp32, of 100, from which a loss can be told
MOVED = 0.1  # of the objects that pass the score threshold: how many may go or come

Accuracy = dict[str, float]  # points 0 .. 100 by metric
Report = Callable[[int, int], None]  # pictures done, and in all
AnyDataset = TypeVar("AnyDataset", Dataset, LabelDataset)


@dataclass(frozen=True)
class Parts:
    """Three parts of a dataset that share no picture."""

    calibration: Dataset | LabelDataset  # gives the ranges of values
    choice: Dataset | LabelDataset  # decides what stays in float
    judgement: Dataset | LabelDataset  # is scored once that is decided


def open_parts(path: Path, card: ModelCard, *, split: str | None) -> Parts:
    """Every third picture of a dataset that has a model's classes.

    Raises:
        UsageError: it has other classes or fewer than three pictures, or `split` is not of it.
        BadData: it is broken.
    """
    if card.task == "semantic":
        return _parts(load_labels_of(card.names, path, split=split), path)
    if split:
        raise UsageError(f"--split {split} is of semantic models; {card.name} finds instances.")
    return _parts(load_dataset(path, classes=card.names), path)


def _parts(dataset: AnyDataset, path: Path) -> Parts:
    if len(dataset) < 3:
        raise UsageError(
            f"--calibration {path}: has {len(dataset)} pictures, and at least 3 are needed: to "
            "calibrate, to choose by and to score; give more."
        )
    parts = []
    for first, most in enumerate((CALIBRATION, CHOICE, JUDGEMENT)):
        third = dataset.samples[first::3]
        step = max(1, len(third) // most)  # from all over the dataset
        parts.append(dataclasses.replace(dataset, samples=third[::step][:most]))
    return Parts(*parts)


def feeds(
    model: Any, dataset: Dataset | LabelDataset, *, report: Report
) -> Iterator[Mapping[str, np.ndarray]]:
    """What the graph of a model gets for each picture, made as the runtime makes it."""
    for number, sample in enumerate(dataset.samples, start=1):
        picture = read_picture(sample.path)
        if isinstance(model, SemanticModel):
            yield {"picture": model.fit(picture)}
        else:
            reduction = Stretch(picture.shape[:2], model.card.input_size).reduction
            shown = model.fit(reduce_picture(picture, reduction))
            yield {"picture": shown, "score_threshold": np.asarray(BRANCHES, dtype=np.float32)}
        report(number, len(dataset))


def score(model: Any, dataset: Dataset | LabelDataset, *, report: Report) -> Accuracy:
    """Mask AP (where the dataset has masks) and box AP, or mIoU.

    Raises:
        UsageError: the pictures show nothing that could be scored.
    """
    if isinstance(dataset, LabelDataset):
        scores = score_labels(dataset, lambda path: model(path).labels, progress=report)
    else:
        scores = score_instances(
            dataset, lambda path: model(path, score=SCORE_FOR_AP), progress=report
        )
    main = main_scores(scores)
    told = {metric: value for metric, value in main.items() if value is not None}
    if told.keys() < main.keys():
        raise UsageError(
            f"--calibration: {len(dataset)} of its pictures, that were to be scored, show no "
            "object; give data that has more."
        )
    return told


def score_blocks(model: Any, dataset: Dataset | LabelDataset, *, report: Report) -> list[Accuracy]:
    """`score` of each of at most `BLOCKS` parts of a dataset; how they vary tells its error."""
    number = max(1, min(BLOCKS, len(dataset) // LEAST_OF_BLOCK))
    done, scores = 0, []
    for first in range(number):
        block: Any = dataclasses.replace(dataset, samples=dataset.samples[first::number])
        before = done
        scores.append(
            score(model, block, report=lambda n, _, start=before: report(start + n, len(dataset)))
        )
        done += len(block)
    return scores


def kept(before: Accuracy, after: Accuracy) -> float:
    """The part of the accuracy that is left, of the metric that lost most.

    Raises:
        UsageError: there was none.
    """
    return min(after[metric] / _some(before)[metric] for metric in before)


def may_keep(before: Sequence[Accuracy], after: Sequence[Accuracy]) -> float:
    """The part of the accuracy that is left at best, of the metric that lost most.

    "At best" is a standard error above the mean, which is told from how blocks differ: what few
    pictures cannot tell from no loss is none. One block tells no error.

    Args:
        before: of each block, as `score_blocks` has it.
        after: likewise.

    Raises:
        UsageError: there was none.
    """
    shares = []
    for metric in before[0]:
        old, new = (np.array([block[metric] for block in blocks]) for blocks in (before, after))
        whole = _some({metric: float(old.mean())})[metric]
        lost = old - new
        error = lost.std(ddof=1) / np.sqrt(len(lost)) if len(lost) > 1 else 0.0
        shares.append(1 - (lost.mean() - error) / whole)
    return float(min(shares))


def _some(before: Accuracy) -> Accuracy:
    """The same. Raises UsageError where a score is too small to tell a loss by."""
    if min(before.values()) < LEAST_POINTS:
        told = ", ".join(f"{metric} {value:.2f}" for metric, value in before.items())
        raise UsageError(
            f"--calibration: in fp32 the model scores {told} on it, of which no loss can be told; "
            "give pictures as it was trained for, or more of them."
        )
    return before


def number_found(model: Any, dataset: Dataset, *, report: Report) -> int:
    """Objects that a model finds at its card's score threshold."""
    found = 0
    for number, sample in enumerate(dataset.samples, start=1):
        found += len(model(sample.path))
        report(number, len(dataset))
    return found


def check_found(before: int, after: int, out: Path) -> None:
    """AP looks at the order of scores alone; this at whether they still pass the threshold.

    Raises ParityError when more than a tenth of the objects have gone or come.
    """
    if abs(after - before) > MOVED * before:
        raise ParityError(
            f"{out}: at the model's threshold int8 finds {after} objects where fp32 finds "
            f"{before}; give more pictures or others with --calibration, choose --precision fp16, "
            "or take it as it is with --force."
        )


def disagreement(
    reference: Callable[[Path], Any],
    model: Any,
    dataset: Dataset | LabelDataset,
    *,
    report: Report,
) -> float:
    """How far what a model finds is from what its float original finds, 0 for the same.

    Of labels the part that differs; of objects the part without a partner and the part of the
    pixels in matched masks that differs, added.

    Args:
        reference: what the original finds in a picture (`found`).
        model: of the trial.
        dataset: some pictures; their truth is not looked at.
        report: called after each.
    """
    paths = [sample.path for sample in dataset.samples]

    def trial(path: Path) -> Any:
        report(paths.index(path) + 1, len(paths))
        return found(model, path)

    if isinstance(dataset, LabelDataset):
        return 1 - compare_labels(reference, trial, paths).equal_pixels
    gap = compare(reference, trial, paths, sure=SURE)
    return gap.unmatched / max(gap.objects, 1) + 1 - gap.equal_pixels


def found(model: Any, path: Path) -> Any:
    """Objects of some score, or labels, in a picture."""
    if isinstance(model, SemanticModel):
        return model(path).labels
    return model(path, score=SEEN)
