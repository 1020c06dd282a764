"""Constant tensors of a TFLite file, dequantised: a reader of the few flatbuffer tables it needs.

The layout is TensorFlow Lite's schema.fbs (Apache-2.0), file identifier TFL3. Field numbers below
are those of the schema; a table's field is found through its vtable.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from encompass.errors import ModelError

# schema.fbs, enum TensorType: the types that constants of such networks have.
TYPES = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 4: np.int64, 9: np.int8}
MODEL_SUBGRAPHS, MODEL_BUFFERS = 2, 4
SUBGRAPH_TENSORS = 0
TENSOR_SHAPE, TENSOR_TYPE, TENSOR_BUFFER, TENSOR_NAME, TENSOR_QUANTIZATION = range(5)
QUANTIZATION_SCALE, QUANTIZATION_ZERO_POINT = 2, 3
BUFFER_DATA = 0


class _Table:
    """A flatbuffer table at a position in the file's bytes."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data = data
        self.position = position
        self.vtable = position - struct.unpack_from("<i", data, position)[0]
        self.vtable_size = struct.unpack_from("<H", data, self.vtable)[0]

    def _field(self, number: int) -> int | None:
        entry = 4 + 2 * number
        if entry >= self.vtable_size:
            return None
        offset = struct.unpack_from("<H", self.data, self.vtable + entry)[0]
        return self.position + offset if offset else None

    def scalar(self, number: int, code: str) -> int:
        at = self._field(number)
        return struct.unpack_from("<" + code, self.data, at)[0] if at else 0

    def table(self, number: int) -> _Table | None:
        at = self._field(number)
        return _Table(self.data, self._follow(at)) if at else None

    def vector(self, number: int, dtype: type) -> np.ndarray:
        at = self._field(number)
        if at is None:
            return np.zeros(0, dtype)
        start = self._follow(at)
        length = struct.unpack_from("<I", self.data, start)[0]
        return np.frombuffer(self.data, dtype, length, start + 4)

    def tables(self, number: int) -> list[_Table]:
        at = self._field(number)
        assert at is not None
        start = self._follow(at)
        length = struct.unpack_from("<I", self.data, start)[0]
        spots = (start + 4 + 4 * i for i in range(length))
        return [_Table(self.data, self._follow(spot)) for spot in spots]

    def _follow(self, at: int) -> int:
        return at + struct.unpack_from("<I", self.data, at)[0]


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Every constant tensor by name: float32 where the file quantised it, else its own type.

    Raises:
        ModelError: the file is missing, cut or not a TFLite model.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}).") from None
    if data[4:8] != b"TFL3":
        raise ModelError(f"{path}: not a TFLite file (no TFL3 mark).")
    try:
        model = _Table(data, struct.unpack_from("<I", data, 0)[0])
        buffers = model.tables(MODEL_BUFFERS)
        graph = model.tables(MODEL_SUBGRAPHS)[0]
        named = (_read_tensor(tensor, buffers) for tensor in graph.tables(SUBGRAPH_TENSORS))
        return {name: value for name, value in named if value is not None}
    except (struct.error, ValueError, IndexError, KeyError, AssertionError) as error:
        raise ModelError(f"{path}: the TFLite file is cut or damaged ({error}).") from None


def _read_tensor(tensor: _Table, buffers: list[_Table]) -> tuple[str, np.ndarray | None]:
    name = tensor.vector(TENSOR_NAME, np.uint8).tobytes().decode()
    raw = buffers[tensor.scalar(TENSOR_BUFFER, "I")].vector(BUFFER_DATA, np.uint8)
    if not raw.size:
        return name, None
    shape = tensor.vector(TENSOR_SHAPE, np.int32)
    value = np.frombuffer(raw.tobytes(), TYPES[tensor.scalar(TENSOR_TYPE, "b")]).reshape(shape)
    quantization = tensor.table(TENSOR_QUANTIZATION)
    scale = quantization.vector(QUANTIZATION_SCALE, np.float32) if quantization else np.zeros(0)
    if scale.size == 0:
        return name, value
    if scale.size > 1:
        raise ValueError(f"tensor {name} is quantised per channel; only per tensor is read")
    zero = quantization.vector(QUANTIZATION_ZERO_POINT, np.int64)  # type: ignore[union-attr]
    zero_point = int(zero[0]) if zero.size else 0
    return name, ((value.astype(np.float64) - zero_point) * float(scale[0])).astype(np.float32)
