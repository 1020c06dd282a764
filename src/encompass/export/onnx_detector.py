"""The detector as nodes of an ONNX graph: a picture resized, scored, decoded and suppressed."""

# torch types the members of containers as Module, whatever they are.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false, reportOperatorIssue=false

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from encompass.export.graph import GraphWriter
from encompass.export.lower import (
    Size,
    lower_conv,
    lower_mobilenet,
    lower_refine,
    lower_rows,
    lower_unit,
)
from encompass.models.anchors import CODE_SCALES
from encompass.models.instance import SsdIsb
from encompass.models.ssd import FINE_MAP, FIRST_MAP, SECOND_MAP, FineMap, Predictor


def resize_picture(g: GraphWriter, size: int, batch: int) -> str:
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


def lower_detector(
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
    if detector.fine is not None:
        maps.append(_lower_fine(g, detector.fine, blocks))
    heads = [
        _predict(g, network, head, x, size, batch)
        for head, (x, size) in zip(detector.heads, maps, strict=True)
    ]
    offsets = g.op("Concat", *(offsets for offsets, _ in heads), axis=1)
    logits = g.op("Concat", *(logits for _, logits in heads), axis=1)
    if spec.score == "sigmoid":
        scores = g.op("Sigmoid", logits)
    else:
        scores = g.op("Softmax", logits, axis=2)
        classes = g.constant(range(1, network.num_classes + 1), np.int64)
        scores = g.op("Gather", scores, classes, axis=2)
    boxes = _decode(g, network, offsets, [size for _, size in maps])
    features = {number: block for number, (block, _) in blocks.items()}
    return features, boxes, g.op("Transpose", scores, perm=[0, 2, 1])


def _lower_fine(
    g: GraphWriter, fine: FineMap, blocks: dict[int, tuple[str, Size]]
) -> tuple[str, Size]:
    coarse, size = blocks[FIRST_MAP]
    x, _ = lower_unit(g, coarse, fine.project, size)
    return lower_refine(g, x, *blocks[FINE_MAP], fine.refine)


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


def _decode(g: GraphWriter, network: SsdIsb, offsets: str, grids: list[tuple[int, int]]) -> str:
    """`models.anchors.decode`, clipped to the picture, as (B, A, 4) yxyx."""
    anchors = network.anchors(grids).numpy()
    centre_yx, size_hw = anchors[:, 1::-1], anchors[:, :1:-1]
    shift, growth = g.ops("Split", offsets, outputs=2, axis=2, num_outputs=2)
    shift = g.op("Mul", shift, g.constant(size_hw / np.float32(CODE_SCALES[:2])))
    growth = g.op("Exp", g.op("Mul", growth, g.constant(1 / np.float32(CODE_SCALES[2:]))))
    centre = g.op("Add", shift, g.constant(centre_yx))
    half = g.op("Mul", growth, g.constant(size_hw / 2))
    corners = g.op("Concat", g.op("Sub", centre, half), g.op("Add", centre, half), axis=2)
    return g.op("Clip", corners, g.constant(0.0), g.constant(1.0))


def suppress(
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
    """`suppress` of one picture, (1, A, 4) and (1, classes, A), that is `number` of the batch."""
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
    best, order = highest(g, every, count)
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


def highest(g: GraphWriter, scores: str, count: str) -> tuple[str, str]:
    """The `count` (1,) highest of scores (n,), descending, and their places.

    One more than there are is sorted, and cut off again: OpenVINO refuses to choose none.
    """
    padded = g.op("Concat", scores, g.constant([-1.0]), axis=0)
    more = g.op("Add", count, g.constant([1], np.int64))
    best, order = g.ops("TopK", padded, more, outputs=2, axis=0)
    start = g.constant([0], np.int64)
    return g.op("Slice", best, start, count), g.op("Slice", order, start, count)
