"""Pictures with objects that somebody outlined or boxed, whatever format they come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from faster_coco_eval import mask as coco_mask

from encompass.data.classes import ClassTable, check_same_names
from encompass.geometry.boxes import xywh_to_xyxy
from encompass.geometry.masks import crop_mask, rle_decode
from encompass.schema import BoxMask

# Polygons [[x0, y0, x1, y1, ...], ...] in src pixels, or a run-length code {"size", "counts"}.
Segmentation = list[list[float]] | dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Annotation:
    """One object or crowd region, as its file gives it."""

    label: int  # index into ClassTable.names
    box_xywh: tuple[float, float, float, float]  # src pixels
    area: float  # src pixels; of the mask as annotated, it decides small, medium or large
    crowd: bool
    segmentation: Segmentation | None  # None where only the box is known


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One picture's file and annotations; the picture itself is not opened."""

    path: Path
    image_id: int
    height: int  # src pixels
    width: int  # src pixels
    annotations: tuple[Annotation, ...]

    @property
    def objects(self) -> tuple[Annotation, ...]:
        """The annotations that are not crowd regions."""
        return tuple(a for a in self.annotations if not a.crowd)

    @property
    def boxes_xyxy(self) -> np.ndarray:
        """(N, 4) float32, src pixels: boxes of the objects."""
        return _corners(self.objects)

    @property
    def labels(self) -> np.ndarray:
        """(N,) int64: labels of the objects."""
        return np.asarray([a.label for a in self.objects], dtype=np.int64)

    @property
    def segmentations(self) -> tuple[Segmentation | None, ...]:
        """N masks of the objects; None for an object of which only the box is known."""
        return tuple(a.segmentation for a in self.objects)

    @property
    def ignore_xyxy(self) -> np.ndarray:
        """(M, 4) float32, src pixels: boxes of the crowd regions."""
        return _corners([a for a in self.annotations if a.crowd])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples with one table of classes, and the files or folders their annotations come from."""

    samples: tuple[Sample, ...]
    classes: ClassTable
    sources: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def masked(self) -> list[Sample]:
        """The samples that have objects, all of them with masks."""
        return [s for s in self.samples if s.objects and None not in s.segmentations]


def _corners(annotations: Sequence[Annotation]) -> np.ndarray:
    boxes_xywh = np.asarray([a.box_xywh for a in annotations], dtype=np.float64).reshape(-1, 4)
    return xywh_to_xyxy(boxes_xywh).astype(np.float32)


def join(datasets: Iterable[Dataset]) -> Dataset:
    """The samples of several datasets, one after the other.

    Raises UsageError when their class names differ.
    """
    datasets = tuple(datasets)
    assert datasets, "nothing to join"
    check_same_names([(dataset.sources[0], dataset.classes.names) for dataset in datasets])
    return Dataset(
        samples=tuple(sample for dataset in datasets for sample in dataset.samples),
        classes=datasets[0].classes,
        sources=tuple(source for dataset in datasets for source in dataset.sources),
    )


def rasterise(segmentation: Segmentation, height: int, width: int) -> BoxMask:
    """The pixels of a validated segmentation on a (height, width) picture, cropped to their extent.

    Polygons are united; a mask without pixels gives a crop of size (0, 0).
    """
    if isinstance(segmentation, dict):
        full = rle_decode(segmentation)
    else:
        parts = coco_mask.frPyObjects(segmentation, height, width)
        full = coco_mask.decode(coco_mask.merge(list(parts))).astype(bool)
    return crop_mask(full)
