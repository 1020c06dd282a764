"""The class of every pixel, from logits of coarse cells, without logits of every pixel.

The label map is that of bilinear interpolation to the picture and the largest logit of each pixel
(torch's `interpolate`, cell centres half a stride from the corner), but for rounding where two
logits are as good as equal. Between the centres of four cells bilinear interpolation is a weighted
mean of their logits. So a class that is the largest at all four is the largest in between, and
there nothing is interpolated; nor is, in the other squares, a class whose logits are below some
other's at all four centres. A street has few of those squares and two or three classes in each.
"""

from __future__ import annotations

import numpy as np


def label_pixels(logits: np.ndarray, *, stride: int, height: int, width: int) -> np.ndarray:
    """The class of each pixel, the lower of two equal ones.

    Args:
        logits: (classes, h, w) float32, at most 255 classes, of cells of `stride` pixels; the first
            begins at the picture's corner.
        stride: pixels, even.
        height: of the picture, pixels, at most h * stride.
        width: of the picture, pixels, at most w * stride.

    Returns:
        (height, width) uint8.
    """
    assert stride % 2 == 0, f"the centres of cells of {stride} pixels lie on pixels"
    # Half a stride around, the outermost cells' logits go on: each pixel is in a square of centres.
    cells = np.pad(logits, ((0, 0), (1, 1), (1, 1)), mode="edge")
    best = np.ascontiguousarray(cells.transpose(1, 2, 0)).argmax(axis=2).astype(np.uint8)
    top, bottom = best[:-1], best[1:]
    first = top[:, :-1]
    same = (first == top[:, 1:]) & (first == bottom[:, :-1]) & (first == bottom[:, 1:])
    squares = np.empty((len(first), stride, first.shape[1], stride), dtype=np.uint8)
    squares[:] = first[:, None, :, None]
    rows, columns = np.nonzero(~same)
    squares[rows, :, columns, :] = _interpolated(cells, rows, columns, stride)
    whole = squares.reshape(len(first) * stride, first.shape[1] * stride)
    half = stride // 2
    return np.ascontiguousarray(whole[half : half + height, half : half + width])


def _interpolated(
    cells: np.ndarray, rows: np.ndarray, columns: np.ndarray, stride: int
) -> np.ndarray:
    """(N, stride, stride) uint8: the classes of the squares that begin at these cells' centres."""
    corners = np.stack([cells[:, rows + y, columns + x] for y in (0, 1) for x in (0, 1)], axis=-1)
    least = corners.min(axis=-1).max(axis=0)  # that the largest logit is, anywhere in the square
    possible = corners.max(axis=-1) >= least
    weight = ((np.arange(stride) + 0.5) / stride).astype(np.float32)
    largest = np.full((len(rows), stride, stride), -np.inf, dtype=np.float32)
    labels = np.zeros(largest.shape, dtype=np.uint8)
    for label, where in enumerate(map(np.flatnonzero, possible)):
        top_left, top_right, bottom_left, bottom_right = corners[label, where].T[..., None]
        left = top_left + (bottom_left - top_left) * weight
        right = top_right + (bottom_right - top_right) * weight
        values = left[..., None] + (right - left)[..., None] * weight
        before = largest[where]
        labels[where] = np.where(values > before, np.uint8(label), labels[where])
        largest[where] = np.maximum(values, before)
    return labels
