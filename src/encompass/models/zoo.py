"""The tables of models: one row each, no classes (thesis Tables 4.1 to 4.6 and 5.1 to 5.9).

`MODELS` has instance rows: shapes are (height, width) in cells of the coarse map, of which the
thesis's rows have 20x20.
`SEMANTIC_MODELS` has semantic rows, for pictures of any size. No name is in both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from encompass.geometry.grid import ISB_SHAPES, Shape

# Multi-Shape's thresholds, and those of its two variants (thesis 5.2.1 and 5.2.4).
TEN_SHAPES: tuple[Shape, ...] = (
    *((15, 10), (9, 4), (7, 3), (6, 3), (5, 2)),
    *((4, 2), (3, 2), (2, 2), (2, 1), (1, 1)),
)
NEW_SHAPES: tuple[Shape, ...] = ((15, 15), (10, 10), (8, 8), (6, 6), (4, 4), (2, 2), (1, 1))
SMALL_SHAPES: tuple[Shape, ...] = (
    *((10, 10), (8, 6), (6, 4), (5, 3)),
    *((4, 2), (2, 2), (2, 1), (1, 1)),
)
# Single-Shape's: the twelve of Table 5.1, and a thirteenth that Single-Shape+'s parameters prove.
EXACT_SHAPES: tuple[Shape, ...] = (*ISB_SHAPES, (1, 1))


@dataclass(frozen=True, kw_only=True)
class BranchSpec:
    """One branch: which boxes come to it, how they are cropped, and what it computes of them."""

    shape: Shape  # (height, width) of its crops, in cells of the coarse map
    exact: bool = False  # takes boxes of just this shape, so that nothing is resized
    # Crops have twice the shape and are then pooled 2x2: by the maximum in Single-Branch (thesis
    # 3.1.4); by the mean it is RoIAlign with two samples a cell (He et al. 2017).
    pool: Literal["none", "max", "mean"] = "none"
    max_boxes: int = 100  # the best so many get masks (thesis 3.2.1)
    convolutions: int = 1  # separable 3x3 layers before the first upsampling
    rate: int = 1  # atrous rate of those layers


@dataclass(frozen=True, kw_only=True)
class InstanceSpec:
    """A detector with parallel branches. Blocks are MobileNet's, counted from 1."""

    multiplier: float  # depth multiplier of trunk and extras
    input_size: int  # pixels, square
    branches: tuple[BranchSpec, ...]
    # Coarse map to crop from, then the skips, each twice as fine: FCN-8 has two, FCN-16 one, FCN-32
    # none.
    crop_blocks: tuple[int, ...]
    # What is cropped: the box grown to whole cells (thesis 3.1.3), or the box as it is.
    crop: Literal["encompassing", "box"] = "encompassing"
    head: Literal["fcn", "mask-rcnn"] = "fcn"
    # The branches also see where the object's own box lies in the crop (`models.branches`): two
    # people with one encompassing box are then told apart (not in the thesis).
    box_channels: bool = False
    refine: bool = False  # a separable 3x3 after each skip of the branches (not in the thesis)
    # A box's branch: the smallest shape that holds it (thesis 3.1.5), or the one most like it in
    # height to width. With large shapes the second magnifies small people (not in the thesis).
    routing: Literal["size", "aspect"] = "size"
    # All branches are one set of weights; only the shapes of the crops stay several (not in the
    # thesis).
    shared: bool = False
    # What the branches learn from: objects' boxes, or the anchors that match them (thesis 3.1.4).
    train_crops: Literal["boxes", "anchors"] = "boxes"
    # Anchors as large as a part of the picture (thesis), or in pixels as large as the initial
    # weights have them at 300x300, so that at a larger input smaller people are found.
    anchors: Literal["picture", "pixels"] = "picture"
    # Share of their channels that the stem and those blocks have which neither boxes nor crops are
    # taken from: `models.prune` makes them of wider ones (not in the thesis).
    inner: float = 1.0
    fine_map: bool = False  # boxes also from stride 8, for small people; with "pixels" only
    score: Literal["sigmoid", "softmax"] = "sigmoid"  # the given weights have sigmoid scores
    # An object's score is its box's times the confidence of its mask (not in the thesis).
    mask_confidence: bool = False
    nms_iou: float = 0.6
    max_boxes: int = 100

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes of the branches, in their order."""
        return tuple(branch.shape for branch in self.branches)

    @property
    def is_uniform(self) -> bool:
        """Whether all branches compute the same, so that they can share weights."""
        return len({(branch.convolutions, branch.rate) for branch in self.branches}) == 1


def resizing(shapes: Iterable[Shape], *, max_boxes: int = 30) -> tuple[BranchSpec, ...]:
    """Branches of Multi-Shape: a box goes to the smallest shape that holds it, resized."""
    return tuple(BranchSpec(shape=shape, max_boxes=max_boxes) for shape in shapes)


def exact(shapes: Iterable[Shape], *, max_boxes: int = 30) -> tuple[BranchSpec, ...]:
    """Branches of Single-Shape: a box of another shape gets no mask."""
    return tuple(BranchSpec(shape=shape, exact=True, max_boxes=max_boxes) for shape in shapes)


ONE = (BranchSpec(shape=(10, 10), pool="max"),)  # Single-Branch's
FCN8, FCN16 = (13, 11, 5), (13, 11)  # strides 32, 16 and 8 of a 640x640 input


def _thesis(
    branches: tuple[BranchSpec, ...],
    *,
    multiplier: float = 1.0,
    crop_blocks: tuple[int, ...] = FCN8,
    train_crops: Literal["boxes", "anchors"] = "boxes",
) -> InstanceSpec:
    return InstanceSpec(
        multiplier=multiplier,
        input_size=640,
        branches=branches,
        crop_blocks=crop_blocks,
        train_crops=train_crops,
    )


# The same 20x20 grid and ten shapes on a quarter of the pixels: crops of strides 16, 8 and 4.
AT_320 = InstanceSpec(
    multiplier=0.75,
    input_size=320,
    branches=resizing(TEN_SHAPES, max_boxes=100),
    crop_blocks=(11, 5, 3),
    mask_confidence=True,
)
LARGE_320 = replace(AT_320, branches=resizing([(14, 8)], max_boxes=100))
ALIGNED_320 = replace(LARGE_320, crop="box")
ENCOMPASS = replace(ALIGNED_320, refine=True, anchors="pixels")
# Shapes by aspect, of some 112 cells each, from lying to standing upright.
ASPECT_SHAPES: tuple[Shape, ...] = ((8, 14), (11, 10), (14, 8), (16, 7), (20, 5))
BY_ASPECT = replace(
    AT_320,
    branches=resizing(ASPECT_SHAPES, max_boxes=100),
    routing="aspect",
    shared=True,
    box_channels=True,
)

MODELS: dict[str, InstanceSpec] = {
    "single-branch": _thesis(ONE),
    "single-branch-mn0.75": _thesis(ONE, multiplier=0.75),
    "single-branch-fcn16": _thesis(ONE, crop_blocks=FCN16),
    "single-branch-anchors": _thesis(ONE, train_crops="anchors"),
    "single-shape": _thesis(exact(EXACT_SHAPES)),
    "single-shape-plus": _thesis((*exact(EXACT_SHAPES), *resizing([(14, 14)]))),
    "multi-shape": _thesis(resizing(TEN_SHAPES)),
    "multi-shape-mn0.75": _thesis(resizing(TEN_SHAPES), multiplier=0.75),
    "multi-shape-fcn16": _thesis(resizing(TEN_SHAPES), crop_blocks=FCN16),
    "multi-shape-new-shapes": _thesis(resizing(NEW_SHAPES)),
    "multi-shape-small-shapes": _thesis(resizing(SMALL_SHAPES)),
    "multi-shape-mn0.75-320": AT_320,
    # Past the thesis, one step a row: the branches see the box, share their weights, do both, crop
    # to one large shape, to large shapes by aspect, crop the box itself, then with one skip less or
    # refined after each.
    "multi-shape-box-320": replace(AT_320, box_channels=True),
    "multi-shape-shared-320": replace(AT_320, shared=True),
    "multi-shape-shared-box-320": replace(AT_320, shared=True, box_channels=True),
    "large-shape-320": LARGE_320,
    "large-shape-box-320": replace(LARGE_320, box_channels=True),
    "aspect-shared-box-320": BY_ASPECT,
    "large-shape-aligned-320": ALIGNED_320,
    "large-shape-aligned-fcn16-320": replace(ALIGNED_320, crop_blocks=(11, 5)),
    "large-shape-aligned-refine-320": replace(ALIGNED_320, refine=True),
    # The family: the box itself, magnified to one large shape, and refined after each skip.
    "encompass-n": replace(
        ENCOMPASS, input_size=320, crop_blocks=(11, 5), fine_map=True, inner=0.58
    ),
    "encompass-s": replace(ENCOMPASS, input_size=352, fine_map=True),
    "encompass-m": replace(ENCOMPASS, input_size=512, fine_map=True),
    # Alignment in place of encompassing boxes, to test the thesis's central claim: Single-Branch on
    # the box as it is, nothing else changed, and Mask R-CNN's head (RoIAlign 14x14, four
    # convolutions).
    "single-branch-aligned": InstanceSpec(
        multiplier=1.0, input_size=640, branches=ONE, crop_blocks=FCN8, crop="box"
    ),
    "mask-rcnn-head": InstanceSpec(
        multiplier=1.0,
        input_size=640,
        branches=(BranchSpec(shape=(14, 14), pool="mean"),),
        crop_blocks=FCN8,
        crop="box",
        head="mask-rcnn",
    ),
}


@dataclass(frozen=True, kw_only=True)
class SemanticSpec:
    """An encoder with FCN skips, or with strides replaced by dilation, or with both."""

    encoder: Literal["mobilenet", "mobilenet-shallow", "squeezenet1.0", "squeezenet1.1"]
    multiplier: float = 1.0  # depth multiplier, MobileNet's
    # Layers whose maps are scored: the last, then the skips, each twice as fine. Two skips are
    # FCN-8 on MobileNet (stride 32) and FCN-4s on SqueezeNet (stride 16).
    maps: tuple[int, ...]
    output_stride: int  # of the last layer, by dilation where its own is more
    last_rate: int = 1  # atrous rate of the encoder's last layer, times that of the output stride
    # Channels of the decoder at each of the maps: features are refined map by map, then scored.
    # None of them: skips of scores, FCN's (thesis).
    widths: tuple[int, ...] = ()


def _mobilenet(
    maps: tuple[int, ...] = FCN8[:1], *, output_stride: int = 32, last_rate: int = 1
) -> SemanticSpec:
    return SemanticSpec(
        encoder="mobilenet",
        multiplier=0.5,
        maps=maps,
        output_stride=output_stride,
        last_rate=last_rate,
    )


def _squeezenet(maps: tuple[int, ...] = (11,), *, output_stride: int = 16) -> SemanticSpec:
    return SemanticSpec(encoder="squeezenet1.1", maps=maps, output_stride=output_stride)


SEMANTIC_MODELS: dict[str, SemanticSpec] = {
    # The eight of Tables 4.1 and 4.2, and SqueezeNet's FCN-4s and stride 4 of section 4.2.1, for
    # which no results are printed. SqueezeNet's skips are the outputs of its pools.
    "mobilenet0.5": _mobilenet(),
    "fcn16-mobilenet0.5": _mobilenet(FCN16),
    "fcn8-mobilenet0.5": _mobilenet(FCN8),
    "stride16-mobilenet0.5": _mobilenet(output_stride=16),
    "stride8-mobilenet0.5": _mobilenet(output_stride=8),
    "squeezenet": _squeezenet(),
    "fcn8-squeezenet": _squeezenet((11, 4)),
    "fcn4-squeezenet": _squeezenet((11, 4, 1)),
    "stride8-squeezenet": _squeezenet(output_stride=8),
    "stride4-squeezenet": _squeezenet(output_stride=4),
    # Past the thesis on the same encoder: block 13 refined by blocks 11, 5 and 3.
    "refine-mobilenet0.5": SemanticSpec(
        encoder="mobilenet",
        multiplier=0.5,
        maps=(13, 11, 5, 3),
        output_stride=32,
        widths=(64, 48, 32, 16),
    ),
    # The atrous rates of the person study, Tables 4.3 to 4.6; rate 1 is the row without a rate.
    "mobilenet0.5-rate3": _mobilenet(last_rate=3),
    "mobilenet0.5-rate5": _mobilenet(last_rate=5),
    "fcn8-mobilenet0.5-rate3": _mobilenet(FCN8, last_rate=3),
    "fcn8-mobilenet0.5-rate5": _mobilenet(FCN8, last_rate=5),
    "fcn16-mobilenet0.5-rate3": _mobilenet(FCN16, last_rate=3),
    "fcn16-mobilenet0.5-rate5": _mobilenet(FCN16, last_rate=5),
    "stride8-mobilenet0.5-rate3": _mobilenet(output_stride=8, last_rate=3),
    "stride8-mobilenet0.5-rate5": _mobilenet(output_stride=8, last_rate=5),
}
