"""A dataset from one path: what a user types after --data."""

from __future__ import annotations

import os
from pathlib import Path

from encompass.data.classes import check_names
from encompass.data.coco import Dataset, load_coco
from encompass.data.penn_fudan import find_layout, load_penn_fudan
from encompass.errors import AnnotationError, BadData, UsageError


def load_dataset(
    path: Path, *, images: Path | None = None, classes: tuple[str, ...] = ()
) -> Dataset:
    """A COCO annotation file with its pictures, or a folder laid out as Penn-Fudan's.

    Args:
        path: the .json file or the folder.
        images: the folder of a COCO file's pictures; images/ beside the file when None.
            A folder laid out as Penn-Fudan's has its own.
        classes: names of the classes to keep; all when empty.

    Raises:
        UsageError: the path is neither, `images` is not a folder, or a class is unknown.
        BadData: the path is missing, or the dataset is broken or empty.
    """
    if not os.path.exists(path):
        raise BadData(path, "no such file or folder; check the path.")
    if path.suffix == ".json":
        return _load_coco(path, images, classes)
    if find_layout(path) is None:
        raise UsageError(
            f"{path} is not a dataset: give a COCO annotation file (.json, pictures in images/ "
            "beside it) or a folder with images/ and masks/, or PNGImages/ and PedMasks/."
        )
    dataset = load_penn_fudan(path)
    check_names(path, classes, dataset.classes.names)
    return dataset


def _load_coco(path: Path, images: Path | None, classes: tuple[str, ...]) -> Dataset:
    if images is not None and not os.path.isdir(images):
        raise UsageError(f"{images} is not a folder; give the folder of the pictures of {path}.")
    folder = path.parent / "images" if images is None else images
    dataset = load_coco(path, folder, categories=classes or None)
    if not dataset.classes.names:
        raise AnnotationError(path, "has no categories; list at least one class in 'categories'.")
    if not dataset.samples:
        raise AnnotationError(path, "has no pictures; list at least one in 'images'.")
    if not os.path.isdir(folder):
        raise AnnotationError(
            path, f"has no pictures in {folder}; give the folder they lie in (--images)."
        )
    return dataset
