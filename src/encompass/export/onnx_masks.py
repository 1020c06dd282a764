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
from encompass.export.lower import branch_table, head_1x1s, lower_conv, lower_head
from encompass.geometry.grid import Shape
from encompass.models.branches import LEAST_SIDE
from encompass.models.instance import SsdIsb
from encompass.models.zoo import BranchSpec

LARGE = 4  # a shape of this part of the map or more: one in four cells


def scale_boxes(g: GraphWriter, network: SsdIsb, boxes_xyxy_rel: str) -> str:
    """Boxes in 0..1 to cells of the coarse map, not yet whole: (N, 4)."""
    # Pixels first, then cells: in the order of the network, so that an edge on a cell's border
    # falls to the same side.
    boxes = g.op("Mul", boxes_xyxy_rel, g.constant(float(network.spec.input_size)))
    return g.op("Div", boxes, g.constant(float(network.stride)))


def box_cells(g: GraphWriter, network: SsdIsb, scaled: str) -> str:
    """`SsdIsb.cells`: boxes of `scale_boxes` to cell edges (N, 4), float32."""
    rows, columns = network.grid
    if network.spec.crop == "box":
        return scaled
    low, high = g.ops("Split", scaled, outputs=2, axis=1, num_outputs=2)
    last = g.constant([columns - 1.0, rows - 1.0])
    low = g.op("Min", g.op("Max", g.op("Floor", low), g.constant(0.0)), last)
    high = g.op("Max", g.op("Ceil", high), g.op("Add", low, g.constant(1.0)))
    high = g.op("Min", high, g.constant([float(columns), float(rows)]))
    return g.op("Concat", low, high, axis=1)


def route_cells(g: GraphWriter, network: SsdIsb, cells: str) -> str:
    """`SsdIsb.route`, looked up: cell edges (N, 4) to branch numbers (N,) int64, -1 for none."""
    low, high = g.ops("Split", cells, outputs=2, axis=1, num_outputs=2)
    needed = g.op("Ceil", g.op("Sub", high, low))
    place = g.op("Mul", needed, g.constant([1.0, network.grid[1] + 1.0]))
    place = g.op("ReduceSum", place, g.constant([1], np.int64), keepdims=0)
    table = g.constant(branch_table(network), np.int64)
    return g.op("Gather", table, g.op("Cast", place, to=TensorProto.INT64))


@dataclass(frozen=True)
class Boxes:
    """What was found in all pictures, as far as masks need it."""

    scaled: str  # (N, 4) xyxy, as they are, in cells of the coarse map
    cells: str  # (N, 4) what is cropped for them
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
    for number, spec in enumerate(network.spec.branches):
        head = network.head(number)
        most = spec.max_boxes if spec.max_boxes < network.spec.max_boxes else None
        mine = boxes.of_branch(g, number, most, batch)
        count = g.op("Shape", mine)
        rois = g.op("Gather", boxes.cells, mine, axis=0)
        crops = _Crops(rois, g.op("Gather", boxes.pictures, mine), spec)
        some = g.op("Greater", g.op("Squeeze", count), g.constant(0, np.int64))
        inputs = [
            _cropped(g, network, features[block], crops, number, level, some)
            for level, block in enumerate(network.spec.crop_blocks)
        ]
        if network.spec.box_channels:
            own = g.op("Gather", boxes.scaled, mine, axis=0)
            where = _box_channels(g, own, rois, spec.shape)
            inputs[0] = g.op("Concat", inputs[0], where, axis=1)
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
    scale = network.head(0).upsampling
    heights, widths = zip(*network.spec.shapes, strict=True)
    return max(heights) * scale, max(widths) * scale


def _box_channels(g: GraphWriter, boxes: str, cells: str, shape: Shape) -> str:
    """`models.branches.box_channels`: (n, 4) each to (n, 3, h, w)."""
    height, width = shape
    lows = [g.ops("Split", x, outputs=4, axis=1, num_outputs=4) for x in (boxes, cells)]
    (x0, y0, x1, y1), (left, top, right, bottom) = lows
    across, across_cover = _along(g, (x0, x1), (left, right), width)
    down, down_cover = _along(g, (y0, y1), (top, bottom), height)
    rows = {"across": [-1, 1, 1, width], "down": [-1, 1, height, 1]}

    def laid(x: str, way: str) -> str:
        return g.op("Reshape", x, g.constant(rows[way], np.int64))

    cover = g.op("Mul", laid(across_cover, "across"), laid(down_cover, "down"))
    size = g.op("Shape", cover)
    whole = [g.op("Expand", laid(x, way), size) for x, way in ((across, "across"), (down, "down"))]
    return g.op("Concat", *whole, cover, axis=1)


def _along(
    g: GraphWriter, box: tuple[str, str], crop: tuple[str, str], steps: int
) -> tuple[str, str]:
    """Of (n, 1) edges along one axis: positions in the box and covered parts, (n, steps) each."""
    start, one = g.constant(np.arange(steps)[None]), g.constant(1.0)
    zoom = g.op("Div", g.constant(float(steps)), g.op("Sub", crop[1], crop[0]))
    low, high = (g.op("Mul", g.op("Sub", edge, crop[0]), zoom) for edge in box)
    side = g.op("Max", g.op("Sub", high, low), g.constant(LEAST_SIDE))
    twice = g.constant(2 * np.arange(steps)[None] + 1)
    middle = g.op("Sub", g.op("Sub", twice, low), high)
    position = g.op("Clip", g.op("Div", middle, side), g.constant(-1.0), one)
    last = g.op("Min", high, g.op("Add", start, one))
    covered = g.op("Sub", last, g.op("Max", low, start))
    return position, g.op("Clip", covered, g.constant(0.0), one)


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

    A 1x1 convolution and a bilinear crop may change places, but for a maximum between them. Where
    there is one branch the whole map is convolved, to few channels, and those are cropped: that
    costs little, as the wide map then need not be laid out anew for the crop. Of several branches
    only those do so whose shape is a large part of the map, and only where they have a box.
    """
    head = network.head(number)
    first, zoom = head_1x1s(head)[level], head.zooms[level]
    crop = partial(crops.of, g, scale=2**level, zoom=zoom)
    if first is None:
        return crop(feature)
    alone = len(network.branches) == 1
    samples = crops.spec.shape[0] * crops.spec.shape[1] * zoom**2
    cells = network.grid[0] * network.grid[1] * 4**level
    if crops.spec.pool == "max" or not (alone or samples * LARGE >= cells):
        return lower_conv(g, crop(feature), first, (1, 1))
    convolve = partial(lower_conv, g, feature, first, (1, 1))
    if alone:
        return crop(convolve())
    nothing = np.zeros((1, first.out_channels, 1, 1), np.float32)
    return crop(g.when(some, convolve, nothing))
