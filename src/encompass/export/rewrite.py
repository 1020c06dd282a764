"""Changes to a finished graph that leave what it computes: how weights are stored, whose size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

LEARNT = ("Conv", "ConvTranspose")  # operators whose inputs, the first aside, are learnt
HALF = ".half"


def half_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with its weights in half precision, each widened by a node when the file is loaded."""
    model = copy_of(model)
    graph = model.graph
    learnt = {name for node in nodes_in(graph) if node.op_type in LEARNT for name in node.input[1:]}
    casts = []
    for tensor in graph.initializer:
        if tensor.name in learnt and tensor.data_type == TensorProto.FLOAT:
            half = tensor.name + HALF
            casts.append(helper.make_node("Cast", [half], [tensor.name], to=TensorProto.FLOAT))
            values = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, half))
    _put_first(graph, casts)
    return model


def full_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with all weights in single precision: the inverse, but for what was rounded."""
    model = copy_of(model)
    graph = model.graph
    halves = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT16}
    casts = [n for n in graph.node if n.op_type == "Cast" and n.input[0] in halves]
    for cast in casts:
        tensor = halves[cast.input[0]]
        values = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, cast.output[0]))
        graph.node.remove(cast)
    return model


def without_conditions(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which each 1x1 convolution of a map that depends on a condition follows the crop.

    A 1x1 convolution and a bilinear crop may change places (`onnx_masks._cropped`).
    """
    model = copy_of(model)
    graph = model.graph
    conditional = {node.output[0]: node for node in graph.node if node.op_type == "If"}
    nodes = []
    for node in graph.node:
        if node.op_type == "If":
            continue
        nodes.append(node)
        if node.op_type == "RoiAlign" and node.input[0] in conditional:
            (convolution,) = _branch(conditional[node.input[0]], "then_branch").node
            assert convolution.op_type == "Conv"
            cropped, node.input[0] = node.output[0], convolution.input[0]
            node.output[0] = convolution.input[0] = f"{cropped}.map"
            convolution.output[0] = cropped
            nodes.append(convolution)
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def unconditional(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that computes in any case what depends on a condition."""
    model = copy_of(model)
    nodes = []
    for node in model.graph.node:
        if node.op_type == "If":
            branch = _branch(node, "then_branch")
            nodes.extend(branch.node)
            node = helper.make_node("Identity", [branch.output[0].name], node.output)
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def fixed_size(model: onnx.ModelProto, size: tuple[int, int]) -> onnx.ModelProto:
    """A copy that takes pictures of one size alone, (height, width) in pixels."""
    model = copy_of(model)
    (picture,) = (value for value in model.graph.input if value.name == "picture")
    *_, height, width, _ = picture.type.tensor_type.shape.dim
    height.dim_value, width.dim_value = size
    return model


def _branch(node: onnx.NodeProto, name: str) -> onnx.GraphProto:
    return next(attribute.g for attribute in node.attribute if attribute.name == name)


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that may be changed."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def graphs_in(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and those of its branches."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from graphs_in(attribute.g)


def nodes_in(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """All nodes, those of branches too."""
    return (node for each in graphs_in(graph) for node in each.node)


def _put_first(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Nodes must stand before those that need them."""
    others = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *others])
