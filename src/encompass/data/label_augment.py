"""Random changes of a picture with a label map, and which pictures to draw how often.

Each function takes an example and a generator and gives a new example; nothing is changed in place.
Pictures are resampled by an antialiased triangle filter, labels by the nearest pixel, on one grid.
Where a window reaches beyond the picture it shows the mean colour, and the labels there are
ignored.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from PIL import Image

from encompass.data import augment
from encompass.data.augment import MEAN_COLOUR
from encompass.data.labels import IGNORE, LabelDataset

SCALES = (0.5, 2.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelExample:
    """A picture and its labels, before they become a network's input."""

    picture: np.ndarray  # (H, W, 3) uint8 RGB
    labels: np.ndarray  # (H, W) uint8
    name: str  # of the file, for messages


def mirror(example: LabelExample) -> LabelExample:
    """The example seen in a mirror: x becomes width - x."""
    return dataclasses.replace(
        example,
        picture=np.ascontiguousarray(example.picture[:, ::-1]),
        labels=np.ascontiguousarray(example.labels[:, ::-1]),
    )


def flip(example: LabelExample, rng: np.random.Generator) -> LabelExample:
    """Mirrored left to right, in one of two cases."""
    return mirror(example) if rng.random() < 0.5 else example


def photometric(example: LabelExample, rng: np.random.Generator) -> LabelExample:
    """Contrast, saturation, hue and brightness changed, each in one of two cases."""
    return dataclasses.replace(example, picture=augment.recolour(example.picture, rng))


def resize(example: LabelExample, size: tuple[int, int]) -> LabelExample:
    """Stretched to (height, width)."""
    height, width = example.labels.shape
    return cut(example, (0, 0, width, height), size)


def cut(
    example: LabelExample, window_xyxy: tuple[float, float, float, float], size: tuple[int, int]
) -> LabelExample:
    """What a window shows, stretched to a size. The window may reach beyond the picture.

    Args:
        example: a picture and its labels.
        window_xyxy: edges in the example's pixels; need not be whole.
        size: (height, width) of the result.
    """
    x0, y0, x1, y1 = window_xyxy
    left, top = int(np.floor(x0)), int(np.floor(y0))
    right, bottom = int(np.ceil(x1)), int(np.ceil(y1))
    whole = crop(example, left, top, height=bottom - top, width=right - left)
    inner = (x0 - left, y0 - top, x1 - left, y1 - top)
    if inner == (0, 0, size[1], size[0]):
        return whole

    height, width = size

    def stretch(pixels: np.ndarray, filter: Image.Resampling) -> np.ndarray:
        return np.array(Image.fromarray(pixels).resize((width, height), filter, box=inner))

    return dataclasses.replace(
        whole,
        picture=stretch(whole.picture, Image.Resampling.BILINEAR),
        labels=stretch(whole.labels, Image.Resampling.NEAREST),
    )


def crop(example: LabelExample, x: int, y: int, *, height: int, width: int) -> LabelExample:
    """A window of whole pixels with its upper left corner at (x, y)."""
    picture = np.empty((height, width, 3), dtype=np.uint8)
    picture[:] = MEAN_COLOUR
    labels = np.full((height, width), IGNORE, dtype=np.uint8)
    src_height, src_width = example.labels.shape
    rows = slice(max(y, 0), min(y + height, src_height))
    columns = slice(max(x, 0), min(x + width, src_width))
    if rows.start < rows.stop and columns.start < columns.stop:
        seen = (
            slice(rows.start - y, rows.stop - y),
            slice(columns.start - x, columns.stop - x),
        )
        picture[seen] = example.picture[rows, columns]
        labels[seen] = example.labels[rows, columns]
    return dataclasses.replace(example, picture=picture, labels=labels)


def random_window(
    example: LabelExample,
    rng: np.random.Generator,
    *,
    size: tuple[int, int],
    scales: tuple[float, float] = SCALES,
) -> LabelExample:
    """Scaled by a random factor and cropped at a random place to (height, width).

    Half as large is as likely as twice as large: the factor's logarithm is drawn evenly. A scaled
    picture smaller than the crop lies somewhere inside it. Only the window is resampled, not the
    whole picture first.
    """
    factor = np.exp(rng.uniform(*np.log(scales)))
    height, width = size[0] / factor, size[1] / factor
    src_height, src_width = example.labels.shape
    x = _place(src_width - width, rng)
    y = _place(src_height - height, rng)
    return cut(example, (x, y, x + width, y + height), size)


def _place(room: float, rng: np.random.Generator) -> float:
    """Where a window begins that has so much room, or that lacks it: then negative."""
    return float(rng.uniform(min(room, 0), max(room, 0)))


def count_pixels(dataset: LabelDataset) -> np.ndarray:
    """(N, C) int64: pixels of each class in each sample. Reads every label map."""
    num_classes = len(dataset.table)
    counts = np.zeros((len(dataset), num_classes), dtype=np.int64)
    for row, sample in zip(counts, dataset.samples, strict=True):
        row[:] = np.bincount(sample.read_labels().ravel(), minlength=IGNORE + 1)[:num_classes]
    return counts


def class_weights(pixels: np.ndarray, power: float) -> np.ndarray:
    """What each class weighs in a loss, (C,) float64: its share of the pixels to minus `power`.

    The mean over all pixels is 1. A class without a pixel weighs nothing.

    Args:
        pixels: (N, C) of `count_pixels`, with at least one positive count.
        power: 0 makes all classes that occur weigh 1.
    """
    total = pixels.sum(axis=0)
    shares = total / total.sum()
    weights = np.zeros(len(shares))
    weights[total > 0] = shares[total > 0] ** -power
    return weights / (weights * shares).sum()


def balanced_odds(pixels: np.ndarray) -> np.ndarray:
    """How likely each picture should be drawn, (N,) float64 of sum 1, for classes to be even.

    As if a class were drawn first, all that occur being as likely, and then one of the pictures
    that show it. A picture without any class is never drawn.

    Args:
        pixels: (N, C) of `count_pixels`, with at least one positive count.
    """
    shows = (pixels > 0).astype(np.float64)
    pictures = shows.sum(axis=0)
    shows = shows[:, pictures > 0] / pictures[pictures > 0]
    assert shows.size, "no picture shows a class"
    return shows.mean(axis=1)
