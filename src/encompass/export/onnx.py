"""One file with everything inside: resizing, detector, decoding, NMS, routing, crops and branches.

Written node by node rather than traced, because its sizes follow the data: a branch sees as many
crops as boxes came to it, so with nobody in the picture no branch computes anything.

Input:  picture (H, W, 3) uint8 RGB, any size, or a batch (B, H, W, 3) of them; score_threshold ()
        float32, 0.5 unless given.
Output: boxes (N, 4) xyxy and mask_areas (N, 4) xyxy, pixels of the given picture; scores (N,)
        descending; labels (N,); mask_sizes (N, 2) height and width, 0 for a box without a branch;
        mask_logits (N, h, w), valid to each one's size. Of a batch also pictures (N,), the place of
        each one's picture in it; the objects of one picture are in order of their scores.
"""

# torch types the members of containers as Module, whatever they are.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false, reportOperatorIssue=false

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from encompass.export.graph import GraphWriter, picture_input
from encompass.export.onnx_detector import highest, lower_detector, resize_picture, suppress
from encompass.export.onnx_masks import (
    Boxes,
    box_cells,
    largest_mask,
    lower_masks,
    route_cells,
    scale_boxes,
)
from encompass.models.instance import SsdIsb
from encompass.schema import ModelCard

SCORE_THRESHOLD = 0.5


def build_onnx(network: SsdIsb, card: ModelCard, *, batch: int = 1) -> onnx.ModelProto:
    """The graph of a network in evaluation mode, for so many pictures of one size at a time."""
    g = GraphWriter()
    g.constant(SCORE_THRESHOLD, name="score_threshold")
    extent = _picture_extent(g)
    pixels = resize_picture(g, network.spec.input_size, batch)
    features, boxes_yxyx, scores = lower_detector(g, network, pixels, batch)
    picked, found_scores, labels, pictures = suppress(g, network, boxes_yxyx, scores, batch)
    xyxy = g.constant([1, 0, 3, 2], np.int64)
    boxes = g.op("Gather", picked, xyxy, axis=1)
    scaled = scale_boxes(g, network, boxes)
    cells = box_cells(g, network, scaled)
    relative = g.op("Mul", cells, g.constant(network.stride / network.spec.input_size))
    branch = route_cells(g, network, cells)
    found = Boxes(scaled, cells, branch, labels, pictures)
    logits, sizes = lower_masks(g, network, features, found, batch)
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
                "mask_logits", TensorProto.FLOAT, ["objects", *largest_mask(network)]
            ),
            *(numbers if batch > 1 else []),
        ],
        metadata=card.to_metadata(),
    )


def _picture_extent(g: GraphWriter) -> str:
    """(4,) float32: width, height, width, height of the picture."""
    shape = g.op("Shape", "picture", start=-3, end=-1)
    order = g.op("Gather", shape, g.constant([1, 0, 1, 0], np.int64))
    return g.op("Cast", order, to=TensorProto.FLOAT)


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
    best, order = highest(g, scores, count)
    moved = {
        name: g.op("Gather", value, order, axis=0)
        for name, value in outputs.items()
        if name != "scores"
    }
    return moved | {"scores": best}
