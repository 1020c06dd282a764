"""A small writer of LiteRT graphs (.tflite): one method call for a node, shapes told as they go.

The schema's classes come with the interpreter's package. Converters would do less with more:
`litert-torch` brings jax and transformers, `onnx2tf` TensorFlow and numpy 1, and neither pads what
is of data-dependent size.
"""

# The schema's classes have None where nothing is yet, and lists where they take arrays.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from encompass.schema import LITERT_ENTRY

IDENTIFIER = b"TFL3"
ALIGNMENT = 16  # bytes, of a buffer's data in the file

Shape = tuple[int, ...]

# Kinds with attributes, and the schema's name of those.
OPTIONS = {
    "ADD": "Add",
    "AVERAGE_POOL_2D": "Pool2D",
    "CONCATENATION": "Concatenation",
    "CONV_2D": "Conv2D",
    "CUMSUM": "Cumsum",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "GATHER": "Gather",
    "IF": "If",
    "MAX_POOL_2D": "Pool2D",
    "RESIZE_BILINEAR": "ResizeBilinear",
    "SOFTMAX": "Softmax",
    "SPLIT": "Split",
    "SUM": "Reducer",
    "MEAN": "Reducer",
    "TRANSPOSE_CONV": "TransposeConv",
}
# The version of a kind that a runtime must know, where it is not the first.
VERSIONS = {
    "DEPTHWISE_CONV_2D": 2,  # dilation
    "DEQUANTIZE": 3,  # from half precision
    "RESIZE_BILINEAR": 3,  # half-pixel centres
    "TRANSPOSE_CONV": 4,  # bias and activation
}


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor: of a graph's nodes, inputs or constants."""

    index: int
    shape: Shape
    dtype: np.dtype


@dataclass(frozen=True, slots=True)
class Part:
    """A graph of its own within the file, that `TfliteWriter.when` runs."""

    index: int
    inputs: tuple[Value, ...]
    output: Value


class TfliteWriter:
    """Collects nodes and constants of the graph and of its parts."""

    def __init__(self, *, half: bool) -> None:
        """Args:
        half: weights lie in the file in half precision, and are widened when it is loaded.
        """
        self.half = half
        self.buffers = [schema.BufferT()]  # the first is that of all tensors without data
        self.filled: dict[bytes, int] = {}  # those with data
        self.codes: dict[str, int] = {}
        self.graphs = [_graph("main")]
        self.graph = self.graphs[0]

    def _tensor(self, shape: Shape, dtype: Any, *, buffer: int = 0, name: str = "") -> Value:
        dtype = np.dtype(dtype)
        tensor = schema.TensorT()
        tensor.shape = list(shape)
        tensor.type = getattr(schema.TensorType, dtype.name.upper())
        tensor.buffer = buffer
        tensor.name = name or f"{self.graph.name}_{len(self.graph.tensors)}"
        self.graph.tensors.append(tensor)
        return Value(len(self.graph.tensors) - 1, tuple(shape), dtype)

    def input(self, shape: Shape, dtype: Any, *, name: str = "") -> Value:
        """A further input of the graph."""
        value = self._tensor(shape, dtype, name=name)
        self.graph.inputs.append(value.index)
        return value

    def constant(self, value: Any, dtype: Any = np.float32) -> Value:
        """A small constant: axes, scales, anchors."""
        array = np.array(value, dtype=dtype, order="C")
        return self._tensor(array.shape, array.dtype, buffer=self._buffer(array.tobytes()))

    def _buffer(self, data: bytes) -> int:
        """The number of the buffer that has these bytes; tensors that are alike have one."""
        if data not in self.filled:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data, np.uint8)
            self.buffers.append(buffer)
            self.filled[data] = len(self.buffers) - 1
        return self.filled[data]

    def weight(self, value: np.ndarray) -> Value:
        """A learnt tensor, as the file stores them."""
        if not self.half:
            return self.constant(value)
        return self.op("DEQUANTIZE", self.constant(value, np.float16), dtype=np.float32)

    def op(
        self,
        kind: str,
        *inputs: Value,
        shape: Shape | None = None,
        dtype: Any = None,
        **options: Any,
    ) -> Value:
        """Add a node with one output.

        Its shape is what the inputs' broadcast to and its type the first one's, unless given.
        """
        if shape is None:
            shape = np.broadcast_shapes(*(value.shape for value in inputs))
        dtype = inputs[0].dtype if dtype is None else dtype
        return self.ops(kind, *inputs, outputs=[(shape, dtype)], **options)[0]

    def ops(
        self, kind: str, *inputs: Value, outputs: Sequence[tuple[Shape, Any]], **options: Any
    ) -> list[Value]:
        """Add a node with several outputs, of these shapes and types.

        Options are attributes of the schema's record of the kind, with Python's names of them.
        """
        values = [self._tensor(shape, dtype) for shape, dtype in outputs]
        node = schema.OperatorT()
        node.opcodeIndex = self.codes.setdefault(kind, len(self.codes))
        node.inputs = [value.index for value in inputs]
        node.outputs = [value.index for value in values]
        if options:
            record = f"{OPTIONS[kind]}Options"
            node.builtinOptionsType = getattr(schema.BuiltinOptions, record)
            node.builtinOptions = getattr(schema, f"{record}T")()
            for key, value in options.items():
                assert hasattr(node.builtinOptions, key), f"{record} has no {key}"
                setattr(node.builtinOptions, key, value)
        self.graph.operators.append(node)
        return values

    def reshape(self, x: Value, shape: Shape) -> Value:
        """The same numbers in another shape."""
        return self.op("RESHAPE", x, self.constant(shape, np.int32), shape=shape)

    def cast(self, x: Value, dtype: Any) -> Value:
        """The same numbers in another type."""
        return self.op("CAST", x, dtype=dtype)

    def concat(self, parts: Sequence[Value], *, axis: int) -> Value:
        """Values one after the other along an axis."""
        first = parts[0].shape
        length = sum(part.shape[axis] for part in parts)
        shape = (*first[:axis], length, *first[axis + 1 :])
        return self.op("CONCATENATION", *parts, shape=shape, axis=axis)

    def split(self, x: Value, parts: int) -> list[Value]:
        """Equal parts along the last axis."""
        shape = (*x.shape[:-1], x.shape[-1] // parts)
        axis = self.constant(len(shape) - 1, np.int32)
        return self.ops("SPLIT", axis, x, outputs=[(shape, x.dtype)] * parts, numSplits=parts)

    def slice(self, x: Value, start: Shape, size: Shape) -> Value:
        """A block of `size` that begins at `start`."""
        begin, extent = self.constant(start, np.int32), self.constant(size, np.int32)
        return self.op("SLICE", x, begin, extent, shape=size)

    def gather(self, values: Value, places: Value, *, axis: int = 0) -> Value:
        """What lies at these places of an axis."""
        shape = (*values.shape[:axis], *places.shape, *values.shape[axis + 1 :])
        return self.op("GATHER", values, places, shape=shape, axis=axis)

    def total(self, x: Value, axes: Sequence[int]) -> Value:
        """The sum over some axes, which are then no more."""
        shape = tuple(size for axis, size in enumerate(x.shape) if axis not in axes)
        return self.op("SUM", x, self.constant(axes, np.int32), shape=shape, keepDims=False)

    def clamp(self, x: Value, low: float, high: float) -> Value:
        """No less than `low`, no more than `high`."""
        least = self.op("MAXIMUM", x, self.constant(low))
        return self.op("MINIMUM", least, self.constant(high))

    def part(self, name: str, inputs: Sequence[Value], build: Callable[..., Value]) -> Part:
        """What `build` writes of values like these, as a graph of its own."""
        outer, self.graph = self.graph, _graph(name)
        self.graphs.append(self.graph)
        given = tuple(self.input(value.shape, value.dtype) for value in inputs)
        output = build(*given)
        self.graph.outputs.append(output.index)
        index, self.graph = len(self.graphs) - 1, outer
        return Part(index, given, output)

    def when(self, condition: Value, then: Part, otherwise: Part, inputs: Sequence[Value]) -> Value:
        """The output of one of two parts, of which only that one is computed."""
        return self.op(
            "IF",
            condition,
            *inputs,
            shape=then.output.shape,
            dtype=then.output.dtype,
            thenSubgraphIndex=then.index,
            elseSubgraphIndex=otherwise.index,
        )

    def model(self, outputs: Mapping[str, Value], *, metadata: Mapping[str, str]) -> bytes:
        """The finished file.

        The metadata lies at its end as a zip, where TFLite keeps associated files, with a checksum
        of what stands before (`crc32`).
        """
        for name, value in outputs.items():
            self.graph.tensors[value.index].name = name
            self.graph.outputs.append(value.index)
        model = schema.ModelT()
        model.version = 3
        model.description = "encompass"
        model.subgraphs = self.graphs
        model.buffers = self.buffers
        model.operatorCodes = [_code(kind) for kind in self.codes]
        builder = _Builder()
        builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
        data = bytes(builder.Output())
        record = dict(metadata) | {"crc32": str(zlib.crc32(data))}
        file = io.BytesIO()
        file.write(data)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(zipfile.ZipInfo(LITERT_ENTRY), json.dumps(record, sort_keys=True))
        return file.getvalue()


class _Builder(flatbuffers.Builder):
    """The schema asks for aligned buffers, which the generated classes forget."""

    def CreateNumpyVector(self, x: np.ndarray) -> int:
        self.Prep(ALIGNMENT, x.nbytes)
        return super().CreateNumpyVector(x)


def _graph(name: str) -> schema.SubGraphT:
    graph = schema.SubGraphT()
    graph.name = name
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [], []
    return graph


def _code(kind: str) -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, kind)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = VERSIONS.get(kind, 1)
    return code
