"""CamVid (Brostow et al. 2009) with the 11 classes and the split of SegNet (Badrinarayanan 2017).

Value k of a label PNG is class k; 11, and in some copies 255, is void and ignored. Two layouts are
known: SPLIT/images with SPLIT/labels, and SegNet's own SPLIT with SPLITannot.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from encompass.data.labels import IGNORE, LabelDataset, LabelTable, pair_folders
from encompass.errors import UsageError

TABLE = LabelTable(
    names=(
        "sky",
        "building",
        "pole",
        "road",
        "pavement",
        "tree",
        "sign",
        "fence",
        "car",
        "pedestrian",
        "bicyclist",
    ),
    colours=(
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (60, 40, 222),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ),
)
VOID = 11
_MEANING = {label: label for label in range(len(TABLE))} | {VOID: IGNORE, IGNORE: IGNORE}
_LAYOUTS = (("{split}/images", "{split}/labels"), ("{split}", "{split}annot"))
_SPLITS = ("train", "val", "test")


def find_layout(root: Path, split: str) -> tuple[Path, Path] | None:
    """The folders of a split's pictures and labels; None where either is missing."""
    for layout in _LAYOUTS:
        images, labels = (root / part.format(split=split) for part in layout)
        if images.is_dir() and labels.is_dir():
            return images, labels
    return None


def splits(root: Path) -> tuple[str, ...]:
    """The splits that the folder has, laid out as CamVid; empty for any other folder."""
    return tuple(split for split in _SPLITS if find_layout(root, split))


def load_camvid(root: str | PathLike[str], *, split: str) -> LabelDataset:
    """The pictures of one split (train, val or test), by name, with their labels.

    Raises UsageError when the split is not there, AnnotationError when a label file is missing.
    """
    layout = find_layout(Path(root), split)
    if layout is None:
        known = ", ".join(splits(Path(root))) or "none"
        raise UsageError(f"{root} has no split {split!r} of CamVid. Splits: {known}.")
    images, labels = layout
    return LabelDataset(pair_folders(images, labels, _MEANING), TABLE, (labels,))
