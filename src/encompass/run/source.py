"""What a model is given: SOURCE arguments to picture files, and any picture to one array."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from encompass.errors import UsageError
from encompass.pictures import read_picture

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".mpo", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")
)
EXAMPLE = Path(__file__).with_name("astronaut.jpg")  # NASA's photo of Eileen Collins, public domain
# What 16 or 32 bits of a Pillow image mean depends on its file, so only 8-bit kinds are taken.
_MODES = ("1", "L", "LA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "P", "PA")


def expand_sources(sources: Sequence[str | PathLike[str]]) -> list[Path]:
    """Files, folders and globs to picture files, in the order given, each once.

    A folder gives the pictures directly in it and a glob those it matches, by suffix and sorted.
    A plain path is kept whatever it is, even missing: reading it tells what is wrong.
    Raises UsageError when a folder or a glob has no picture.
    """
    found: list[Path] = []
    for source in sources:
        path = Path(source)
        if os.path.isdir(path):  # False, too, for a name that no file can have
            inside = path.iterdir()
        elif glob.has_magic(str(source)) and not os.path.exists(path):
            inside = map(Path, glob.glob(str(source), recursive=True))
        else:
            found.append(path)
            continue
        pictures = sorted(p for p in inside if _is_picture(p))
        if not pictures:
            known = ", ".join(sorted(SUFFIXES))
            raise UsageError(f"{source}: no picture found; looked for files ending in {known}.")
        found += pictures
    return list(dict.fromkeys(found))


def _is_picture(path: Path) -> bool:
    """By its name; hidden files are mostly another system's notes beside a picture."""
    hidden = path.name.startswith(".")
    return path.suffix.lower() in SUFFIXES and not hidden and path.is_file()


def as_picture(image: str | PathLike[str] | Image.Image | np.ndarray) -> np.ndarray:
    """Whatever a caller may give as a picture to (H, W, 3) uint8 RGB.

    A path is read strictly. A Pillow image is turned by its EXIF orientation, if it still has one,
    and loses its alpha. An array is taken as it is: (H, W, 3) uint8 RGB, or (H, W) uint8 grey.
    Raises ImageError for a file, UsageError for anything else that is not such a picture.
    """
    if isinstance(image, (str, PathLike)):
        return read_picture(image)
    if isinstance(image, Image.Image):
        return _from_pillow(image)
    if not isinstance(image, np.ndarray):
        raise UsageError(
            f"A picture is a path, a Pillow image or an array, not {type(image).__name__}."
        )
    colour = image.ndim == 3 and image.shape[2] == 3
    if image.dtype != np.uint8 or not (colour or image.ndim == 2) or image.size == 0:
        raise UsageError(
            f"An array of shape {image.shape} and type {image.dtype} is not a picture; "
            "give (H, W, 3) RGB or (H, W) grey of type uint8."
        )
    return np.ascontiguousarray(image if colour else np.repeat(image[..., None], 3, axis=2))


def _from_pillow(image: Image.Image) -> np.ndarray:
    if image.mode not in _MODES or 0 in image.size:
        raise UsageError(
            f"A Pillow image of size {image.size} and mode {image.mode!r} is not a picture to look "
            "at; convert it to 'RGB' first."
        )
    try:
        image = ImageOps.exif_transpose(image)
        if image.mode in ("P", "PA"):  # the direct way warns about a palette with transparency
            image = image.convert("RGBA")
        return np.array(image.convert("RGB"))
    except OSError as error:  # opened lazily, and its file is broken
        raise UsageError(f"The Pillow image cannot be decoded ({error}).") from error
