"""Semantic datasets: pictures with one label for each pixel.

In memory a label map is (H, W) uint8: labels 0 .. C - 1 index a `LabelTable`, and `IGNORE` marks
pixels that are neither learnt nor scored. What a dataset stores instead (its own ids, a void class,
outlines) is turned into labels by its samples' sources, so that every value has one meaning and one
that has none is refused. Label files are read value by value, never colour-converted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from encompass.data.classes import check_same_names
from encompass.errors import AnnotationError
from encompass.pictures import picture_size, read_ids, read_picture

IGNORE = 255  # in memory, whatever the files have
MAX_CLASSES = IGNORE
BACKGROUND = "background"

Colour = tuple[int, int, int]  # RGB


def default_colours(names: Sequence[str]) -> tuple[Colour, ...]:
    """PASCAL VOC's colours: black for its first class, the background, others differ in their bits.

    Black leaves pictures as they are, so that without a background the first class has the second
    colour.
    """

    def channel(label: int, first: int) -> int:
        # Bits first, first + 3, ... of the label, the lowest one as the channel's highest.
        return sum(((label >> (3 * i + first)) & 1) << (7 - i) for i in range(8))

    first = 0 if names[:1] == (BACKGROUND,) else 1
    labels = range(first, first + len(names))
    return tuple((channel(k, 0), channel(k, 1), channel(k, 2)) for k in labels)


@dataclass(frozen=True)
class LabelTable:
    """Names and colours of the classes, by label."""

    names: tuple[str, ...]
    colours: tuple[Colour, ...]

    def __post_init__(self) -> None:
        assert len(self.names) == len(self.colours) <= MAX_CLASSES

    def __len__(self) -> int:
        return len(self.names)

    def paint(self, labels: np.ndarray) -> np.ndarray:
        """(H, W) uint8 labels to (H, W, 3) uint8 RGB; what is no class is black."""
        palette = np.zeros((256, 3), dtype=np.uint8)
        palette[: len(self)] = self.colours
        return palette[labels]


class LabelSource(Protocol):
    """Where the labels of one picture come from."""

    @property
    def path(self) -> Path:
        """The file that messages name."""
        ...

    def read(self) -> np.ndarray:
        """(H, W) uint8 labels. Raises BadData."""
        ...


@dataclass(frozen=True, eq=False)
class LabelFile:
    """A picture file of single values and what each value means."""

    path: Path
    meaning: Mapping[int, int]  # stored value (0 .. 255) to label or IGNORE; no other may occur

    @cached_property
    def _lookup(self) -> np.ndarray:
        lookup = np.full(256, -1, dtype=np.int16)
        lookup[list(self.meaning)] = list(self.meaning.values())
        return lookup

    def read(self) -> np.ndarray:
        """(H, W) uint8 labels.

        Raises ImageError when the file is missing, broken or has colours, AnnotationError when a
        value means nothing.
        """
        values = read_ids(self.path)
        inside = (values >= 0) & (values < 256)
        labels = self._lookup[np.where(inside, values, 0)]
        if not inside.all() or labels.min() < 0:
            value = values[~inside | (labels < 0)][0]
            known = sorted(self.meaning)
            raise AnnotationError(
                self.path,
                f"value {value} is no class; known are {len(known)} values in "
                f"{known[0]} .. {known[-1]}: correct the mask or the list of classes.",
            )
        return labels.astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class LabelSample:
    """One picture's file and the source of its labels; neither is opened yet."""

    path: Path
    source: LabelSource

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture, pixels, from its header. Raises ImageError."""
        return picture_size(self.path)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """(H, W, 3) uint8 RGB and (H, W) uint8 labels. Raises BadData, also when sizes differ."""
        picture = read_picture(self.path)
        return picture, self._checked(picture.shape[:2])

    def read_labels(self) -> np.ndarray:
        """(H, W) uint8 labels at the picture's size. Raises BadData, also when sizes differ."""
        return self._checked(self.size)

    def _checked(self, size: tuple[int, ...]) -> np.ndarray:
        labels = self.source.read()
        if labels.shape != size:
            raise AnnotationError(
                self.source.path,
                f"labels are {labels.shape[1]} x {labels.shape[0]} pixels, {self.path.name} is "
                f"{size[1]} x {size[0]}; give both the same size.",
            )
        return labels


@dataclass(frozen=True, eq=False)
class LabelDataset:
    """Samples with one table of classes, and the files or folders they come from."""

    samples: tuple[LabelSample, ...]
    table: LabelTable
    sources: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.samples)


def join_labels(datasets: Iterable[LabelDataset]) -> LabelDataset:
    """The samples of several datasets, one after the other, with the first one's colours.

    Raises UsageError when their class names differ.
    """
    datasets = tuple(datasets)
    assert datasets, "nothing to join"
    check_same_names([(dataset.sources[0], dataset.table.names) for dataset in datasets])
    return LabelDataset(
        samples=tuple(sample for dataset in datasets for sample in dataset.samples),
        table=datasets[0].table,
        sources=tuple(source for dataset in datasets for source in dataset.sources),
    )


def pair_folders(images: Path, masks: Path, meaning: Mapping[int, int]) -> tuple[LabelSample, ...]:
    """Pictures (.jpg, .jpeg or .png), by name, each with the mask masks/NAME.png.

    Raises AnnotationError when there is no picture, when a mask is missing or when two pictures
    would share one.
    """
    paths = sorted(p for p in images.glob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not paths:
        raise AnnotationError(images, "has no pictures (.jpg or .png); check the path.")
    seen: dict[str, Path] = {}
    samples = []
    for path in paths:
        if path.stem in seen:
            raise AnnotationError(
                path, f"has the name of {seen[path.stem].name}; both would have one mask."
            )
        seen[path.stem] = path
        mask = masks / f"{path.stem}.png"
        if not mask.is_file():
            raise AnnotationError(mask, f"no such file; {path.name} needs its mask.")
        samples.append(LabelSample(path, LabelFile(mask, meaning)))
    return tuple(samples)
