"""ONNX files, in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from encompass.run.engine import not_opened, read_shape

# ONNX Runtime's names of types, as numpy's.
TYPES = {
    "tensor(uint8)": "uint8",
    "tensor(int64)": "int64",
    "tensor(float)": "float32",
}


class OnnxEngine:
    """An ONNX file on the CPU."""

    runtime = "onnxruntime"
    antialiases = True

    def __init__(self, path: Path, *, threads: int) -> None:
        """Raises ModelError when ONNX Runtime cannot open the file."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        # Here and not at export: an optimised graph is of one kind of processor, and larger.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3  # errors; warnings are for the maker of the file
        try:
            session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime's exceptions share no base class
            raise not_opened(path, "an ONNX file that ONNX Runtime", error) from error
        self._session = session
        given = [*session.get_inputs(), *session.get_overridable_initializers()]
        self.inputs: Mapping[str, str] = _types(given)
        self.outputs: Mapping[str, str] = _types(session.get_outputs())
        shapes = {value.name: value.shape for value in given}
        self.batch, self.picture_size = read_shape(shapes.get("picture", ()))
        self.metadata: Mapping[str, str] = session.get_modelmeta().custom_metadata_map

    def run(self, outputs: Sequence[str], feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs named, in their order."""
        return self._session.run(list(outputs), feed)  # type: ignore[return-value]


def _types(values: Sequence[onnxruntime.NodeArg]) -> dict[str, str]:
    return {value.name: TYPES.get(value.type, value.type) for value in values}  # type: ignore[misc]
