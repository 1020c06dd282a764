"""The table of models: one row each, no classes (thesis Tables 5.5, 5.7 and 5.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from encompass.geometry.grid import Shape

TEN_SHAPES: tuple[Shape, ...] = (
    (15, 10),
    (9, 4),
    (7, 3),
    (6, 3),
    (5, 2),
    (4, 2),
    (3, 2),
    (2, 2),
    (2, 1),
    (1, 1),
)


@dataclass(frozen=True, kw_only=True)
class InstanceSpec:
    """A detector with parallel branches. Blocks are MobileNet's, counted from 1."""

    multiplier: float  # depth multiplier of trunk and extras
    input_size: int  # pixels, square
    shapes: tuple[Shape, ...]  # (height, width) of the branches, in cells of the coarse map
    crop_blocks: tuple[int, ...]  # coarse map to crop from, then the skips, each twice as fine
    score: Literal["sigmoid", "softmax"] = "sigmoid"  # the given weights have sigmoid scores
    # An object's score is its box's times the confidence of its mask (not in the thesis).
    mask_confidence: bool = False
    nms_iou: float = 0.6
    max_boxes: int = 100


MODELS: dict[str, InstanceSpec] = {
    # The thesis's MS-MN0.75: crops of strides 32, 16 and 8.
    "multi-shape-mn0.75": InstanceSpec(
        multiplier=0.75, input_size=640, shapes=TEN_SHAPES, crop_blocks=(13, 11, 5)
    ),
    "multi-shape": InstanceSpec(
        multiplier=1.0, input_size=640, shapes=TEN_SHAPES, crop_blocks=(13, 11, 5)
    ),
    # The same 20x20 grid and ten shapes on a quarter of the pixels: crops of strides 16, 8 and 4.
    "multi-shape-mn0.75-320": InstanceSpec(
        multiplier=0.75,
        input_size=320,
        shapes=TEN_SHAPES,
        crop_blocks=(11, 5, 3),
        mask_confidence=True,
    ),
}
