"""Encompassing boxes and the routing of boxes to branch shapes (thesis 3.1.3 and 3.1.5).

A box is grown to the cells of the feature map that it touches, so that a crop needs no alignment;
the crop then goes to the branch with the smallest shape that holds it. Shapes are (height, width)
in cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from encompass.geometry.resize import Stretch

Shape = tuple[int, int]  # (height, width) in cells
# The columns of the thesis's Table 5.1 but for its last, "Other".
ISB_SHAPES: tuple[Shape, ...] = (
    *((7, 2), (6, 3), (6, 2), (5, 3), (5, 2), (4, 3)),
    *((4, 2), (3, 3), (3, 2), (3, 1), (2, 2), (2, 1)),
)
FAR = 2**30  # a cost above any shape's area, and so is its half


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


def cell_sizes(cells: np.ndarray) -> np.ndarray:
    """(N, 4) cell edges (x0, y0, x1, y1) to (N, 2) height and width."""
    return np.stack([cells[:, 3] - cells[:, 1], cells[:, 2] - cells[:, 0]], axis=1)


def encompassing_shapes(boxes_xyxy: np.ndarray, stretch: Stretch, *, stride: int) -> np.ndarray:
    """The shapes of the encompassing boxes of one picture: (N, 4) src pixels to (N, 2) int64.

    Args:
        boxes_xyxy: xyxy, src pixels.
        stretch: the picture to the network's input.
        stride: input pixels for one cell of the coarse map.
    """
    grid = (-(-stretch.net[0] // stride), -(-stretch.net[1] // stride))
    return cell_sizes(
        encompassing_cells(stretch.forward_xyxy(boxes_xyxy), stride=stride, grid=grid)
    )


def route(
    cells: np.ndarray, shapes: Sequence[Shape], *, exact: Sequence[bool] | None = None
) -> np.ndarray:
    """The branch of each box: (N, 4) cell edges to (N,) int64 indices into `shapes`, -1 for none.

    A box of just the shape of an exact branch goes there. Any other goes to the resizing shape of
    least area that is at least as high and as wide; one that none of them holds goes to the largest
    of them. Without a resizing branch it has none (thesis 3.1.5).

    Args:
        cells: xyxy, whole or not.
        shapes: of the branches.
        exact: for each shape, whether it takes boxes of just that shape; False for all when None.
    """
    sizes = np.asarray(shapes, dtype=np.int64)  # (S, 2) height, width
    only = np.zeros(len(sizes), dtype=bool) if exact is None else np.asarray(exact, dtype=bool)
    needed = cell_sizes(cells)[:, None]
    fits = np.where(only[:, None], sizes == needed, sizes >= needed).all(axis=-1)  # (N, S)
    areas = sizes.prod(axis=1)
    otherwise = np.full(len(sizes), FAR)
    if not only.all():
        otherwise[np.where(only, -1, areas).argmax()] = FAR // 2
    cost = np.where(fits, np.where(only, 0, areas), otherwise)
    return np.where(cost.min(axis=1) < FAR, cost.argmin(axis=1), -1).astype(np.int64)


def route_by_aspect(cells: np.ndarray, shapes: Sequence[Shape]) -> np.ndarray:
    """The branch of each box: that whose ratio of height to width is nearest to the box's.

    (N, 4) cell edges, whole or not, to (N,) int64 indices into `shapes`. Boxes are taken to have
    all of the last cells that they touch; ratios are compared by their logarithms.
    """
    ratios = np.log(np.divide(*np.asarray(shapes, dtype=np.float64).T))  # (S,)
    height, width = np.maximum(np.ceil(cell_sizes(cells)), 1).T
    return np.abs(np.log(height / width)[:, None] - ratios).argmin(axis=1).astype(np.int64)
