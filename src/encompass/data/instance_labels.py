"""Label maps of instance annotations: each object's pixels get its class, the rest is background.

Where objects overlap the smaller one is on top (of two of one size the later one): the cup stands
before the table, whatever the order of the records. Crowd regions, and the boxes of objects of
which only the box is known, are ignored where no object lies on them. Label 0 is background.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from encompass.data.instances import Annotation, Dataset, Sample, rasterise
from encompass.data.labels import (
    BACKGROUND,
    IGNORE,
    MAX_CLASSES,
    LabelDataset,
    LabelSample,
    LabelTable,
    default_colours,
)
from encompass.errors import UsageError


@dataclass(frozen=True, slots=True, eq=False)
class InstanceLabels:
    """The labels of one picture, drawn from its annotations."""

    sample: Sample

    @property
    def path(self) -> Path:
        """The picture's file: records have none of their own."""
        return self.sample.path

    def read(self) -> np.ndarray:
        """(H, W) uint8 labels."""
        size = self.sample.height, self.sample.width
        labels = np.zeros(size, dtype=np.uint8)
        objects = []
        for annotation in self.sample.annotations:
            if annotation.segmentation is None:
                _ignore_box(labels, annotation)
                continue
            mask = rasterise(annotation.segmentation, *size)
            if annotation.crowd:
                _window(labels, mask.x, mask.y, mask.pixels)[mask.pixels] = IGNORE
            else:
                objects.append((annotation.label, mask))
        # Sorting is stable, so that of equal sizes the later record is drawn later.
        for label, mask in sorted(objects, key=lambda pair: -pair[1].area):
            _window(labels, mask.x, mask.y, mask.pixels)[mask.pixels] = label + 1
        return labels


def label_instances(dataset: Dataset) -> LabelDataset:
    """The dataset with label maps in place of instances: background, then its classes.

    Raises UsageError when there are too many classes for a label map.
    """
    names = (BACKGROUND, *dataset.classes.names)
    if len(names) > MAX_CLASSES:
        raise UsageError(
            f"{dataset.sources[0]} has {len(names) - 1} categories; choose at most "
            f"{MAX_CLASSES - 1} classes."
        )
    return LabelDataset(
        samples=tuple(LabelSample(s.path, InstanceLabels(s)) for s in dataset.samples),
        table=LabelTable(names, default_colours(names)),
        sources=dataset.sources,
    )


def _ignore_box(labels: np.ndarray, annotation: Annotation) -> None:
    height, width = labels.shape
    x, y, w, h = annotation.box_xywh
    x0, x1 = np.clip([np.floor(x), np.ceil(x + w)], 0, width).astype(int)
    y0, y1 = np.clip([np.floor(y), np.ceil(y + h)], 0, height).astype(int)
    labels[y0:y1, x0:x1] = IGNORE


def _window(labels: np.ndarray, x: int, y: int, pixels: np.ndarray) -> np.ndarray:
    """The part of a label map that a mask's crop covers, to be written to."""
    h, w = pixels.shape
    return labels[y : y + h, x : x + w]
