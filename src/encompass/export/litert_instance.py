"""The detector half of an instance model's LiteRT file: boxes, suppression and ranking.

Rows past the number of objects found are padding: they hold any anchor.
"""

# torch types the members of containers as Module, whatever they are.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

from __future__ import annotations

import numpy as np

from encompass.export.litert_masks import write_masks
from encompass.export.tflite_graph import TfliteWriter, Value
from encompass.export.tflite_lower import (
    lower_conv,
    lower_mobilenet,
    lower_refine,
    lower_rows,
    lower_unit,
)
from encompass.models.anchors import CODE_SCALES
from encompass.models.instance import SsdIsb
from encompass.models.ssd import FINE_MAP, FIRST_MAP, SECOND_MAP, Predictor

APART = 2.0  # between the boxes of two classes, in pictures: none of one overlaps one of the other
# Least side of a box in suppression, in pictures. LiteRT puts a box that it chose back among the
# others, where it suppresses itself, but for one without extent: that is chosen again and again.
LEAST_SIDE = 1e-4


def write_instance(g: TfliteWriter, network: SsdIsb, picture: Value) -> dict[str, Value]:
    """The outputs by name, from a picture (1, H, W, 3) float32 less 127.5."""
    threshold = g.input((), np.float32, name="score_threshold")
    features, every_box, every_score = _detector(g, network, picture)
    anchors, labels, scores, count = _suppress(g, network, every_box, every_score, threshold)
    yxyx = g.gather(every_box, anchors)
    boxes = g.gather(yxyx, g.constant([1, 0, 3, 2], np.int32), axis=1)
    boxes = g.op("MUL", boxes, g.constant(float(network.spec.input_size)))
    scaled = g.op("DIV", boxes, g.constant(float(network.stride)))
    cells = _cells(g, network, scaled)
    logits, sizes = write_masks(g, network, features, scaled, cells, labels, count)
    outputs = {
        "boxes": boxes,
        "scores": scores,
        "labels": g.cast(labels, np.int64),
        "mask_areas": g.op("MUL", cells, g.constant(float(network.stride))),
        "mask_sizes": sizes,
        "mask_logits": logits,
    }
    if network.spec.mask_confidence:
        return _rank_by_mask(g, outputs, count, threshold)
    return outputs | {"count": count}


def _detector(
    g: TfliteWriter, network: SsdIsb, picture: Value
) -> tuple[dict[int, Value], Value, Value]:
    """Feature maps by block, boxes (A, 4) yxyx in 0..1, scores (A, classes)."""
    detector, spec = network.detector, network.spec
    blocks = lower_mobilenet(g, picture, detector.trunk)
    maps = [blocks[FIRST_MAP], blocks[SECOND_MAP]]
    x = blocks[max(blocks)]
    for extra in detector.extras:
        for unit in extra:
            x = lower_unit(g, x, unit)
        maps.append(x)
    if detector.fine is not None:
        x = lower_unit(g, blocks[FIRST_MAP], detector.fine.project)
        maps.append(lower_refine(g, x, blocks[FINE_MAP], detector.fine.refine))
    heads = [_predict(g, network, head, x) for head, x in zip(detector.heads, maps, strict=True)]
    offsets, logits = (g.concat(parts, axis=0) for parts in zip(*heads, strict=True))
    if spec.score == "sigmoid":
        scores = g.op("LOGISTIC", logits)
    else:
        scores = g.op("SOFTMAX", logits, beta=1.0)
        scores = g.gather(scores, g.constant(range(1, network.num_classes + 1), np.int32), axis=1)
    boxes = _decode(g, network, offsets, [(x.shape[1], x.shape[2]) for x in maps])
    return blocks, boxes, scores


def _predict(g: TfliteWriter, network: SsdIsb, head: Predictor, x: Value) -> tuple[Value, Value]:
    """Offsets (A, 4) and logits (A, scores) of one map; sigmoid needs no background."""
    wanted = np.arange(head.scores.out_channels)
    width = head.num_scores
    if network.spec.score == "sigmoid":
        wanted, width = wanted[wanted % head.num_scores > 0], width - 1
    offsets, logits = lower_conv(g, x, head.offsets), lower_rows(g, x, head.scores, wanted)
    anchors = int(np.prod(offsets.shape)) // 4
    return g.reshape(offsets, (anchors, 4)), g.reshape(logits, (anchors, width))


def _decode(
    g: TfliteWriter, network: SsdIsb, offsets: Value, grids: list[tuple[int, int]]
) -> Value:
    """`models.anchors.decode`, clipped to the picture, as (A, 4) yxyx."""
    anchors = network.anchors(grids).numpy()
    centre_yx, size_hw = anchors[:, 1::-1], anchors[:, :1:-1]
    shift, growth = g.split(offsets, 2)
    shift = g.op("MUL", shift, g.constant(size_hw / np.float32(CODE_SCALES[:2])))
    growth = g.op("EXP", g.op("MUL", growth, g.constant(1 / np.float32(CODE_SCALES[2:]))))
    centre = g.op("ADD", shift, g.constant(centre_yx))
    half = g.op("MUL", growth, g.constant(size_hw / 2))
    corners = [g.op("SUB", centre, half), g.op("ADD", centre, half)]
    boxes = g.concat(corners, axis=1)
    return g.clamp(boxes, 0.0, 1.0)


def _suppress(
    g: TfliteWriter, network: SsdIsb, boxes_yxyx: Value, scores: Value, threshold: Value
) -> tuple[Value, Value, Value, Value]:
    """Anchors, labels (N,) int32 and scores (N,), descending, of what survives; its number ().

    One suppression does for all classes: the boxes of each lie in a place of their own.
    """
    spec, classes = network.spec, network.num_classes
    rows = boxes_yxyx.shape[0] * classes
    places = g.constant(APART * np.arange(classes)[:, None])
    low, high = g.split(boxes_yxyx, 2)
    high = g.op("MAXIMUM", high, g.op("ADD", low, g.constant(LEAST_SIDE)))
    apart = g.reshape(g.concat([low, high], axis=1), (boxes_yxyx.shape[0], 1, 4))
    apart = g.op("ADD", apart, places)
    scores = g.reshape(scores, (rows,))
    chosen, count = g.ops(
        "NON_MAX_SUPPRESSION_V4",
        g.reshape(apart, (rows, 4)),
        scores,
        g.constant(spec.max_boxes, np.int32),
        g.constant(spec.nms_iou),
        threshold,
        outputs=[((spec.max_boxes,), np.int32), ((), np.int32)],
    )
    number = g.constant(classes, np.int32)
    anchors, labels = (g.op(kind, chosen, number) for kind in ("FLOOR_DIV", "FLOOR_MOD"))
    return anchors, labels, g.gather(scores, chosen), count


def _cells(g: TfliteWriter, network: SsdIsb, scaled: Value) -> Value:
    """`SsdIsb.cells`: boxes in cells, not yet whole, to cell edges (N, 4), float32."""
    rows, columns = network.grid
    if network.spec.crop == "box":
        return scaled
    low, high = g.split(scaled, 2)
    last = g.constant([columns - 1.0, rows - 1.0])
    low = g.op("MINIMUM", g.op("FLOOR", low), last)
    high = g.op("MAXIMUM", g.op("CEIL", high), g.op("ADD", low, g.constant(1.0)))
    return g.concat([low, high], axis=1)


def _rank_by_mask(
    g: TfliteWriter, outputs: dict[str, Value], count: Value, threshold: Value
) -> dict[str, Value]:
    """Scores times `models.instance.mask_confidence`: in a new order, some below the threshold."""
    logits = outputs["mask_logits"]
    boxes = logits.shape[:1]
    chosen = g.cast(g.op("GREATER", logits, g.constant(0.0), dtype=np.bool_), np.float32)
    number = g.op("MAXIMUM", g.total(chosen, [1, 2]), g.constant(1.0))
    inside = g.op("MUL", g.op("LOGISTIC", logits), chosen)
    mean = g.op("DIV", g.total(inside, [1, 2]), number)
    sure = g.op("MAXIMUM", mean, g.constant(0.5))  # a set cell has more than 0.5; none set is 0
    scores = g.op("MUL", outputs["scores"], sure)
    found = g.op("LESS", g.constant(range(boxes[0]), np.int32), count, dtype=np.bool_)
    kept = g.op("LOGICAL_AND", found, g.op("GREATER", scores, threshold, dtype=np.bool_))
    last = g.op("SELECT_V2", kept, scores, g.constant(-1.0), dtype=np.float32)
    best, order = g.ops(
        "TOPK_V2",
        last,
        g.constant(boxes[0], np.int32),
        outputs=[(boxes, np.float32), (boxes, np.int32)],
    )
    moved = {name: g.gather(value, order) for name, value in outputs.items() if name != "scores"}
    return moved | {"scores": best, "count": g.total(g.cast(kept, np.int32), [0])}
