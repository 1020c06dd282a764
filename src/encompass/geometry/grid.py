"""Encompassing boxes and the routing of boxes to branch shapes (thesis 3.1.3 and 3.1.5).

A box is grown to the cells of the feature map that it touches, so that a crop needs no alignment;
the crop then goes to the branch with the smallest shape that holds it. Shapes are (height, width)
in cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Shape = tuple[int, int]  # (height, width) in cells


def encompassing_cells(boxes_xyxy: np.ndarray, *, stride: int, grid: Shape) -> np.ndarray:
    """Boxes in network pixels to the cells that encompass them.

    Floor of the top-left corner and ceiling of the bottom-right one, clipped to the map, at least
    one cell each way. Returns (N, 4) int64 cell edges (x0, y0, x1, y1); x1 and y1 are exclusive.
    """
    rows, columns = grid
    size = np.asarray([columns, rows])
    low = np.floor(boxes_xyxy[:, :2] / stride)
    high = np.ceil(boxes_xyxy[:, 2:] / stride)
    low = np.clip(low, 0, size - 1)
    high = np.clip(high, low + 1, size)
    return np.concatenate([low, high], axis=1).astype(np.int64)


def route(cells: np.ndarray, shapes: Sequence[Shape]) -> np.ndarray:
    """The branch of each encompassing box: (N, 4) cell edges to (N,) int64 indices into `shapes`.

    A box goes to the shape of least area that is at least as high and as wide; one that no shape
    holds goes to the shape of largest area.
    """
    sizes = np.asarray(shapes, dtype=np.int64)  # (S, 2) height, width
    areas = sizes.prod(axis=1)
    needed = np.stack([cells[:, 3] - cells[:, 1], cells[:, 2] - cells[:, 0]], axis=1)
    holds = (sizes[None] >= needed[:, None]).all(axis=-1)  # (N, S)
    cost = np.where(holds, areas[None], np.iinfo(np.int64).max)
    return np.where(np.any(holds, axis=1), cost.argmin(axis=1), areas.argmax()).astype(np.int64)
