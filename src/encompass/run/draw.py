"""A picture with the found objects, or the classes of its pixels, drawn over it."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from encompass.errors import UsageError
from encompass.files import replacing
from encompass.schema import BoxMask, Colour, Instances

_OPACITY = 0.45  # of a mask: strong enough to tell objects apart, weak enough to see them
_FIRST_HUE = 0.47  # turquoise: neither skin nor grass nor sky
_LABEL_OPACITY = 0.6  # of a class's colour: every pixel has one, so it must be told at a glance
_GOLDEN = 0.618034  # steps of the golden ratio keep any number of hues far apart


def draw_instances(picture: np.ndarray, instances: Instances) -> Image.Image:
    """Masks with their contours, boxes, and labels with scores; each object has its own colour.

    Args:
        picture: (H, W, 3) uint8 RGB, which is left as it is.
        instances: of this picture, best first; the best is drawn last, on top.
    """
    longest = max(picture.shape[:2])
    unit = max(2, round(longest / 400))  # line width, pixels
    worst_first = range(len(instances) - 1, -1, -1)

    image = Image.fromarray(picture)
    for i in worst_first:
        _draw_mask(image, instances.masks[i], _colour(i), unit)

    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=max(12, round(longest / 50)))
    for i in worst_first:
        x0, y0, x1, y1 = instances.boxes[i].tolist()
        # Pillow counts the last pixel in, our boxes do not; and it refuses a box turned inside out.
        pen.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), outline=_colour(i), width=unit)
    for i in worst_first:
        name = instances.names[instances.labels[i]]
        text = f"{i + 1} {name} {instances.scores[i]:.2f}"
        _draw_label(pen, text, instances.boxes[i], _colour(i), font, unit)
    return image


def draw_labels(picture: np.ndarray, labels: np.ndarray, colours: Sequence[Colour]) -> Image.Image:
    """The picture tinted by the class of each pixel.

    Black stands for background and void in most palettes, so there the picture stays as it is.

    Args:
        picture: (H, W, 3) uint8 RGB, which is left as it is.
        labels: (H, W) uint8.
        colours: by label.
    """
    palette = np.asarray(colours, dtype=np.uint8)
    image = Image.fromarray(picture)
    tinted = Image.blend(image, Image.fromarray(palette[labels]), _LABEL_OPACITY)
    image.paste(tinted, mask=Image.fromarray(palette.max(axis=1)[labels] > 0))
    return image


def write_picture(image: Image.Image, path: str | PathLike[str]) -> None:
    """Write a picture file of the kind that the suffix names, whole or not at all.

    Raises UsageError for a suffix of no known kind, EncompassError when it cannot be written.
    """
    suffix = Path(path).suffix.lower()
    # First among the kinds that `pictures` reads: to register all imports forty modules.
    kind = Image.EXTENSION.get(suffix) or Image.registered_extensions().get(suffix)
    if kind not in Image.SAVE:
        raise UsageError(f"{path}: no kind of picture has this suffix; use .jpg or .png.")
    with replacing(path) as file:
        image.save(file, format=kind, quality=92)


def _colour(i: int) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb((_FIRST_HUE + i * _GOLDEN) % 1, 0.85, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def _draw_mask(image: Image.Image, mask: BoxMask, colour: Colour, unit: int) -> None:
    """Tint the mask and trace its edge, in place."""
    if not mask.pixels.size:
        return
    h, w = mask.pixels.shape
    area = (mask.x, mask.y, mask.x + w, mask.y + h)
    # A table of the 256 values of each channel: a photo is tinted many times faster than by sums.
    plain, tint = np.arange(256) * (1 - _OPACITY), np.asarray(colour)[:, None] * _OPACITY
    tinted = image.crop(area).point((plain + tint).astype(np.uint8).ravel().tolist())
    image.paste(tinted, area, Image.fromarray(mask.pixels))
    image.paste(colour, area, Image.fromarray(_edge(mask.pixels, unit)))


def _edge(pixels: np.ndarray, width: int) -> np.ndarray:
    """(h, w) bool: what lies at most so far inside from an edge, counted across sides."""
    inner = np.pad(pixels, 1)
    for _ in range(width):  # each turn takes one pixel off all around
        outer = inner.copy()
        inner[1:] &= outer[:-1]
        inner[:-1] &= outer[1:]
        inner[:, 1:] &= outer[:, :-1]
        inner[:, :-1] &= outer[:, 1:]
    return pixels & ~inner[1:-1, 1:-1]


def _draw_label(
    pen: ImageDraw.ImageDraw,
    text: str,
    box_xyxy: np.ndarray,
    colour: tuple[int, int, int],
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    unit: int,
) -> None:
    """The text on a plate that stands on the box, or hangs inside where the picture ends."""
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    width, height = right - left + 2 * unit, bottom - top + 2 * unit
    x = max(0.0, min(float(box_xyxy[0]), pen.im.size[0] - width))
    above = float(box_xyxy[1]) - height
    y = above if above >= 0 else float(box_xyxy[1])
    pen.rectangle((x, y, x + width, y + height), fill=colour)
    red, green, blue = colour
    bright = 0.299 * red + 0.587 * green + 0.114 * blue > 110
    pen.text(
        (x + unit - left, y + unit - top),
        text,
        font=font,
        fill="black" if bright else "white",
    )
