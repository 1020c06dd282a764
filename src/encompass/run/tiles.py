"""Small objects in large pictures: the model looks at overlapping tiles as well as at the whole.

As slicing-aided inference has it (Akyon et al. 2022), but finds are joined by their masks and only
where both looks overlap: a person in front of another is not taken for a part of that one, and one
whom a tile's edge cuts is told by the part that both tiles see.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from encompass.errors import UsageError
from encompass.geometry.masks import mask_iou
from encompass.run.result import Result
from encompass.schema import BoxMask

OVERLAP = 0.2  # part of a tile's side that it shares with the next
SAME = 0.5  # IoU of two masks, where both looks overlap, from which they are of one object
EDGE = 0.01  # of a tile's side: a box so near to an edge inside the picture is cut there
BEYOND = 0.1  # of a mask: where another look sees so much outside a tile, the tile cuts the object
MOST = 100  # tiles of a picture

Window = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels of the picture


@dataclass(frozen=True, eq=False)
class _Find:
    """What one look found, in pixels of the picture."""

    look: int  # 0 at the whole picture
    window: Window
    box: np.ndarray  # (4,) float32 xyxy
    mask: BoxMask
    score: float
    label: int
    whole: bool  # it is near no edge of the window, but for the picture's own


def predict_tiled(
    model: Callable[[np.ndarray], Result], picture: np.ndarray, tiles: tuple[int, int]
) -> Result:
    """Find the objects of one picture on tiles of it and on the whole.

    An object that some look shows whole is as the smallest such look has it; of one that none
    shows whole the parts are joined. Its score is the best of all looks.

    Args:
        model: an instance model, with its score threshold (`functools.partial`).
        picture: (H, W, 3) uint8 RGB.
        tiles: rows and columns of tiles, at least one each; each shares a fifth of its side with
            the next. The model is called once more than there are tiles.

    Returns:
        As the model does; `speed` has the sums over all looks, joining under "mask decode".

    Raises what the model raises, and UsageError when there are more tiles than pixels.
    """
    height, width = picture.shape[:2]
    whole = model(picture)
    finds = _finds(0, whole, (0, 0, width, height), picture)
    speed = dict(whole.speed)
    for number, window in enumerate(tile_windows(height, width, tiles), start=1):
        x0, y0, x1, y1 = window
        found = model(np.ascontiguousarray(picture[y0:y1, x0:x1]))
        finds += _finds(number, found, window, picture)
        speed = {stage: speed[stage] + ms for stage, ms in found.speed.items()}
    begun = perf_counter()
    objects = [_join(group) for group in _groups(finds)]
    order = np.argsort([-found.score for found in objects], kind="stable")
    objects = [objects[i] for i in order]
    speed["mask decode"] += (perf_counter() - begun) * 1000
    return dataclasses.replace(
        whole,
        boxes=np.asarray([found.box for found in objects], np.float32).reshape(-1, 4),
        scores=np.asarray([found.score for found in objects], np.float32),
        labels=np.asarray([found.label for found in objects], np.int64),
        masks=tuple(found.mask for found in objects),
        speed=speed,
    )


def tile_windows(height: int, width: int, tiles: tuple[int, int]) -> list[Window]:
    """The windows of (rows, columns) equal tiles that cover a picture, row by row."""
    if not (isinstance(tiles, tuple) and len(tiles) == 2):
        raise UsageError(f"tiles={tiles!r}: give (rows, columns), such as (2, 3).")
    rows, columns = tiles
    if rows * columns > MOST:
        raise UsageError(f"tiles={rows}x{columns}: are more than {MOST}, each a call of the model.")
    if not (1 <= rows <= height and 1 <= columns <= width):
        raise UsageError(
            f"tiles={rows}x{columns}: a picture of {height}x{width} pixels has 1 to {height} rows "
            f"and 1 to {width} columns."
        )
    tall, tops = _spread(height, rows)
    wide, lefts = _spread(width, columns)
    return [(left, top, left + wide, top + tall) for top in tops for left in lefts]


def _spread(length: int, count: int) -> tuple[int, list[int]]:
    """The side of `count` tiles along a length, and where they begin."""
    side = math.ceil(length / (count - (count - 1) * OVERLAP))
    return side, np.linspace(0, length - side, count).round().astype(int).tolist()


def _finds(look: int, found: Result, window: Window, picture: np.ndarray) -> list[_Find]:
    x0, y0, x1, y1 = window
    height, width = picture.shape[:2]
    boxes = found.boxes + np.asarray([x0, y0, x0, y0], np.float32)
    near = np.asarray([EDGE * (x1 - x0), EDGE * (y1 - y0)] * 2)
    inside = np.asarray([x0 > 0, y0 > 0, x1 < width, y1 < height])
    cut = np.any((np.abs(boxes - np.asarray(window)) <= near) & inside, axis=1)
    return [
        _Find(
            look, window, box, BoxMask(mask.x + x0, mask.y + y0, mask.pixels), score, label, uncut
        )
        for box, mask, score, label, uncut in zip(
            boxes,
            found.masks,
            found.scores.tolist(),
            found.labels.tolist(),
            np.logical_not(cut).tolist(),
            strict=True,
        )
    ]


def _groups(finds: Sequence[_Find]) -> list[list[_Find]]:
    """Finds of one object together, at most one of each look, the surest first.

    A find that fits two groups tells that they are of one object, though their looks may have no
    part of the picture in common.
    """
    groups: list[list[_Find]] = []
    for find in sorted(finds, key=lambda find: -find.score):
        fitting = [group for group in groups if _fits(find, group)]
        if not fitting:
            groups.append([find])
            continue
        joined, *others = fitting
        joined.append(find)
        for other in others:
            if {find.look for find in joined}.isdisjoint(find.look for find in other):
                joined += other
                groups = [group for group in groups if group is not other]
    return groups


def _fits(find: _Find, group: Sequence[_Find]) -> bool:
    """Whether a find is of the group's object. A model says of each object once what it finds."""
    return (
        group[0].label == find.label
        and all(other.look != find.look for other in group)
        and any(_same(find, other) for other in group)
    )


def _same(a: _Find, b: _Find) -> bool:
    """Whether two masks agree where both windows look."""
    x0, y0 = (max(a.window[i], b.window[i]) for i in (0, 1))
    x1, y1 = (min(a.window[i], b.window[i]) for i in (2, 3))
    if x0 >= x1 or y0 >= y1:
        return False
    one, other = (_within(find.mask, (x0, y0, x1, y1)) for find in (a, b))
    return mask_iou(one, other) >= SAME


def _within(mask: BoxMask, window: Window) -> BoxMask:
    """The part of a mask that lies in a window, without extent where none does."""
    x0, y0, x1, y1 = window
    left, top = max(x0, mask.x), max(y0, mask.y)
    pixels = mask.pixels[top - mask.y : max(y1 - mask.y, 0), left - mask.x : max(x1 - mask.x, 0)]
    return BoxMask(left, top, pixels)


def _join(group: Sequence[_Find]) -> _Find:
    """One object of what several looks found of it."""
    whole = [find for find in group if find.look == 0 or _shows_all(find, group)]
    if whole:
        best = min(whole, key=_size)
        return dataclasses.replace(best, score=group[0].score)
    x0, y0 = (min(getattr(find.mask, axis) for find in group) for axis in "xy")
    x1 = max(find.mask.x + find.mask.pixels.shape[1] for find in group)
    y1 = max(find.mask.y + find.mask.pixels.shape[0] for find in group)
    pixels = np.zeros((y1 - y0, x1 - x0), bool)
    for find in group:
        height, width = find.mask.pixels.shape
        top, left = find.mask.y - y0, find.mask.x - x0
        pixels[top : top + height, left : left + width] |= find.mask.pixels
    boxes = np.stack([find.box for find in group])
    box = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
    return dataclasses.replace(group[0], box=box, mask=BoxMask(x0, y0, pixels))


def _shows_all(find: _Find, group: Sequence[_Find]) -> bool:
    """Whether its window cuts nothing off, as far as the other looks know."""
    seen = ((other.mask.area, _within(other.mask, find.window).area) for other in group)
    return find.whole and all(area - inside <= BEYOND * area for area, inside in seen)


def _size(find: _Find) -> int:
    x0, y0, x1, y1 = find.window
    return (x1 - x0) * (y1 - y0)
