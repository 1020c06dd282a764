"""Boxes in corner form (x0, y0, x1, y1); the unit is the caller's and stays unchanged."""

from __future__ import annotations

import numpy as np


def area(boxes_xyxy: np.ndarray) -> np.ndarray:
    """(..., 4) to (...,); zero for boxes turned inside out."""
    sides = np.maximum(boxes_xyxy[..., 2:] - boxes_xyxy[..., :2], 0)
    return sides[..., 0] * sides[..., 1]


def iou(a_xyxy: np.ndarray, b_xyxy: np.ndarray) -> np.ndarray:
    """(N, 4) against (M, 4) to (N, M) intersection over union; zero where the union is empty."""
    low = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    high = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    inter = np.prod(np.maximum(high - low, 0), axis=-1)
    union = area(a_xyxy)[:, None] + area(b_xyxy)[None, :] - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def clip(boxes_xyxy: np.ndarray, height: float, width: float) -> np.ndarray:
    """Boxes cut to the picture [0, width] x [0, height]."""
    return np.clip(boxes_xyxy, 0, np.asarray([width, height, width, height], boxes_xyxy.dtype))


def xywh_to_xyxy(boxes_xywh: np.ndarray) -> np.ndarray:
    """COCO's (left, top, width, height) to corner form."""
    return np.concatenate([boxes_xywh[..., :2], boxes_xywh[..., :2] + boxes_xywh[..., 2:]], axis=-1)


def xyxy_to_xywh(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Corner form to COCO's (left, top, width, height)."""
    return np.concatenate([boxes_xyxy[..., :2], boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]], axis=-1)
