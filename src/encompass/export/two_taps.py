"""Bilinear resizing of the picture by gathering and mixing rows, for a runtime that is slow at it.

OpenVINO's Interpolate takes as long for a pixel of three channels as for one of sixteen. Here each
side is laid along the rows in turn, so that what is gathered and mixed lies together in memory.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from encompass.export.graph import GraphWriter
from encompass.export.rewrite import copy_of


def resized_by_taps(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which the resize of the picture (`onnx_detector.resize_picture`) is two mixtures.

    Not antialiased: the same numbers where the picture is no larger than the network's input.
    """
    model = copy_of(model)
    graph = model.graph
    makers = {node.output[0]: node for node in graph.node}
    # To a size, not by a scale as the refinement of maps is.
    resizes = [n for n in graph.node if n.op_type == "Resize" and len(n.input) == 4]
    for resize in resizes:
        (size,) = (t for t in graph.initializer if t.name == resize.input[3])
        _, height, width, _ = numpy_helper.to_array(size).tolist()
        (planes,) = (node for node in graph.node if resize.output[0] in node.input)
        assert planes.op_type == "Transpose"
        g = GraphWriter(prefix="taps.")
        x = "picture"
        if makers[resize.input[0]].op_type == "Unsqueeze":  # one picture: it has no batch
            x = g.op("Unsqueeze", x, g.constant([0], np.int64))
        x = g.op("Transpose", x, perm=[0, 2, 3, 1])  # B, W, C, H
        x = _along_rows(g, x, width)
        x = g.op("Transpose", x, perm=[0, 3, 2, 1])  # B, H, C, width
        x = _along_rows(g, x, height)
        g.op("Transpose", x, perm=[0, 2, 1, 3], name=planes.output[0])
        nodes = list(graph.node)
        place = nodes.index(planes)
        nodes[place : place + 1] = g.nodes
        nodes.remove(resize)
        del graph.node[:]
        graph.node.extend(nodes)
        graph.initializer.extend(g.initializers)
    return model


def _along_rows(g: GraphWriter, x: str, steps: int) -> str:
    """(B, n, ...) of any type to (B, steps, ...) float32, with half-pixel centres.

    Places are counted in whole numbers, so that no precision of the runtime moves them.
    """
    count = g.op("Gather", g.op("Shape", x), g.constant(1, np.int64))
    last = g.op("Sub", count, g.constant(1, np.int64))
    # At (i + 1/2) * n / steps - 1/2, times 2 * steps; at the ends the first and the last of n.
    whole = g.constant(2 * steps, np.int64)
    odd = g.constant(2 * np.arange(steps) + 1, np.int64)
    at = g.op("Sub", g.op("Mul", odd, count), g.constant(steps, np.int64))
    at = g.op("Min", g.op("Max", at, g.constant(0, np.int64)), g.op("Mul", last, whole))
    before = g.op("Div", at, whole)
    after = g.op("Min", g.op("Add", before, g.constant(1, np.int64)), last)
    part = g.op("Cast", g.op("Sub", at, g.op("Mul", before, whole)), to=TensorProto.FLOAT)
    part = g.op("Mul", part, g.constant(1 / (2 * steps)))
    part = g.op("Reshape", part, g.constant([1, steps, 1, 1], np.int64))
    one, two = (
        g.op("Cast", g.op("Gather", x, place, axis=1), to=TensorProto.FLOAT)
        for place in (before, after)
    )
    return g.op("Add", one, g.op("Mul", g.op("Sub", two, one), part))
