"""The masks as nodes of an ONNX graph: boxes routed, cropped, and each branch run on its own.

RoiAlign with one sample a cell and half-pixel centres is exactly `models.branches.crop_cells`.
"""

# torch types the members of containers as Module, whatever they are.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false, reportOperatorIssue=false

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from onnx import TensorProto, helper

from encompass.export.graph import GraphWriter
from encompass.export.lower import head_1x1s, lower_conv, lower_head
from encompass.geometry.grid import FAR, route_costs
from encompass.models.instance import SsdIsb
from encompass.models.zoo import BranchSpec

LARGE = 4  # a shape of this part of the map or more: one in four cells


def box_cells(g: GraphWriter, network: SsdIsb, boxes_xyxy_rel: str) -> str:
    """`SsdIsb.cells`: boxes in 0..1 to cell edges (N, 4), float32."""
    rows, columns = network.grid
    # Pixels first, then cells: in the order of the network, so that an edge on a cell's border
    # falls to the same side.
    boxes = g.op("Mul", boxes_xyxy_rel, g.constant(float(network.spec.input_size)))
    scaled = g.op("Div", boxes, g.constant(float(network.stride)))
    if network.spec.crop == "box":
        return scaled
    low, high = g.ops("Split", scaled, outputs=2, axis=1, num_outputs=2)
    last = g.constant([columns - 1.0, rows - 1.0])
    low = g.op("Min", g.op("Max", g.op("Floor", low), g.constant(0.0)), last)
    high = g.op("Max", g.op("Ceil", high), g.op("Add", low, g.constant(1.0)))
    high = g.op("Min", high, g.constant([float(columns), float(rows)]))
    return g.op("Concat", low, high, axis=1)


def route_cells(g: GraphWriter, network: SsdIsb, cells: str) -> str:
    """`geometry.grid.route`: cell edges (N, 4) to branch numbers (N,) int64, -1 for none."""
    sizes = np.asarray(network.spec.shapes)  # (S, 2) height, width
    exact = np.asarray([branch.exact for branch in network.spec.branches])
    fitting, otherwise = route_costs(sizes, exact)
    low, high = g.ops("Split", cells, outputs=2, axis=1, num_outputs=2)
    width, height = g.ops("Split", g.op("Sub", high, low), outputs=2, axis=1, num_outputs=2)

    def both_sides(kind: str) -> str:
        sides = [
            g.op(kind, x, g.constant(sizes[None, :, i])) for i, x in enumerate((height, width))
        ]
        return g.op("And", *sides)

    fits = both_sides("LessOrEqual")
    if exact.any():
        same = g.op("Or", both_sides("Equal"), g.constant(~exact, np.bool_))
        fits = g.op("And", fits, same)
    cost = g.op("Where", fits, g.constant(fitting), g.constant(otherwise))
    branch = g.op("ArgMin", cost, axis=1, keepdims=0)
    if not exact.all():
        return branch
    least = g.op("ReduceMin", cost, g.constant([1], np.int64), keepdims=0)
    none = g.constant(-1, np.int64)
    return g.op("Where", g.op("Less", least, g.constant(FAR)), branch, none)


@dataclass(frozen=True)
class Boxes:
    """What was found in all pictures, as far as masks need it."""

    cells: str  # (N, 4)
    branch: str  # (N,) int64, -1 for none
    labels: str  # (N,) int64
    pictures: str  # (N,) int64

    def of_branch(self, g: GraphWriter, number: int, most: int | None, batch: int) -> str:
        """Places (n,) of the boxes that a branch takes, of each picture at most so many."""
        mine = g.op("Equal", self.branch, g.constant(number, np.int64))
        if most is None:
            return _places(g, mine)
        start, stop = g.constant([0], np.int64), g.constant([most], np.int64)
        if batch == 1:
            return g.op("Slice", _places(g, mine), start, stop)  # the first are the best
        parts = []
        for picture in range(batch):
            here = g.op("Equal", self.pictures, g.constant(picture, np.int64))
            parts.append(g.op("Slice", _places(g, g.op("And", mine, here)), start, stop))
        return g.op("Concat", *parts, axis=0)


def _places(g: GraphWriter, chosen: str) -> str:
    """(N,) bool to the places (n,) int64 of what is true."""
    return g.op("Squeeze", g.op("NonZero", chosen), g.constant([0], np.int64))


def lower_masks(
    g: GraphWriter,
    network: SsdIsb,
    features: dict[int, str],
    boxes: Boxes,
    batch: int,
) -> tuple[str, str]:
    """Crop, run each branch on its own boxes, and put the masks back in the order of the boxes.

    Gives logits (N, h, w), zero beyond each one's size, and the sizes (N, 2).
    """
    height, width = largest_mask(network)
    places, masks, sizes = [], [], []
    for number, (head, spec) in enumerate(
        zip(network.branches, network.spec.branches, strict=True)
    ):
        most = spec.max_boxes if spec.max_boxes < network.spec.max_boxes else None
        mine = boxes.of_branch(g, number, most, batch)
        count = g.op("Shape", mine)
        crops = _Crops(
            g.op("Gather", boxes.cells, mine, axis=0), g.op("Gather", boxes.pictures, mine), spec
        )
        some = g.op("Greater", g.op("Squeeze", count), g.constant(0, np.int64))
        inputs = [
            _cropped(g, network, features[block], crops, number, level, some)
            for level, block in enumerate(network.spec.crop_blocks)
        ]
        logits = lower_head(g, inputs, head, spec.shape)
        label = g.op("Unsqueeze", g.op("Gather", boxes.labels, mine), g.constant([1], np.int64))
        mask = g.op("GatherND", logits, label, batch_dims=1)
        h, w = spec.shape[0] * head.upsampling, spec.shape[1] * head.upsampling
        pads = g.constant([0, 0, 0, 0, height - h, width - w], np.int64)
        places.append(mine)
        masks.append(g.op("Pad", mask, pads))
        rows = g.op("Concat", count, g.constant([2], np.int64), axis=0)
        sizes.append(g.op("Expand", g.constant([[h, w]], np.int64), rows))
    order = g.op("Unsqueeze", g.op("Concat", *places, axis=0), g.constant([1], np.int64))

    def in_order(parts: list[str], row: list[int], kind: int) -> str:
        """Rows of all branches at their boxes' places; zero for a box without a branch."""
        shape = g.op("Concat", g.op("Shape", boxes.branch), g.constant(row, np.int64), axis=0)
        empty = g.op("ConstantOfShape", shape, value=helper.make_tensor("zero", kind, [1], [0]))
        return g.op("ScatterND", empty, order, g.op("Concat", *parts, axis=0))

    return (
        in_order(masks, [height, width], TensorProto.FLOAT),
        in_order(sizes, [2], TensorProto.INT64),
    )


def largest_mask(network: SsdIsb) -> tuple[int, int]:
    """Height and width that hold the mask of any branch, pixels of masks."""
    scale = network.branches[0].upsampling
    heights, widths = zip(*network.spec.shapes, strict=True)
    return max(heights) * scale, max(widths) * scale


@dataclass(frozen=True)
class _Crops:
    """The boxes of one branch, to be cropped from any map."""

    rois: str  # (n, 4) cells of the coarse map
    pictures: str  # (n,) int64, of each box
    spec: BranchSpec

    def of(self, g: GraphWriter, feature: str, *, scale: int, zoom: int) -> str:
        """`SsdIsb.crops` of a map `scale` times as fine, `zoom` samples for a cell of the shape."""
        twice = 2 if self.spec.pool == "max" else 1
        crop = g.op(
            "RoiAlign",
            feature,
            self.rois,
            self.pictures,
            output_height=self.spec.shape[0] * zoom * twice,
            output_width=self.spec.shape[1] * zoom * twice,
            spatial_scale=float(scale),
            sampling_ratio=2 if self.spec.pool == "mean" else 1,
            mode="avg",
            coordinate_transformation_mode="half_pixel",
        )
        if self.spec.pool == "max":
            return g.op("MaxPool", crop, kernel_shape=[2, 2], strides=[2, 2])
        return crop


def _cropped(
    g: GraphWriter,
    network: SsdIsb,
    feature: str,
    crops: _Crops,
    number: int,
    level: int,
    some: str,
) -> str:
    """The crop of one map for one branch, after the 1x1 that the branch begins with there.

    A 1x1 convolution and a bilinear crop may change places, but for a maximum between them. For a
    shape that is a large part of the map it is cheaper to convolve the whole map, to few channels,
    and crop from those.
    """
    head = network.branches[number]
    first, zoom = head_1x1s(head)[level], head.zooms[level]
    crop = partial(crops.of, g, scale=2**level, zoom=zoom)
    if first is None:
        return crop(feature)
    samples = crops.spec.shape[0] * crops.spec.shape[1] * zoom**2
    cells = network.grid[0] * network.grid[1] * 4**level
    if crops.spec.pool == "max" or samples * LARGE < cells:
        return lower_conv(g, crop(feature), first, (1, 1))
    nothing = np.zeros((1, first.out_channels, 1, 1), np.float32)
    convolve = partial(lower_conv, g, feature, first, (1, 1))
    return crop(g.when(some, convolve, nothing))
