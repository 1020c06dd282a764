"""Default boxes of SSD and their code (Liu et al. 2016, section 2.2), as `ssd_mobilenet_v1` has
them.

Differs from the paper: six scales from 0.2 to 0.95, then 1.0, and a thinner first map (TensorFlow
Object Detection API). Anchors are relative to the picture (0 to 1), centre form (cx, cy, w, h).

The initial weights learnt on pictures of 300x300. On a larger input people are larger in pixels
than what they saw, unless anchors keep their sizes in pixels: `pixel_anchors`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from encompass.models.layers import same_padding

NUM_MAPS = 6
FINE_STRIDE = 8  # pixels for one cell of the finest map; each map halves the one before
RELEASE_SIZE = 300  # pixels a side, of the pictures on which the initial weights learnt
LOWEST, HIGHEST = 0.2, 0.95
FINE_SIZES = ((0.05, 0.05), (0.1 * 2**0.5, 0.1 / 2**0.5), (0.1 / 2**0.5, 0.1 * 2**0.5))
# Offsets are multiplied by these before they are learnt: (ty, tx, th, tw).
CODE_SCALES = (10.0, 10.0, 5.0, 5.0)


def anchor_sizes() -> list[list[tuple[float, float]]]:
    """(w, h) of the anchors of a cell for each map, in 0..1, in TensorFlow's order."""
    step = (HIGHEST - LOWEST) / (NUM_MAPS - 1)
    scales = [LOWEST + step * i for i in range(NUM_MAPS)] + [1.0]
    sizes = []
    for i, scale in enumerate(scales[:-1]):
        if i == 0:
            pairs = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
        else:
            pairs = [(scale, ratio) for ratio in (1.0, 2.0, 0.5, 3.0, 1 / 3)]
            pairs.append(((scale * scales[i + 1]) ** 0.5, 1.0))
        sizes.append([(s * r**0.5, s / r**0.5) for s, r in pairs])
    return sizes


def pixel_anchor_sizes(input_size: int) -> list[list[tuple[float, float]]]:
    """`anchor_sizes` of the fine map, then of the six, with their pixels at `RELEASE_SIZE`.

    The last map has each of its own a second time, as large a part of the picture as it was there,
    for what is larger in pixels than anything at `RELEASE_SIZE`.
    """
    scale = RELEASE_SIZE / input_size
    sizes = [
        [(w * scale, h * scale) for w, h in of_map] for of_map in (FINE_SIZES, *anchor_sizes())
    ]
    return [*sizes[:-1], sizes[-1] + anchor_sizes()[-1]]


def build_anchors(grids: list[tuple[int, int]]) -> Tensor:
    """(A, 4) anchors of all maps, map by map, row by row, cell by cell.

    Args:
        grids: (rows, columns) of each of the six maps.
    """
    anchors = []
    for (rows, columns), sizes in zip(grids, anchor_sizes(), strict=True):
        cy = (torch.arange(rows, dtype=torch.float64) + 0.5) / rows
        cx = (torch.arange(columns, dtype=torch.float64) + 0.5) / columns
        anchors.append(_lay(cy, cx, sizes))
    return torch.cat(anchors).float()


def pixel_anchors(input_size: int, *, fine_map: bool = False) -> Tensor:
    """(A, 4) anchors of a square input that are as large in pixels as those of `RELEASE_SIZE`.

    They also lie where the initial weights have them relative to what a cell sees. SAME padding
    moves the cells of a map by a part of a cell or not at all, as the sizes of the maps below it
    are even or odd, so that of two inputs the same weights look at different places.

    Args:
        input_size: pixels a side.
        fine_map: whether the anchors of stride 8 follow those of the six maps.
    """
    anchors = []
    for here, there, sizes in zip(
        cell_centres(input_size),
        cell_centres(RELEASE_SIZE),
        pixel_anchor_sizes(input_size),
        strict=True,
    ):
        # Pixels by which cells see right of and below their anchors, in the mean of a map.
        lag = there.mean() - RELEASE_SIZE / 2
        centres = (here - lag) / input_size
        anchors.append(_lay(centres, centres, sizes))
    fine, *six = anchors
    return torch.cat([*six, fine] if fine_map else six).float()


def cell_centres(input_size: int) -> list[Tensor]:
    """Where the cells of the maps look: centres along one axis in pixels, (cells,) float64.

    Of the map of stride 8, then of the six.
    """
    cells, stride, first = input_size, 1, 0.5  # first: the centre of the first cell
    maps = []
    while len(maps) <= NUM_MAPS:
        # A cell of the next map reads three; its centre is that of the middle one.
        before, _ = same_padding(cells, 3, 2)
        cells, stride, first = -(-cells // 2), 2 * stride, first + (1 - before) * stride
        if stride >= FINE_STRIDE:
            maps.append(first + stride * torch.arange(cells, dtype=torch.float64))
    return maps


def _lay(cy: Tensor, cx: Tensor, sizes: list[tuple[float, float]]) -> Tensor:
    """(R * C * K, 4) anchors of one map, from the centres of its (R,) rows and (C,) columns."""
    centres = torch.stack(torch.meshgrid(cy, cx, indexing="ij")[::-1], dim=-1)  # (R, C, 2)
    shapes = torch.tensor(sizes, dtype=torch.float64)  # (K, 2)
    cells = centres[:, :, None].expand(len(cy), len(cx), len(sizes), 2)
    return torch.cat([cells, shapes.expand_as(cells)], dim=-1).reshape(-1, 4)


def corners(anchors: Tensor) -> Tensor:
    """(A, 4) centre form to corner form; the unit is unchanged."""
    centre, half = anchors[:, :2], anchors[:, 2:] / 2
    return torch.cat([centre - half, centre + half], dim=1)


def decode(offsets: Tensor, anchors: Tensor) -> Tensor:
    """Offsets (..., A, 4) as (ty, tx, th, tw) to boxes (..., A, 4) xyxy relative to the picture."""
    ty, tx, th, tw = (offsets / offsets.new_tensor(CODE_SCALES)).unbind(-1)
    cx, cy, w, h = anchors.unbind(-1)
    centre_x, centre_y = tx * w + cx, ty * h + cy
    half_w, half_h = tw.exp() * w / 2, th.exp() * h / 2
    return torch.stack(
        [centre_x - half_w, centre_y - half_h, centre_x + half_w, centre_y + half_h], dim=-1
    )


def encode(boxes_xyxy_rel: Tensor, anchors: Tensor) -> Tensor:
    """Inverse of `decode`: boxes of positive size, one for each anchor, to offsets; all (A, 4)."""
    cx, cy, w, h = anchors.unbind(-1)
    size = boxes_xyxy_rel[..., 2:] - boxes_xyxy_rel[..., :2]
    centre = boxes_xyxy_rel[..., :2] + size / 2
    code = torch.stack(
        [
            (centre[..., 1] - cy) / h,
            (centre[..., 0] - cx) / w,
            (size[..., 1] / h).log(),
            (size[..., 0] / w).log(),
        ],
        dim=-1,
    )
    return code * code.new_tensor(CODE_SCALES)


def nms(boxes_xyxy: Tensor, scores: Tensor, *, iou: float, limit: int) -> Tensor:
    """Greedy non-maximum suppression: indices of the boxes kept, best first.

    Args:
        boxes_xyxy: (N, 4), any unit.
        scores: (N,).
        iou: a box that overlaps a better one by more than this is dropped.
        limit: at most so many are kept.
    """
    order = scores.argsort(descending=True, stable=True)
    boxes = boxes_xyxy[order]
    areas = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=1)
    alive = torch.ones(len(boxes), dtype=torch.bool)
    kept: list[int] = []
    for i in range(len(boxes)):
        if not alive[i]:
            continue
        kept.append(i)
        if len(kept) == limit:
            break
        low = torch.maximum(boxes[i, :2], boxes[i + 1 :, :2])
        high = torch.minimum(boxes[i, 2:], boxes[i + 1 :, 2:])
        inter = (high - low).clamp(min=0).prod(dim=1)
        union = areas[i] + areas[i + 1 :] - inter
        alive[i + 1 :] &= inter <= iou * union
    return order[torch.tensor(kept, dtype=torch.long)]
