"""Default boxes of SSD and their code (Liu et al. 2016, section 2.2), as `ssd_mobilenet_v1` has
them.

Differs from the paper: six scales from 0.2 to 0.95, then 1.0, and a thinner first map (TensorFlow
Object Detection API). Anchors are relative to the picture (0 to 1), centre form (cx, cy, w, h).
"""

from __future__ import annotations

import torch
from torch import Tensor

NUM_MAPS = 6
LOWEST, HIGHEST = 0.2, 0.95
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


def build_anchors(grids: list[tuple[int, int]]) -> Tensor:
    """(A, 4) anchors of all maps, map by map, row by row, cell by cell.

    Args:
        grids: (rows, columns) of each of the six maps.
    """
    anchors = []
    for (rows, columns), sizes in zip(grids, anchor_sizes(), strict=True):
        cy = (torch.arange(rows, dtype=torch.float64) + 0.5) / rows
        cx = (torch.arange(columns, dtype=torch.float64) + 0.5) / columns
        centres = torch.stack(torch.meshgrid(cy, cx, indexing="ij")[::-1], dim=-1)  # (R, C, 2)
        shapes = torch.tensor(sizes, dtype=torch.float64)  # (K, 2)
        cells = centres[:, :, None].expand(rows, columns, len(sizes), 2)
        anchors.append(torch.cat([cells, shapes.expand_as(cells)], dim=-1).reshape(-1, 4))
    return torch.cat(anchors).float()


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
