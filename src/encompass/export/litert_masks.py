"""The mask half of an instance model's LiteRT file: routing, crops, branches, all of fixed sizes.

A branch has slots for `BranchSpec.max_boxes` boxes, as the thesis pads it, and computes `AT_ONCE`
of them at a time. Where none came to these the file leaves them out (IF), so that few objects cost
little; among those that are computed an unused slot holds any box, and nothing reads it.
"""

# torch types the members of containers as Module, whatever they are.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from encompass.export.lower import branch_table, head_1x1s
from encompass.export.tflite_graph import TfliteWriter, Value
from encompass.export.tflite_lower import lower_conv, lower_head
from encompass.geometry.grid import Shape
from encompass.models.branches import LEAST_SIDE
from encompass.models.instance import SsdIsb
from encompass.models.layers import SameConv2d

AT_ONCE = 10  # boxes of a branch: all crops of a hundred would take a gigabyte


@dataclass(frozen=True, slots=True)
class _Found:
    """N boxes, best first; those past the number found are padding."""

    scaled: Value  # (N, 4) xyxy, as they are, in cells of the coarse map
    cells: Value  # (N, 4) edges of what is cropped for them
    labels: Value  # (N,) int32
    members: Value  # (N, S) float32, 1 for the branch that computes the box's mask
    ranks: Value  # (N, S) float32, how many better boxes came to a branch


def write_masks(
    g: TfliteWriter,
    network: SsdIsb,
    features: dict[int, Value],
    scaled: Value,
    cells: Value,
    labels: Value,
    count: Value,
) -> tuple[Value, Value]:
    """Logits (N, h, w), zero beyond each one's size, and the sizes (N, 2) int64.

    Args:
        g: the graph.
        network: whose branches.
        features: (1, H, W, C) by block.
        scaled: (N, 4) boxes in cells of the coarse map, the best first.
        cells: (N, 4) edges of what is cropped for them.
        labels: (N,) int32.
        count: () int32, of the boxes that there are.
    """
    found = _assign(g, network, scaled, cells, labels, count)
    shapes = [network.mask_shape(branch) for branch in range(len(network.spec.branches))]
    height, width = np.max(shapes, axis=0).tolist()
    maps = [features[block] for block in network.spec.crop_blocks]
    # The first row is of the boxes without a branch.
    rows, starts, filled = [g.constant(np.zeros((1, height, width)))], [], 1
    order, came = _order(g, found), g.total(found.members, [0])
    for branch in range(len(shapes)):
        logits = _branch(g, network, branch, maps, found, order, came)
        slots, h, w = logits.shape
        pads = g.constant([[0, 0], [0, height - h], [0, width - w]], np.int32)
        rows.append(g.op("PAD", logits, pads, shape=(slots, height, width)))
        starts.append(filled)
        filled += slots
    place = g.op("ADD", found.ranks, g.constant(starts))
    row = g.cast(g.total(g.op("MUL", found.members, place), [1]), np.int32)
    sizes = g.op("BATCH_MATMUL", found.members, g.constant(shapes), shape=(cells.shape[0], 2))
    return g.gather(g.concat(rows, axis=0), row), g.cast(sizes, np.int64)


def _assign(
    g: TfliteWriter, network: SsdIsb, scaled: Value, cells: Value, labels: Value, count: Value
) -> _Found:
    """Each box to its branch, unless that has as many better ones as it takes."""
    branches = network.spec.branches
    number = g.reshape(_route(g, network, cells, count), (cells.shape[0], 1))
    came = g.op("EQUAL", number, g.constant(range(len(branches)), np.int32), dtype=np.bool_)
    came = g.cast(came, np.float32)
    ranks = g.op("CUMSUM", came, g.constant(0, np.int32), exclusive=True)
    limits = g.constant([branch.max_boxes for branch in branches])
    early = g.cast(g.op("LESS", ranks, limits, dtype=np.bool_), np.float32)
    return _Found(scaled, cells, labels, g.op("MUL", came, early), ranks)


def _route(g: TfliteWriter, network: SsdIsb, cells: Value, count: Value) -> Value:
    """Branch numbers (N,) int32, -1 for none: `SsdIsb.route`, looked up."""
    low, high = g.split(cells, 2)
    needed = g.op("CEIL", g.op("SUB", high, low))
    place = g.total(g.op("MUL", needed, g.constant([1.0, network.grid[1] + 1.0])), [1])
    branch = g.gather(g.constant(branch_table(network), np.int32), g.cast(place, np.int32))
    there = g.op("LESS", g.constant(range(cells.shape[0]), np.int32), count, dtype=np.bool_)
    return g.op("SELECT_V2", there, branch, g.constant(-1, np.int32), dtype=np.int32)


def _order(g: TfliteWriter, found: _Found) -> Value:
    """(S, N + AT_ONCE) int32: for each branch its boxes, best first, then any others."""
    boxes, branches = found.members.shape
    shape = (branches, boxes)
    first = g.op("MUL", found.members, g.constant(np.arange(boxes, 0, -1)[:, None]))
    first = g.op("TRANSPOSE", first, g.constant([1, 0], np.int32), shape=shape)
    number = g.constant(boxes, np.int32)
    _, order = g.ops("TOPK_V2", first, number, outputs=[(shape, np.float32), (shape, np.int32)])
    pads = g.constant([[0, 0], [0, AT_ONCE]], np.int32)
    return g.op("PAD", order, pads, shape=(branches, boxes + AT_ONCE))


def _branch(
    g: TfliteWriter,
    network: SsdIsb,
    branch: int,
    maps: list[Value],
    found: _Found,
    order: Value,
    came: Value,
) -> Value:
    """Logits (slots, h, w) of a branch's boxes, each of its label; anything in unused slots.

    Args:
        g: the graph.
        network: whose branch.
        branch: its number.
        maps: (1, H, W, C), coarse to fine.
        found: all boxes.
        order: of `_order`.
        came: (S,) float32, how many boxes each branch has.
    """
    slots = min(network.spec.branches[branch].max_boxes, found.cells.shape[0])
    some = min(AT_ONCE, slots)

    def compute(mine: Value, scaled: Value, cells: Value, labels: Value, *maps: Value) -> Value:
        scaled, cells, labels = (g.gather(x, mine) for x in (scaled, cells, labels))
        return _masks_of_labels(g, _logits(g, network, branch, maps, scaled, cells), labels)

    def nothing(*_: Value) -> Value:
        return g.constant(np.zeros((some, *network.mask_shape(branch))))

    inputs = [found.scaled, found.cells, found.labels, *maps]
    picked = [g.slice(order, (branch, start), (1, some)) for start in range(0, slots, some)]
    picked = [g.reshape(mine, (some,)) for mine in picked]
    used = g.part(f"branch_{branch}", [picked[0], *inputs], compute)
    unused = g.part(f"no_{branch}", [picked[0], *inputs], nothing)
    here = g.slice(came, (branch,), (1,))
    masks = []
    for number, mine in enumerate(picked):
        any_came = g.op("GREATER", here, g.constant([some * number]), dtype=np.bool_)
        masks.append(g.when(any_came, used, unused, [mine, *inputs]))
    return g.concat(masks, axis=0)


def _masks_of_labels(g: TfliteWriter, logits: Value, labels: Value) -> Value:
    """(n, h, w, classes) and (n,) to (n, h, w)."""
    *shape, classes = logits.shape
    if classes > 1:
        number = g.reshape(labels, (shape[0], 1, 1, 1))
        chosen = g.op("EQUAL", number, g.constant(range(classes), np.int32), dtype=np.bool_)
        return g.total(g.op("MUL", logits, g.cast(chosen, np.float32)), [3])
    return g.reshape(logits, tuple(shape))


def _logits(
    g: TfliteWriter,
    network: SsdIsb,
    branch: int,
    maps: Sequence[Value],
    scaled: Value,
    cells: Value,
) -> Value:
    """What a branch says of boxes, (n, 4) as they are and as cropped: (n, h, w, classes)."""
    head, spec = network.head(branch), network.spec.branches[branch]
    crops = []
    for level, (x, first, zoom) in enumerate(zip(maps, head_1x1s(head), head.zooms, strict=True)):
        edges = g.op("MUL", cells, g.constant(float(2**level)))
        shape = (spec.shape[0] * zoom, spec.shape[1] * zoom)
        # A 1x1 convolution and a bilinear crop may change places, but for a maximum between them.
        before = first is not None and spec.pool != "max" and _is_cheaper(x, first, edges, shape)
        if before:
            x = lower_conv(g, x, first)
        x = _pooled(g, x, edges, shape, spec.pool)
        crops.append(x if before or first is None else lower_conv(g, x, first))
    if network.spec.box_channels:
        crops[0] = g.concat([crops[0], _box_channels(g, scaled, cells, spec.shape)], axis=3)
    return lower_head(g, crops, head)


def _box_channels(g: TfliteWriter, boxes: Value, cells: Value, shape: Shape) -> Value:
    """`models.branches.box_channels`: (n, 4) each to (n, h, w, 3)."""
    number, (height, width) = boxes.shape[0], shape
    x0, y0, x1, y1 = g.split(boxes, 4)
    left, top, right, bottom = g.split(cells, 4)
    across, across_cover = _along(g, (x0, x1), (left, right), width)
    down, down_cover = _along(g, (y0, y1), (top, bottom), height)
    row, column = (number, 1, width, 1), (number, height, 1, 1)
    channels = [
        g.op("MUL", g.reshape(across, row), g.constant(np.ones((1, height, 1, 1)))),
        g.op("MUL", g.reshape(down, column), g.constant(np.ones((1, 1, width, 1)))),
        g.op("MUL", g.reshape(across_cover, row), g.reshape(down_cover, column)),
    ]
    return g.concat(channels, axis=3)


def _along(
    g: TfliteWriter, box: tuple[Value, Value], crop: tuple[Value, Value], steps: int
) -> tuple[Value, Value]:
    """Of (n, 1) edges along one axis: positions in the box and covered parts, (n, steps) each."""
    start = np.arange(steps)[None]
    zoom = g.op("DIV", g.constant(float(steps)), g.op("SUB", crop[1], crop[0]))
    low, high = (g.op("MUL", g.op("SUB", edge, crop[0]), zoom) for edge in box)
    side = g.op("MAXIMUM", g.op("SUB", high, low), g.constant(LEAST_SIDE))
    middle = g.op("SUB", g.op("SUB", g.constant(2 * start + 1), low), high)
    position = g.clamp(g.op("DIV", middle, side), -1.0, 1.0)
    last = g.op("MINIMUM", high, g.constant(start + 1))
    covered = g.op("SUB", last, g.op("MAXIMUM", low, g.constant(start)))
    return position, g.clamp(covered, 0.0, 1.0)


def _is_cheaper(x: Value, first: SameConv2d, edges: Value, shape: Shape) -> bool:
    """Whether convolving the whole map and then cropping multiplies less than the reverse."""
    _, rows, columns, _ = x.shape
    height, width = shape
    boxes = edges.shape[0]
    crop = boxes * height * columns * (rows + width)  # for each channel
    convolution = first.in_channels * first.out_channels
    whole = rows * columns * convolution + crop * first.out_channels
    return whole < boxes * height * width * convolution + crop * first.in_channels


def _pooled(g: TfliteWriter, x: Value, edges: Value, shape: Shape, pool: str) -> Value:
    """`SsdIsb.crops` of one map, (n, h, w, C)."""
    if pool == "none":
        return _crop(g, x, edges, shape)
    x = _crop(g, x, edges, (2 * shape[0], 2 * shape[1]))
    kind = "MAX_POOL_2D" if pool == "max" else "AVERAGE_POOL_2D"
    sides = {"strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2}
    return g.op(kind, x, shape=(edges.shape[0], *shape, x.shape[3]), **sides)


def _crop(g: TfliteWriter, x: Value, edges: Value, shape: Shape) -> Value:
    """`models.branches.crop_cells` as two matrix products: (1, H, W, C) to (n, h, w, C)."""
    boxes, (height, width) = edges.shape[0], shape
    _, rows, columns, channels = x.shape
    left, top, right, bottom = g.split(edges, 4)
    down = g.reshape(_taps(g, top, bottom, height, rows), (boxes * height, rows))
    x = g.reshape(x, (rows, columns * channels))
    x = g.op("BATCH_MATMUL", down, x, shape=(boxes * height, columns * channels))
    x = g.reshape(x, (boxes, height, columns, channels))
    across = g.reshape(_taps(g, left, right, width, columns), (boxes, 1, width, columns))
    return g.op("BATCH_MATMUL", across, x, shape=(boxes, height, width, channels))


def _taps(g: TfliteWriter, low: Value, high: Value, steps: int, limit: int) -> Value:
    """Weights (n, steps, limit) of the cells for samples of [low, high], (n, 1) each."""
    part = g.constant((np.arange(steps) + 0.5) / steps)
    at = g.op("ADD", g.op("MUL", g.op("SUB", high, low), part), low)
    at = g.clamp(g.op("SUB", at, g.constant(0.5)), 0.0, limit - 1.0)
    away = g.op("SUB", g.reshape(at, (*at.shape, 1)), g.constant(range(limit)))
    return g.op("RELU", g.op("SUB", g.constant(1.0), g.op("ABS", away)))
