"""Convolutions in whole numbers of 8 bits: a graph with those that are chosen rounded.

QuantizeLinear stands behind each value that such a convolution reads or gives, DequantizeLinear
before the convolution and before whoever else reads what it gives. ONNX Runtime and OpenVINO know
this form (QDQ) and compute what stands between the two in 8 bits. As Jacob et al. 2018 (section 2):
weights are int8, symmetric, with a scale for each output channel; what flows is uint8 with a zero
point; biases are int32.

Not by `onnxruntime.quantization`: it passes over what stands under an `If`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from encompass.export.rewrite import copy_of, graphs_in, nodes_in

LEVELS = 255  # of uint8, less one
# Of int8 there are 127 to each side. Where a processor lacks VNNI, ONNX Runtime adds two products
# in 16 bits, which hold 2 x 255 x 63 and not 2 x 255 x 127.
WEIGHT_LEVELS = 63
BIAS_LEVELS = 2.0**30  # of int32, half of what it holds: the products are added to it
ACTIVATIONS = ("Relu", "Clip")  # a runtime computes them with the convolution

Range = tuple[float, float]  # the least and the greatest value


@dataclass(frozen=True)
class Layer:
    """One convolution of a graph, by the names of values."""

    name: str  # of its own output
    source: str  # what it reads
    result: str  # what it gives, after its activation where it has one


def find_layers(model: onnx.ModelProto) -> tuple[Layer, ...]:
    """All convolutions, those under conditions too, in the order of the file."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in nodes_in(model.graph):
        for value in node.input:
            readers.setdefault(value, []).append(node)
    layers = []
    for node in nodes_in(model.graph):
        if node.op_type == "Conv":
            name = result = node.output[0]
            match readers.get(name, []):
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
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    writer = _Writer(constants)
    rounded = {value: _scale(*ranges[value]) for x in layers for value in (x.source, x.result)}
    for value, (scale, zero) in rounded.items():
        writer.constant(f"{value}.scale", np.float32(scale))
        writer.constant(f"{value}.zero", np.uint8(zero))
    chosen = {layer.name: layer for layer in layers}
    results = {layer.result for layer in layers}
    for graph in graphs_in(model.graph):
        writer.nodes = []
        for node in graph.node:
            if (layer := chosen.get(node.output[0] if node.output else "")) is not None:
                writer.convolution(node, layer, rounded[layer.source][0])
            writer.nodes.append(node)
            for place, value in enumerate(node.output):
                if value in results:  # whoever reads it reads what is rounded
                    node.output[place] = f"{value}.float"
                    writer.round(node.output[place], value)
                    writer.widen(value, value)
                elif value in rounded:
                    writer.round(value, value)
        del graph.node[:]
        graph.node.extend(writer.nodes)
    used = {value for node in nodes_in(model.graph) for value in node.input}
    del model.graph.initializer[:]
    model.graph.initializer.extend(t for name, t in constants.items() if name in used)
    return model


class _Writer:
    """Nodes of one graph, and the constants of all."""

    def __init__(self, constants: dict[str, onnx.TensorProto]) -> None:
        self.constants = constants
        self.nodes: list[onnx.NodeProto] = []

    def constant(self, name: str, value: np.ndarray | np.generic) -> None:
        self.constants[name] = numpy_helper.from_array(np.asarray(value), name)

    def round(self, float_: str, value: str) -> None:
        self._node("QuantizeLinear", float_, value, f"{value}.int8")

    def widen(self, value: str, output: str, axis: int | None = None) -> None:
        self._node("DequantizeLinear", f"{value}.int8", value, output, axis)

    def _node(
        self, kind: str, given: str, value: str, output: str, axis: int | None = None
    ) -> None:
        inputs = [given, f"{value}.scale", f"{value}.zero"]
        axes = {} if axis is None else {"axis": axis}
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{output}.{kind}", **axes))

    def convolution(self, node: onnx.NodeProto, layer: Layer, source_scale: float) -> None:
        """What a convolution reads, as 8 bits widened before it."""
        _, kernel, *bias = node.input
        weights = numpy_helper.to_array(self.constants[kernel]).astype(np.float64)
        biases = [numpy_helper.to_array(self.constants[b]).astype(np.float64) for b in bias]
        extent = np.abs(weights).max(axis=(1, 2, 3))
        scales = np.where(extent > 0, extent, 1) / WEIGHT_LEVELS
        for values in biases:  # a channel of tiny weights takes the scale of its bias
            scales = np.maximum(scales, np.abs(values) / BIAS_LEVELS / source_scale)
        scales = scales.astype(np.float32)
        self._learnt(f"{layer.name}.weight", weights, scales, np.int8)
        for values in biases:
            self._learnt(f"{layer.name}.bias", values, np.float32(source_scale) * scales, np.int32)
        node.input[0] = f"{layer.name}.source"
        self.widen(layer.source, node.input[0])
        for place, part in enumerate(("weight", "bias")[: len(node.input) - 1], start=1):
            node.input[place] = f"{layer.name}.{part}"
            self.widen(node.input[place], node.input[place], axis=0)

    def _learnt(
        self, name: str, values: np.ndarray, scales: np.ndarray, kind: type[np.signedinteger]
    ) -> None:
        """Values (out, ...) as whole numbers of so many bits, with a scale for each output."""
        whole = np.rint(values / scales.reshape(-1, *[1] * (values.ndim - 1)))
        self.constant(f"{name}.int8", whole.astype(kind))
        self.constant(f"{name}.scale", scales)
        self.constant(f"{name}.zero", np.zeros(len(scales), kind))


def _scale(least: float, greatest: float) -> tuple[float, int]:
    """Scale and zero point of uint8 for a range, widened to hold 0: what is padded is exact."""
    least, greatest = min(least, 0.0), max(greatest, 0.0)
    scale = float(np.float32((greatest - least) / LEVELS)) or 1.0
    return scale, round(-least / scale)
