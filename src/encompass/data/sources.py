"""A dataset from one path: what a user types after --data."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from encompass.data.camvid import find_layout as find_camvid
from encompass.data.camvid import load_camvid
from encompass.data.camvid import splits as camvid_splits
from encompass.data.cityscapes import is_cityscapes, load_cityscapes
from encompass.data.cityscapes import splits as cityscapes_splits
from encompass.data.classes import check_names
from encompass.data.coco import load_coco
from encompass.data.instance_labels import label_instances
from encompass.data.instances import Dataset
from encompass.data.label_folder import is_label_folder, load_label_folder
from encompass.data.labels import LabelDataset
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
            "beside it) or a folder with images/ and masks/ (SPLIT/images and SPLIT/masks where it "
            "has splits), or PNGImages/ and PedMasks/."
        )
    dataset = load_penn_fudan(path)
    check_names(path, classes, dataset.classes.names)
    return dataset


def load_labels(
    path: Path,
    *,
    split: str | None = None,
    images: Path | None = None,
    classes: tuple[str, ...] = (),
) -> LabelDataset:
    """A semantic dataset: Cityscapes, CamVid, a folder with masks and classes, or instances.

    The folder of masks may have splits, images/ and masks/ in each. Instances are what
    `load_dataset` opens; they give background and the classes.

    Args:
        path: the folder or the .json file.
        split: which part of it; None for a folder without splits or for one split's own folder.
        images: the folder of a COCO file's pictures; images/ beside the file when None.
        classes: names of the classes of instances to keep; all when empty.

    Raises:
        UsageError: the path is none of these, the split is not in it or not given, or `images` or
            `classes` do not go with it.
        BadData: the path is missing, or the dataset is broken or empty.
    """
    if not os.path.exists(path):
        raise BadData(path, "no such file or folder; check the path.")
    load = _find_label_maps(path, split)
    if load is None:
        if split is not None:
            sought = f" ({split}/images, {split}/masks)" if path.is_dir() else ""
            raise UsageError(f"{path} has no splits{sought}; give it without {split!r}.")
        return label_instances(load_dataset(path, images=images, classes=classes))
    if images is not None or classes:
        raise UsageError(
            f"{path} has its own pictures and all its classes are learnt; folder of pictures and "
            "choice of classes go with COCO annotations only."
        )
    return load()


def load_labels_of(
    names: tuple[str, ...], path: Path, *, split: str | None = None, images: Path | None = None
) -> LabelDataset:
    """The dataset that `load_labels` opens, with the classes that a trained network has.

    Raises as `load_labels`, and UsageError when its classes are others.
    """
    has_maps = _find_label_maps(path, split) is not None
    dataset = load_labels(path, split=split, images=images, classes=() if has_maps else names[1:])
    if dataset.table.names != names:
        raise UsageError(
            f"{path} has the classes {dataset.table.names}, the network has {names}; score it on "
            "data that has the same."
        )
    return dataset


def _find_label_maps(path: Path, split: str | None) -> Callable[[], LabelDataset] | None:
    """How the label maps of a folder are read; None where it has none. Raises UsageError."""
    if not path.is_dir():
        return None
    if is_cityscapes(path):
        known, load = cityscapes_splits(path), load_cityscapes
    elif known := tuple(sorted(p.name for p in path.iterdir() if is_label_folder(p))):
        # Before CamVid, whose folders may have the same names but come without a list of classes.
        def load(root: Path, *, split: str) -> LabelDataset:
            return load_label_folder(root / split)

    elif known := camvid_splits(path):
        load = load_camvid
    if known:
        if split is None or split not in known:
            fault = "has splits; give one" if split is None else f"has no split {split!r}; give one"
            raise UsageError(f"{path} {fault} of {', '.join(known)}.")
        return partial(load, path, split=split)
    if split is not None:
        return None
    if is_label_folder(path):
        return partial(load_label_folder, path)
    own = path.resolve()
    if find_camvid(own.parent, own.name):  # the folder of one split
        return partial(load_camvid, own.parent, split=own.name)
    return None


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
