"""One file with everything inside: resizing, detector, decoding, NMS, routing, crops and branches.

Written node by node rather than traced, because its sizes follow the data: a branch sees as many
crops as boxes came to it, so with nobody in the picture no branch computes anything. RoiAlign with
one sample a cell and half-pixel centres is exactly `models.branches.crop_cells`.

Input:  picture (H, W, 3) uint8 RGB, any size, or a batch (B, H, W, 3) of them; score_threshold ()
        float32, 0.5 unless given.
Output: boxes (N, 4) xyxy and mask_areas (N, 4) xyxy, pixels of the given picture; scores (N,)
descending;
        labels (N,); mask_sizes (N, 2) height and width, 0 for a box without a branch; mask_logits
        (N, h, w), valid to each one's size. Of a batch also pictures (N,), the place of each one's
        picture in it; the objects of one picture are in order of their scores.
"""

# torch types the members of containers as Module, whatever they are.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false, reportOperatorIssue=false

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx
from onnx import TensorProto, helper

from encompass.export.graph import GraphWriter, picture_input
from encompass.export.lower import (
    head_1x1s,
    lower_conv,
    lower_head,
    lower_mobilenet,
    lower_rows,
    lower_unit,
)
from encompass.geometry.grid import FAR, route_costs
from encompass.models.anchors import CODE_SCALES, build_anchors
from encompass.models.instance import SsdIsb
from encompass.models.ssd import FIRST_MAP, SECOND_MAP, Predictor
from encompass.models.zoo import BranchSpec
from encompass.schema import ModelCard

SCORE_THRESHOLD = 0.5
LARGE = 4  # a shape of this part of the map or more: one in four cells


def build_onnx(network: SsdIsb, card: ModelCard, *, batch: int = 1) -> onnx.ModelProto:
    """The graph of a network in evaluation mode, for so many pictures of one size at a time."""
    g = GraphWriter()
    g.constant(SCORE_THRESHOLD, name="score_threshold")
    extent = _picture_extent(g, batch)
    pixels = _resized(g, network.spec.input_size, batch)
    features, boxes_yxyx, scores = _detector(g, network, pixels, batch)
    picked, found_scores, labels, pictures = _suppress(g, network, boxes_yxyx, scores, batch)
    xyxy = g.constant([1, 0, 3, 2], np.int64)
    boxes = g.op("Gather", picked, xyxy, axis=1)
    cells = _cells(g, network, boxes)
    relative = g.op("Mul", cells, g.constant(network.stride / network.spec.input_size))
    branch = _route(g, network, cells)
    logits, sizes = _masks(g, network, features, _Boxes(cells, branch, labels, pictures), batch)
    outputs = {
        "boxes": g.op("Mul", boxes, extent),
        "scores": found_scores,
        "labels": labels,
        "mask_areas": g.op("Mul", relative, extent),
        "mask_sizes": sizes,
        "mask_logits": logits,
    }
    if batch > 1:
        outputs["pictures"] = pictures
    if network.spec.mask_confidence:
        outputs = _rank_by_mask(g, outputs)
    for name, value in outputs.items():
        g.op("Identity", value, name=name)
    numbers = [helper.make_tensor_value_info("pictures", TensorProto.INT64, ["objects"])]
    return g.model(
        [
            picture_input(batch),
            helper.make_tensor_value_info("score_threshold", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["objects", 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["objects"]),
            helper.make_tensor_value_info("labels", TensorProto.INT64, ["objects"]),
            helper.make_tensor_value_info("mask_areas", TensorProto.FLOAT, ["objects", 4]),
            helper.make_tensor_value_info("mask_sizes", TensorProto.INT64, ["objects", 2]),
            helper.make_tensor_value_info(
                "mask_logits", TensorProto.FLOAT, ["objects", *_largest_mask(network)]
            ),
            *(numbers if batch > 1 else []),
        ],
        metadata=card.to_metadata(),
    )


def _picture_extent(g: GraphWriter, batch: int) -> str:
    """(4,) float32: width, height, width, height of the picture."""
    shape = g.op("Shape", "picture", start=-3, end=-1)
    order = g.op("Gather", shape, g.constant([1, 0, 1, 0], np.int64))
    return g.op("Cast", order, to=TensorProto.FLOAT)


def _resized(g: GraphWriter, size: int, batch: int) -> str:
    """The pictures at the network's size, (B, 3, size, size) float32, less 127.5."""
    x = g.op("Cast", "picture", to=TensorProto.FLOAT)
    if batch == 1:
        x = g.op("Unsqueeze", x, g.constant([0], np.int64))
    x = g.op(
        "Resize",
        x,
        "",
        "",
        g.constant([batch, size, size, 3], np.int64),
        mode="linear",
        antialias=1,
        exclude_outside=1,  # at the picture's edges too as Pillow and torch have it
        coordinate_transformation_mode="half_pixel",
    )
    return g.op("Sub", g.op("Transpose", x, perm=[0, 3, 1, 2]), g.constant(127.5))


def _detector(
    g: GraphWriter, network: SsdIsb, x: str, batch: int
) -> tuple[dict[int, str], str, str]:
    """Feature maps by block, boxes (B, A, 4) yxyx in 0..1, scores (B, classes, A)."""
    detector, spec = network.detector, network.spec
    blocks = lower_mobilenet(g, x, detector.trunk, (spec.input_size, spec.input_size))
    maps = [blocks[FIRST_MAP], blocks[SECOND_MAP]]
    x, size = blocks[max(blocks)]
    for extra in detector.extras:
        for unit in extra:
            x, size = lower_unit(g, x, unit, size)
        maps.append((x, size))
    heads = [
        _predict(g, network, head, x, size, batch)
        for head, (x, size) in zip(detector.predictors, maps, strict=True)
    ]
    offsets = g.op("Concat", *(offsets for offsets, _ in heads), axis=1)
    logits = g.op("Concat", *(logits for _, logits in heads), axis=1)
    if spec.score == "sigmoid":
        scores = g.op("Sigmoid", logits)
    else:
        scores = g.op("Softmax", logits, axis=2)
        classes = g.constant(range(1, network.num_classes + 1), np.int64)
        scores = g.op("Gather", scores, classes, axis=2)
    boxes = _decode(g, offsets, [size for _, size in maps])
    features = {number: block for number, (block, _) in blocks.items()}
    return features, boxes, g.op("Transpose", scores, perm=[0, 2, 1])


def _predict(
    g: GraphWriter, network: SsdIsb, head: Predictor, x: str, size: tuple[int, int], batch: int
) -> tuple[str, str]:
    """Offsets (B, A, 4) and logits (B, A, scores) of one map; sigmoid needs no background."""

    def rows(y: str, width: int) -> str:
        y = g.op("Transpose", y, perm=[0, 2, 3, 1])
        return g.op("Reshape", y, g.constant([batch, -1, width], np.int64))

    offsets = rows(lower_conv(g, x, head.offsets, size), 4)
    wanted = np.arange(head.scores.out_channels)
    width = head.num_scores
    if network.spec.score == "sigmoid":
        wanted, width = wanted[wanted % head.num_scores > 0], width - 1
    return offsets, rows(lower_rows(g, x, head.scores, wanted), width)


def _decode(g: GraphWriter, offsets: str, grids: list[tuple[int, int]]) -> str:
    """`models.anchors.decode`, clipped to the picture, as (B, A, 4) yxyx."""
    anchors = build_anchors(grids).numpy()
    centre_yx, size_hw = anchors[:, 1::-1], anchors[:, :1:-1]
    shift, growth = g.ops("Split", offsets, outputs=2, axis=2, num_outputs=2)
    shift = g.op("Mul", shift, g.constant(size_hw / np.float32(CODE_SCALES[:2])))
    growth = g.op("Exp", g.op("Mul", growth, g.constant(1 / np.float32(CODE_SCALES[2:]))))
    centre = g.op("Add", shift, g.constant(centre_yx))
    half = g.op("Mul", growth, g.constant(size_hw / 2))
    corners = g.op("Concat", g.op("Sub", centre, half), g.op("Add", centre, half), axis=2)
    return g.op("Clip", corners, g.constant(0.0), g.constant(1.0))


def _suppress(
    g: GraphWriter, network: SsdIsb, boxes_yxyx: str, scores: str, batch: int
) -> tuple[str, str, str, str]:
    """Boxes (N, 4) yxyx, scores (N,), labels (N,) and pictures (N,) of what survives.

    Picture by picture, the best first.
    """
    if batch == 1:
        return _survivors(g, network, boxes_yxyx, scores, 0)
    found = []
    for number in range(batch):
        one = g.constant([number], np.int64)
        of_one = (g.op("Gather", x, one, axis=0) for x in (boxes_yxyx, scores))
        found.append(_survivors(g, network, *of_one, number))
    boxes, best, labels, pictures = (
        g.op("Concat", *parts, axis=0) for parts in zip(*found, strict=True)
    )
    return boxes, best, labels, pictures


def _survivors(
    g: GraphWriter, network: SsdIsb, boxes_yxyx: str, scores: str, number: int
) -> tuple[str, str, str, str]:
    """`_suppress` of one picture, (1, A, 4) and (1, classes, A), that is `number` of the batch."""
    spec = network.spec
    chosen = g.op(
        "NonMaxSuppression",
        boxes_yxyx,
        scores,
        g.constant([spec.max_boxes], np.int64),
        g.constant([spec.nms_iou]),
        g.op("Unsqueeze", "score_threshold", g.constant([0], np.int64)),
    )
    every = g.op("GatherND", scores, chosen)
    count = g.op("Min", g.op("Shape", every), g.constant([spec.max_boxes], np.int64))
    best, order = _highest(g, every, count)
    chosen = g.op("Gather", chosen, order, axis=0)
    labels = g.op("Gather", chosen, g.constant(1, np.int64), axis=1)
    anchors = g.op("Gather", chosen, g.constant(2, np.int64), axis=1)
    flat = g.op("Squeeze", boxes_yxyx, g.constant([0], np.int64))
    pictures = g.op(
        "ConstantOfShape",
        g.op("Shape", labels),
        value=helper.make_tensor("number", TensorProto.INT64, [1], [number]),
    )
    return g.op("Gather", flat, anchors, axis=0), best, labels, pictures


def _highest(g: GraphWriter, scores: str, count: str) -> tuple[str, str]:
    """The `count` (1,) highest of scores (n,), descending, and their places.

    One more than there are is sorted, and cut off again: OpenVINO refuses to choose none.
    """
    padded = g.op("Concat", scores, g.constant([-1.0]), axis=0)
    more = g.op("Add", count, g.constant([1], np.int64))
    best, order = g.ops("TopK", padded, more, outputs=2, axis=0)
    start = g.constant([0], np.int64)
    return g.op("Slice", best, start, count), g.op("Slice", order, start, count)


def _cells(g: GraphWriter, network: SsdIsb, boxes_xyxy_rel: str) -> str:
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


def _route(g: GraphWriter, network: SsdIsb, cells: str) -> str:
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


def _largest_mask(network: SsdIsb) -> tuple[int, int]:
    scale = network.branches[0].upsampling
    heights, widths = zip(*network.spec.shapes, strict=True)
    return max(heights) * scale, max(widths) * scale


@dataclass(frozen=True)
class _Boxes:
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


def _masks(
    g: GraphWriter,
    network: SsdIsb,
    features: dict[int, str],
    boxes: _Boxes,
    batch: int,
) -> tuple[str, str]:
    """Crop, run each branch on its own boxes, and put the masks back in the order of the boxes.

    Gives logits (N, h, w), zero beyond each one's size, and the sizes (N, 2).
    """
    height, width = _largest_mask(network)
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


def _rank_by_mask(g: GraphWriter, outputs: dict[str, str]) -> dict[str, str]:
    """Scores times `models.instance.mask_confidence`: in a new order, some below the threshold."""
    logits, inside = outputs["mask_logits"], g.constant([1, 2], np.int64)
    zero, one = g.constant(0.0), g.constant(1.0)
    chosen = g.op("Cast", g.op("Greater", logits, zero), to=TensorProto.FLOAT)
    count = g.op("ReduceSum", chosen, inside, keepdims=0)
    total = g.op("Mul", g.op("Sigmoid", logits), chosen)
    mean = g.op("Div", g.op("ReduceSum", total, inside, keepdims=0), g.op("Max", count, one))
    sure = g.op("Max", mean, g.constant(0.5))  # a set cell has more than 0.5; none set is 0
    scores = g.op("Mul", outputs["scores"], sure)
    kept = g.op("Cast", g.op("Greater", scores, "score_threshold"), to=TensorProto.INT64)
    count = g.op("ReduceSum", kept, keepdims=1)
    best, order = _highest(g, scores, count)
    moved = {
        name: g.op("Gather", value, order, axis=0)
        for name, value in outputs.items()
        if name != "scores"
    }
    return moved | {"scores": best}
