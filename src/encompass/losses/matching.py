"""Which anchor learns which object (Liu et al. 2016, section 2.2; thesis 3.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

POSITIVE_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Matches:
    """One picture's anchors."""

    objects: Tensor  # (A,) int64 index of the object to learn; -1 background, -2 ignored

    @property
    def positive(self) -> Tensor:
        """(A,) bool."""
        return self.objects >= 0

    @property
    def negative(self) -> Tensor:
        """(A,) bool."""
        return self.objects == -1


def pairwise_iou(a_xyxy: Tensor, b_xyxy: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 4) against (M, 4): IoU (N, M), and the part (N, M) of each `a` that lies in each `b`."""
    low = torch.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    high = torch.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    inter = (high - low).clamp(min=0).prod(dim=-1)
    area_a = (a_xyxy[:, 2:] - a_xyxy[:, :2]).prod(dim=-1)[:, None]
    area_b = (b_xyxy[:, 2:] - b_xyxy[:, :2]).prod(dim=-1)[None, :]
    return inter / (area_a + area_b - inter).clamp(min=1e-9), inter / area_a.clamp(min=1e-9)


def match_anchors(anchors_xyxy: Tensor, boxes_xyxy: Tensor, ignore_xyxy: Tensor) -> Matches:
    """Match one picture's anchors to its objects; all in the same unit.

    An anchor takes the object it overlaps most, if the IoU is above 0.5; each object also takes the
    anchor it overlaps best, whatever the IoU (of several objects with the same best anchor the last
    one has it). Other anchors are background, but for those mostly in a crowd region, which learn
    nothing.

    Args:
        anchors_xyxy: (A, 4).
        boxes_xyxy: (N, 4) objects.
        ignore_xyxy: (M, 4) crowd regions.
    """
    objects = torch.full((len(anchors_xyxy),), -1, dtype=torch.long, device=anchors_xyxy.device)
    if len(ignore_xyxy):
        _, inside = pairwise_iou(anchors_xyxy, ignore_xyxy)
        objects[inside.amax(dim=1) > POSITIVE_IOU] = -2
    if len(boxes_xyxy):
        overlap, _ = pairwise_iou(anchors_xyxy, boxes_xyxy)
        best, which = overlap.max(dim=1)
        objects = torch.where(best > POSITIVE_IOU, which, objects)
        # Of several writes to one anchor an index assignment keeps any.
        numbers = torch.arange(len(boxes_xyxy), device=objects.device)
        objects.scatter_reduce_(0, overlap.argmax(dim=0), numbers, "amax", include_self=False)
    return Matches(objects)
