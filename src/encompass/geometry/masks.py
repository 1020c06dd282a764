"""Box-local masks: from branch logits to pixels, and to and from COCO's run-length code.

A branch predicts logits over the encompassing box. They are resized (bilinear) to picture pixels,
then cut at logit 0 (thesis 3.2.1), and cropped to the box last, so that mask edges follow the
object and not the grid. Only the pixels inside the box are ever computed.
"""

from __future__ import annotations

import math

import numpy as np

from encompass.schema import BoxMask

BOUNDARY = 0.02  # of the picture's diagonal (Cheng et al. 2021)


def _resample_rows(
    values: np.ndarray, low: float, high: float, start: int, stop: int
) -> np.ndarray:
    """Rows that lie evenly over [low, high], sampled bilinearly at the centres of pixel rows.

    By two taps and not by a matrix product: that would wake BLAS's threads, which then fight the
    network's for the cores.

    Args:
        values: (rows, ...) float32.
        low: where the first row begins, pixels.
        high: where the last row ends, pixels.
        start: first pixel row of the result.
        stop: one past its last pixel row.
    """
    rows = len(values)
    position = (np.arange(start, stop) + 0.5 - low) * (rows / (high - low)) - 0.5
    position = np.clip(position, 0, rows - 1)
    above = position.astype(np.int64)
    weight = (position - above).astype(np.float32)[:, None]
    below = np.minimum(above + 1, rows - 1)
    upper = values[above]
    return upper + (values[below] - upper) * weight


def decode_mask(
    logits: np.ndarray, area_xyxy: np.ndarray, box_xyxy: np.ndarray, *, height: int, width: int
) -> BoxMask:
    """Branch logits to the mask of one box at the picture's own resolution.

    Args:
        logits: (h, w) float32 over the area; (0, 0) of a box without a branch gives a mask of 0x0.
        area_xyxy: (4,) what was cropped, src pixels.
        box_xyxy: (4,) the detected box, src pixels; pixels it does not touch are never set.
        height: of the picture, pixels.
        width: of the picture, pixels.
    """
    x0, y0 = np.floor(np.clip(box_xyxy[:2], 0, [width, height])).astype(int)
    x1, y1 = np.ceil(np.clip(box_xyxy[2:], 0, [width, height])).astype(int)
    if x1 <= x0 or y1 <= y0 or not logits.size:
        return BoxMask(int(x0), int(y0), np.zeros((0, 0), dtype=bool))
    columns = _resample_rows(logits.T, area_xyxy[0], area_xyxy[2], x0, x1)
    pixels = _resample_rows(np.ascontiguousarray(columns.T), area_xyxy[1], area_xyxy[3], y0, y1)
    return BoxMask(int(x0), int(y0), pixels > 0.0)


def crop_mask(full: np.ndarray) -> BoxMask:
    """(H, W) bool cropped to its extent; a mask without pixels gives a crop of size (0, 0)."""
    rows, columns = np.flatnonzero(full.any(axis=1)), np.flatnonzero(full.any(axis=0))
    if not len(rows):
        return BoxMask(0, 0, np.zeros((0, 0), dtype=bool))
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    return BoxMask(x0, y0, np.ascontiguousarray(full[y0:y1, x0:x1]))


def mask_extent(mask: BoxMask) -> np.ndarray:
    """The box around a mask that is cropped to its pixels: (4,) float32 xyxy, src pixels."""
    h, w = mask.pixels.shape
    return np.asarray([mask.x, mask.y, mask.x + w, mask.y + h], dtype=np.float32)


def coverage(mask: BoxMask, area_xyxy: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """How much of each cell of a grid over an area the mask covers: the target of a branch.

    Args:
        mask: src pixels.
        area_xyxy: (4,) the area, src pixels; it may reach beyond the mask and need not be whole.
        shape: (h, w) cells of equal size in the area.

    Returns:
        (h, w) float32 in [0, 1].
    """
    h, w = mask.pixels.shape
    down = _overlap_rows(area_xyxy[1], area_xyxy[3], shape[0], mask.y, mask.y + h)
    across = _overlap_rows(area_xyxy[0], area_xyxy[2], shape[1], mask.x, mask.x + w)
    return down @ mask.pixels.astype(np.float32) @ across.T


def _overlap_rows(low: float, high: float, cells: int, start: int, stop: int) -> np.ndarray:
    """(cells, stop - start): the part of each cell of [low, high] that each pixel fills."""
    edges = np.linspace(low, high, cells + 1)
    pixels = np.arange(start, stop)
    right = np.minimum(edges[1:, None], pixels[None] + 1)
    left = np.maximum(edges[:-1, None], pixels[None])
    return (np.maximum(right - left, 0) * (cells / (high - low))).astype(np.float32)


def mask_iou(a: BoxMask, b: BoxMask) -> float:
    """Intersection over union of two masks of one picture; 0 where neither has a pixel."""
    (a_h, a_w), (b_h, b_w) = a.pixels.shape, b.pixels.shape
    x0, x1 = max(a.x, b.x), min(a.x + a_w, b.x + b_w)
    y0, y1 = max(a.y, b.y), min(a.y + a_h, b.y + b_h)
    inter = 0
    if x0 < x1 and y0 < y1:  # the crops meet
        a_part = a.pixels[y0 - a.y : y1 - a.y, x0 - a.x : x1 - a.x]
        b_part = b.pixels[y0 - b.y : y1 - b.y, x0 - b.x : x1 - b.x]
        inter = np.count_nonzero(a_part & b_part)
    union = a.area + b.area - inter
    return inter / union if union else 0.0


def boundary_iou(a: BoxMask, b: BoxMask, *, height: int, width: int) -> float:
    """IoU of the boundaries of two masks of one picture (Cheng et al. 2021); 0 without a pixel.

    Only what lies within `BOUNDARY` of the picture's diagonal of a mask's own outline counts, so
    that the inside of large objects cannot hide coarse edges; a small object is all boundary.

    Args:
        a: one mask.
        b: another.
        height: of the picture, pixels.
        width: of the picture, pixels.
    """
    reach = max(1, round(BOUNDARY * math.hypot(height, width)))
    return mask_iou(_boundary(a, reach), _boundary(b, reach))


def _boundary(mask: BoxMask, reach: int) -> BoxMask:
    """The pixels of a mask that have one outside of it, or of the picture, within `reach` pixels.

    Distances are by the greater of rows and columns, as repeated 3x3 erosion counts them.
    """
    inside = mask.pixels
    for _ in range(2):  # along rows, then along columns
        ends = [(0, 0), (reach + 1, reach)]
        sums = np.cumsum(np.pad(inside, ends), axis=1, dtype=np.int64)
        whole = sums[:, 2 * reach + 1 :] - sums[:, : -2 * reach - 1] == 2 * reach + 1
        inside = whole.T
    return BoxMask(mask.x, mask.y, mask.pixels & ~inside)


def rle_encode(mask: BoxMask, *, height: int, width: int) -> dict:
    """COCO's compressed run-length code of a mask, without drawing it full size.

    Runs go down the columns of the (height, width) picture and start with the unset pixels. Returns
    {"size": [height, width], "counts": str}, equal to pycocotools'.
    """
    h, w = mask.pixels.shape
    flat = np.zeros((w, height), dtype=bool)  # only the columns that the crop covers
    flat[:, mask.y : mask.y + h] = mask.pixels.T
    edges = np.flatnonzero(np.diff(flat.ravel(), prepend=False, append=False)) + mask.x * height
    runs = np.diff(edges, prepend=0, append=height * width)
    # A mask that ends on the last pixel leaves an empty last run, which the code does not write.
    if len(runs) > 1 and runs[-1] == 0:
        runs = runs[:-1]
    return {"size": [height, width], "counts": _pack_runs(runs.tolist())}


def _pack_runs(runs: list[int]) -> str:
    """COCO's text form: each run less the one two before it, in groups of five bits, low first."""
    text = []
    for i, run in enumerate(runs):
        value = run - runs[i - 2] if i > 2 else run
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            text.append(chr((bits | 0x20 if more else bits) + 48))
    return "".join(text)


def rle_decode(rle: dict) -> np.ndarray:
    """COCO's run-length code, compressed (str) or plain (list), to (height, width) bool.

    Raises ValueError when the size or the runs do not describe a mask.
    """
    height, width = rle["size"]
    counts = rle["counts"]
    runs = _unpack_runs(counts) if isinstance(counts, str) else list(counts)
    if any(run < 0 for run in runs) or sum(runs) != height * width:
        raise ValueError(f"the runs sum to {sum(runs)}, not to {height} x {width}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def _unpack_runs(text: str) -> list[int]:
    """Inverse of `_pack_runs`."""
    runs: list[int] = []
    value, shift = 0, 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"{character!r} is not a character of a run-length code")
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                value -= 1 << shift
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            value, shift = 0, 0
    if shift:
        raise ValueError("the run-length code ends inside a number")
    return runs
