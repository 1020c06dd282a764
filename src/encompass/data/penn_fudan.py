"""Penn-Fudan pedestrians: pictures and instance masks in which value k is person k (0: nobody).

Masks are compared value by value and never colour-converted. Strongly hidden people have no mask
and are therefore background here.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np

from encompass.data.classes import ClassTable
from encompass.data.coco import Annotation, Dataset, Sample
from encompass.errors import AnnotationError
from encompass.geometry.masks import rle_encode
from encompass.pictures import picture_size, read_ids
from encompass.schema import BoxMask


def load_penn_fudan(root: str | PathLike[str]) -> Dataset:
    """Read `root`/images/*.jpg or *.png with `root`/masks/*.png of the same names.

    Raises AnnotationError when a mask is missing or of another size than its picture, ImageError
    when a file is broken.
    """
    root = Path(root)
    masks = root / "masks"
    paths = sorted(p for p in (root / "images").glob("*") if p.suffix in {".jpg", ".png"})
    if not paths:
        raise AnnotationError(root, "has no pictures in images/; give Penn-Fudan's folder.")
    samples = []
    for number, path in enumerate(paths, start=1):
        mask_path = masks / f"{path.stem}.png"
        if not mask_path.is_file():
            raise AnnotationError(mask_path, f"no such file; {path.name} needs its mask.")
        ids = read_ids(mask_path)
        size = picture_size(path)
        if ids.shape != size:
            raise AnnotationError(
                mask_path, f"has size {ids.shape}, its picture {size}; use masks of the same size."
            )
        people = tuple(_person(ids == k) for k in np.unique(ids) if k != 0)
        samples.append(Sample(path, number, *size, people))
    return Dataset(tuple(samples), ClassTable(("person",), (1,)), (masks,))


def _person(mask: np.ndarray) -> Annotation:
    """(H, W) bool, not empty, to an annotation with the mask's tight box."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    crop = BoxMask(x, y, mask[y : rows[-1] + 1, x : columns[-1] + 1])
    h, w = crop.pixels.shape
    height, width = mask.shape
    return Annotation(
        label=0,
        box_xywh=(x, y, w, h),
        area=crop.area,
        crowd=False,
        segmentation=rle_encode(crop, height=height, width=width),
    )
