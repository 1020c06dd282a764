"""A dataset from one path: what a user types after --data."""

from __future__ import annotations

from pathlib import Path

from encompass.data.coco import Dataset, load_coco
from encompass.data.penn_fudan import load_penn_fudan
from encompass.errors import UsageError


def load_dataset(path: Path) -> Dataset:
    """A COCO annotation file with its pictures in images/ beside it, or a folder as Penn-Fudan's.

    Raises:
        UsageError: the path is neither.
        AnnotationError: the dataset is there but broken.
    """
    if path.suffix == ".json":
        return load_coco(path, path.parent / "images")
    if (path / "images").is_dir() and (path / "masks").is_dir():
        return load_penn_fudan(path)
    raise UsageError(
        f"{path} is not a dataset: give a COCO annotation file (.json, pictures in images/ beside "
        "it) or a folder with images/ and masks/."
    )
