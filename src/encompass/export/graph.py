"""A small writer of ONNX graphs: one method call for a node, names made up on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 19  # Resize with antialiasing came in 18
IR_VERSION = 9


def picture_input(batch: int) -> onnx.ValueInfoProto:
    """The input `picture`, (H, W, 3) uint8 of any size, or so many of one size."""
    shape = ["height", "width", 3]
    return helper.make_tensor_value_info(
        "picture", TensorProto.UINT8, shape if batch == 1 else [batch, *shape]
    )


class GraphWriter:
    """Collects nodes and constants; values are passed around by name."""

    def __init__(self, prefix: str = "") -> None:
        """`prefix` stands before all names: those of another graph that this one joins differ."""
        self.prefix = prefix
        self.count = 0
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.weights: dict[tuple[tuple[int, ...], bytes], str] = {}

    def _name(self, stem: str) -> str:
        self.count += 1
        return f"{self.prefix}{stem}_{self.count}"

    def op(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        output = name or self._name(kind)
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def ops(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs and return their names."""
        stem = self._name(kind)
        names = [f"{stem}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=stem, **attributes))
        return names

    def when(self, condition: str, then: Callable[[], str], otherwise: np.ndarray) -> str:
        """What `then` writes, computed only where the condition (a bool) holds, else a constant."""
        outer, self.nodes = self.nodes, []
        inner_then = self._branch(then())
        self.nodes = []
        value = numpy_helper.from_array(otherwise)
        inner_else = self._branch(self.op("Constant", value=value))
        self.nodes = outer
        return self.op("If", condition, then_branch=inner_then, else_branch=inner_else)

    def _branch(self, output: str) -> onnx.GraphProto:
        """The nodes collected since the last change of list, as a graph of their own."""
        value = onnx.ValueInfoProto(name=output)
        return helper.make_graph(self.nodes, output, [], [value])

    def constant(self, value: Any, dtype: type = np.float32, *, name: str | None = None) -> str:
        """A tensor that is part of the file: weights, shapes, scales, anchors."""
        name = name or self._name("constant")
        array = np.asarray(value, dtype=dtype)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, value: np.ndarray) -> str:
        """A learnt tensor; one that several nodes share is in the file once."""
        key = (value.shape, value.tobytes())
        if key not in self.weights:
            self.weights[key] = self.constant(value)
        return self.weights[key]

    def model(
        self,
        inputs: list[onnx.ValueInfoProto],
        outputs: list[onnx.ValueInfoProto],
        *,
        metadata: dict[str, str],
    ) -> onnx.ModelProto:
        """The finished model, checked."""
        graph = helper.make_graph(self.nodes, "encompass", inputs, outputs, self.initializers)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="encompass",
        )
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model, full_check=True)
        return model
