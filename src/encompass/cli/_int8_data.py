"""The pictures that an int8 file is made with, and its accuracy on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from encompass.cli._accuracy import main_scores
from encompass.data.instances import Dataset
from encompass.data.labels import LabelDataset
from encompass.data.sources import load_dataset, load_labels_of
from encompass.errors import UsageError
from encompass.evaluate.coco import score_instances
from encompass.evaluate.miou import score_labels
from encompass.evaluate.network import SCORE_FOR_AP
from encompass.geometry.resize import Stretch, reduce_picture
from encompass.pictures import read_picture
from encompass.run.predictor import SemanticModel
from encompass.schema import ModelCard

# The most pictures of each part.
CALIBRATION, CHOICE, JUDGEMENT = 100, 200, 400
BRANCHES = 0.1  # score of the boxes whose masks are calibrated: many, so that all branches run

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
    found = {metric: value for metric, value in main.items() if value is not None}
    if found.keys() < main.keys():
        raise UsageError(
            f"--calibration: {len(dataset)} of its pictures, that were to be scored, show no "
            "object; give data that has more."
        )
    return found


def kept(before: Accuracy, after: Accuracy) -> float:
    """The part of the accuracy that is left, of the metric that lost most.

    Raises:
        UsageError: there was none.
    """
    if not all(before.values()):
        raise UsageError(
            f"--calibration: before, in fp32, the model scores {before} on it, of which nothing "
            "can be lost; give data that it was trained for."
        )
    return min(after[metric] / before[metric] for metric in before)
