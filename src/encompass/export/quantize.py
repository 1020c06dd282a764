"""Convolutions in whole numbers of 8 bits: a graph with those that are chosen rounded.

QuantizeLinear stands behind each value that such a convolution reads or gives, DequantizeLinear
before the convolution and before whoever else reads what it gives. ONNX Runtime and OpenVINO know
this form (QDQ) and compute what stands between the two in 8 bits. As Jacob et al. 2018 (section 2):
weights are int8, symmetric, with a scale for each output channel; what flows is uint8 with a zero
point; biases are int32.

Not by `onnxruntime.quantization`: it passes over what stands under an `If`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from encompass.export.rewrite import copy_of, graphs_in, nodes_in

LEVELS = 255  # of uint8, less one
WEIGHT_LEVELS = 127  # of int8, to each side
BIAS_LEVELS = 2.0**30  # of int32, half of what it holds: the products are added to it
AXIS = helper.make_attribute("axis", 0)  # of output channels, in weights and biases
ACTIVATIONS = ("Relu", "Clip")  # a runtime computes them with the convolution
# Crops of a map, and what leaves them crops.
CROPS, STILL_CROPS = ("RoiAlign",), ("MaxPool", "Concat")

Range = tuple[float, float]  # the least and the greatest value


@dataclass(frozen=True)
class Layer:
    """One convolution of a graph, by the names of values."""

    name: str  # of its own output
    source: str  # what it reads
    result: str  # what it gives, after its activation where it has one


def find_layers(model: onnx.ModelProto) -> tuple[Layer, ...]:
    """The convolutions that may be rounded, those under conditions too, in the order of the file.

    Those that read a crop are none: to round the crop takes longer than they then save.
    """
    readers = _readers(model.graph)
    crops: set[str] = set()
    layers = []
    for node in nodes_in(model.graph):
        if node.op_type in CROPS or (node.op_type in STILL_CROPS and node.input[0] in crops):
            crops.update(node.output)
        elif node.op_type == "Conv" and node.input[0] not in crops:
            name = result = node.output[0]
            match readers[name]:
                case [reader] if reader.op_type in ACTIVATIONS:
                    result = reader.output[0]
            layers.append(Layer(name=name, source=node.input[0], result=result))
    return tuple(layers)


def quantize(
    model: onnx.ModelProto, layers: Collection[Layer], ranges: Mapping[str, Range]
) -> onnx.ModelProto:
    """A copy in which these convolutions are in 8 bits.

    Args:
        model: its weights in single precision.
        layers: some of `find_layers(model)`.
        ranges: of the source and the result of each of them.
    """
    model = copy_of(model)
    chosen = {layer.name: layer for layer in layers}
    results = {layer.result for layer in layers}
    rounded = {value: _scale(*ranges[value]) for x in layers for value in (x.source, x.result)}
    surplus = _surplus_activations(model.graph, chosen)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for graph in graphs_in(model.graph):
        writer = _Writer(constants, rounded)
        for node in graph.node:
            if node.output[0] in surplus:
                continue
            if (layer := chosen.get(node.output[0])) is not None:
                writer.convolution(node, layer)
                widened = layer.result if layer.result in surplus else layer.name
                writer.widen(layer.result, widened)
                continue
            writer.nodes.append(node)
            for value in rounded.keys() & set(node.output) - results:
                writer.round(value, value)
        del graph.node[:]
        graph.node.extend(writer.nodes)
    used = {value for node in nodes_in(model.graph) for value in node.input}
    del model.graph.initializer[:]
    model.graph.initializer.extend(t for name, t in constants.items() if name in used)
    return model


def _readers(graph: onnx.GraphProto) -> defaultdict[str, list[onnx.NodeProto]]:
    """The nodes that read each value."""
    readers: defaultdict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in nodes_in(graph):
        for value in node.input:
            readers[value].append(node)
    return readers


def _surplus_activations(graph: onnx.GraphProto, chosen: Mapping[str, Layer]) -> set[str]:
    """What activations give that go: rounding to a range within theirs does what they did.

    One that several nodes read in float stays: ONNX Runtime would widen a value anew for each.
    """
    readers = _readers(graph)
    return {
        layer.result
        for layer in chosen.values()
        if layer.result != layer.name
        and sum(node.output[0] not in chosen for node in readers[layer.result]) < 2
    }


class _Writer:
    """The nodes of one graph, and the constants of all."""

    def __init__(
        self, constants: dict[str, onnx.TensorProto], rounded: Mapping[str, tuple[float, int]]
    ) -> None:
        self.constants = constants
        self.rounded = rounded  # scale and zero point by value
        self.nodes: list[onnx.NodeProto] = []

    def round(self, given: str, value: str) -> None:
        """What is `given` as `value` in 8 bits."""
        scale, zero = self.rounded[value]
        self._constant(f"{value}.scale", np.float32(scale))
        self._constant(f"{value}.zero", np.uint8(zero))
        self._node("QuantizeLinear", given, value, f"{value}.whole")

    def widen(self, value: str, output: str) -> None:
        """A value of 8 bits in float."""
        self._node("DequantizeLinear", f"{value}.whole", value, output)

    def convolution(self, node: onnx.NodeProto, layer: Layer) -> None:
        """A convolution of what is rounded, and the rounding of what it gives."""
        kernel, *bias = (numpy_helper.to_array(self.constants[name]) for name in node.input[1:])
        source_scale, _ = self.rounded[layer.source]
        extent = _extent(kernel)
        scales = np.where(extent > 0, extent, 1) / WEIGHT_LEVELS
        for values in bias:  # where weights are tiny, their scale is what the bias can do with
            scales = np.maximum(scales, np.abs(values) / BIAS_LEVELS / source_scale)
        scales = scales.astype(np.float32)
        inputs = [f"{layer.name}.{part}" for part in ("source", "weight", "bias")[: 2 + len(bias)]]
        self.widen(layer.source, inputs[0])
        self._learnt(inputs[1], kernel, scales, np.int8)
        for values in bias:
            self._learnt(inputs[2], values, np.float32(source_scale) * scales, np.int32)
        float_ = f"{layer.name}.float"
        del node.input[:]
        node.input.extend(inputs)
        node.output[0] = float_
        self.nodes.append(node)
        self.round(float_, layer.result)

    def _learnt(
        self, name: str, values: np.ndarray, scales: np.ndarray, kind: type[np.signedinteger]
    ) -> None:
        """Values (out, ...) as whole numbers of a kind, with a scale for each output channel."""
        whole = np.rint(values / scales.reshape(-1, *[1] * (values.ndim - 1)).astype(np.float64))
        self._constant(f"{name}.whole", whole.astype(kind))
        self._constant(f"{name}.scale", scales)
        self._constant(f"{name}.zero", np.zeros(len(scales), kind))
        self._node("DequantizeLinear", f"{name}.whole", name, name).attribute.append(AXIS)

    def _constant(self, name: str, value: np.ndarray | np.generic) -> None:
        self.constants[name] = numpy_helper.from_array(np.asarray(value), name)

    def _node(self, kind: str, given: str, value: str, output: str) -> onnx.NodeProto:
        inputs = [given, f"{value}.scale", f"{value}.zero"]
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{output}.{kind}"))
        return self.nodes[-1]


def _extent(kernel: np.ndarray) -> np.ndarray:
    """Of each output channel the greatest weight, or sum of two neighbours, in size: (out,).

    Where a processor lacks VNNI, ONNX Runtime adds two products in 16 bits, which hold 255 x 128
    and no more. Those of a depthwise convolution are added in 32 bits.

    Args:
        kernel: (out, in, height, width).
    """
    rows = kernel.astype(np.float64).transpose(0, 2, 3, 1).reshape(len(kernel), -1)
    extent = np.abs(rows).max(axis=1)
    if kernel.shape[1] == 1:
        return extent
    return np.maximum(extent, np.abs(rows[:, 1:] + rows[:, :-1]).max(axis=1))


def _scale(least: float, greatest: float) -> tuple[float, int]:
    """Scale and zero point of uint8 for a range, widened to hold 0: what is padded is exact."""
    least, greatest = min(least, 0.0), max(greatest, 0.0)
    scale = float(np.float32((greatest - least) / LEVELS)) or 1.0
    return scale, round(-least / scale)
