"""Penn-Fudan pedestrians: pictures and instance masks in which value k is person k (0: nobody).

Masks are compared value by value and never colour-converted. Strongly hidden people have no mask
and are therefore background here.
"""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path

import numpy as np

from encompass.data.classes import ClassTable
from encompass.data.instances import Annotation, Dataset, Sample
from encompass.errors import AnnotationError
from encompass.geometry.masks import crop_mask, rle_encode
from encompass.pictures import picture_size, read_ids

# Folder of pictures, folder of masks, and what a mask's name has after its picture's: ours, and the
# public archive's.
_LAYOUTS = (("images", "masks", ""), ("PNGImages", "PedMasks", "_mask"))


def find_layout(root: Path) -> tuple[Path, Path, str] | None:
    """The folder of pictures, that of masks, and the ending of a mask's stem; None without both."""
    for images, masks, ending in _LAYOUTS:
        if os.path.isdir(root / images) and os.path.isdir(root / masks):
            return root / images, root / masks, ending
    return None


def load_penn_fudan(root: str | PathLike[str]) -> Dataset:
    """Read pictures (.jpg or .png) with their masks (.png).

    Either `root`/images/NAME.png with `root`/masks/NAME.png or, as the public archive has them,
    `root`/PNGImages/NAME.png with `root`/PedMasks/NAME_mask.png.

    Raises AnnotationError when a mask is missing or of another size than its picture, ImageError
    when a file is broken.
    """
    root = Path(root)
    layout = find_layout(root)
    if layout is None:
        raise AnnotationError(
            root, "has neither images/ and masks/ nor PNGImages/ and PedMasks/; give such a folder."
        )
    images, masks, ending = layout
    paths = sorted(p for p in images.glob("*") if p.suffix in {".jpg", ".png"})
    if not paths:
        raise AnnotationError(root, f"has no pictures in {images.name}/; give Penn-Fudan's folder.")
    samples = []
    for number, path in enumerate(paths, start=1):
        mask_path = masks / f"{path.stem}{ending}.png"
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
    crop = crop_mask(mask)
    h, w = crop.pixels.shape
    height, width = mask.shape
    return Annotation(
        label=0,
        box_xywh=(crop.x, crop.y, w, h),
        area=crop.area,
        crowd=False,
        segmentation=rle_encode(crop, height=height, width=width),
    )
