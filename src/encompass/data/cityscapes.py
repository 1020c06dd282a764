"""Cityscapes (Cordts et al. 2016): street scenes with 19 classes to learn (thesis 4.1.1).

    leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png
    gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png       and _instanceIds.png
    gtCoarse/SPLIT/CITY/NAME_gtCoarse_labelIds.png   splits train, train_extra and val

Files have the official ids; here the 19 train ids are the labels and all other ids, the void and
the rare classes, are ignored. Where only *_labelTrainIds.png stand, those are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from encompass.data.labels import (
    IGNORE,
    Colour,
    LabelDataset,
    LabelFile,
    LabelSample,
    LabelTable,
)
from encompass.errors import AnnotationError, UsageError
from encompass.pictures import read_ids

# (official id, name, colour) by train id.
_CLASSES: tuple[tuple[int, str, Colour], ...] = (
    (7, "road", (128, 64, 128)),
    (8, "sidewalk", (244, 35, 232)),
    (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)),
    (13, "fence", (190, 153, 153)),
    (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)),
    (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)),
    (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)),
    (27, "truck", (0, 0, 70)),
    (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)),
    (32, "motorcycle", (0, 0, 230)),
    (33, "bicycle", (119, 11, 32)),
)
TABLE = LabelTable(
    names=tuple(name for _, name, _ in _CLASSES), colours=tuple(c for _, _, c in _CLASSES)
)
OFFICIAL_IDS = tuple(identity for identity, _, _ in _CLASSES)  # by label
_NUM_IDS = 34

FROM_IDS = dict.fromkeys(range(_NUM_IDS), IGNORE) | {
    identity: label for label, identity in enumerate(OFFICIAL_IDS)
}
_FROM_TRAIN_IDS = {label: label for label in range(len(TABLE))} | {IGNORE: IGNORE}

_PICTURES = "leftImg8bit"
_ANNOTATIONS = ("gtFine", "gtCoarse")  # the first that has the split is read


@dataclass(frozen=True, slots=True)
class StreetFiles:
    """One picture and where its annotations are."""

    picture: Path
    name: str  # CITY_SEQUENCE_FRAME
    prefix: Path  # of the annotations: prefix + "_labelIds.png"

    def annotation(self, kind: str) -> Path:
        """The file of one kind: labelIds, labelTrainIds or instanceIds; it need not exist."""
        return self.prefix.with_name(f"{self.prefix.name}_{kind}.png")


def is_cityscapes(root: Path) -> bool:
    """Whether the folder is laid out as Cityscapes."""
    return (root / _PICTURES).is_dir() and any((root / kind).is_dir() for kind in _ANNOTATIONS)


def load_cityscapes(
    root: str | PathLike[str], *, split: str, annotations: str | None = None
) -> LabelDataset:
    """The pictures of one split, by city and name, with their labels.

    Args:
        root: the folder of leftImg8bit/ and gtFine/ or gtCoarse/.
        split: train, val, test or train_extra.
        annotations: "gtFine" or "gtCoarse"; when None, the fine ones where the split has them.

    Raises:
        UsageError: the split is not there.
        AnnotationError: it has no pictures, or one has no annotation.
    """
    files, folder = find_streets(Path(root), split=split, annotations=annotations)
    samples = tuple(LabelSample(street.picture, _label_file(street)) for street in files)
    return LabelDataset(samples, TABLE, (folder,))


def find_streets(
    root: Path, *, split: str, annotations: str | None = None
) -> tuple[tuple[StreetFiles, ...], Path]:
    """The files of one split, and the folder of its annotations. Raises as `load_cityscapes`."""
    kinds = _ANNOTATIONS if annotations is None else (annotations,)
    found = [kind for kind in kinds if (root / kind / split).is_dir()]
    pictures = root / _PICTURES / split
    if not found or not pictures.is_dir():
        known = ", ".join(splits(root)) or "none"
        raise UsageError(
            f"{root} has no split {split!r} with {_PICTURES}/ and {' or '.join(kinds)}/. "
            f"Splits with pictures: {known}."
        )
    folder = root / found[0] / split
    ending = f"_{_PICTURES}.png"
    files = []
    for picture in sorted(pictures.glob(f"*/*{ending}")):
        name = picture.name.removesuffix(ending)
        files.append(
            StreetFiles(picture, name, folder / picture.parent.name / f"{name}_{found[0]}")
        )
    if not files:
        raise AnnotationError(pictures, f"has no pictures CITY/*{ending}; check the path.")
    return tuple(files), folder


def splits(root: Path) -> tuple[str, ...]:
    """The splits that have pictures."""
    return tuple(sorted(p.name for p in (root / _PICTURES).iterdir() if p.is_dir()))


def _label_file(street: StreetFiles) -> LabelFile:
    ids, train_ids = street.annotation("labelIds"), street.annotation("labelTrainIds")
    if ids.is_file():
        return LabelFile(ids, FROM_IDS)
    if train_ids.is_file():
        return LabelFile(train_ids, _FROM_TRAIN_IDS)
    raise AnnotationError(ids, f"no such file; {street.picture.name} needs its labels.")


def read_instances(street: StreetFiles, name: str) -> tuple[np.ndarray, list[int]]:
    """(H, W) instance ids of one picture, and which of them are single objects of a class.

    Objects that were annotated as one group have the class's own id, no instance's.
    Raises ImageError when the file is missing or broken.
    """
    ids = read_ids(street.annotation("instanceIds"))
    first = OFFICIAL_IDS[TABLE.names.index(name)] * 1000
    return ids, np.unique(ids[(ids >= first) & (ids < first + 1000)]).tolist()
