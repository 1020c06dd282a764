"""OpenVINO's intermediate representation, an .xml with its .bin beside it, on the CPU."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from encompass.errors import ModelError
from encompass.run.engine import not_installed, not_opened, read_shape
from encompass.schema import OPENVINO_CRC, OPENVINO_ENTRY


class OpenVinoEngine:
    """A compiled model; each thread that calls it has a request of its own."""

    runtime = "openvino"
    antialiases = False

    def __init__(self, path: Path, *, threads: int) -> None:
        """Raises ModelError when OpenVINO is not installed or cannot open the file."""
        try:
            import openvino
        except ImportError:
            raise not_installed(path, "OpenVINO", "openvino") from None
        if not path.with_suffix(".bin").is_file():
            raise ModelError(
                f"{path}: its weights, {path.with_suffix('.bin').name}, are not beside it; "
                "keep the two files together."
            )
        core = openvino.Core()
        try:
            model = core.read_model(path)
            known = model.has_rt_info(OPENVINO_ENTRY)
            self.metadata: Mapping[str, str] = (
                json.loads(model.get_rt_info(OPENVINO_ENTRY).value) if known else {}
            )
            if known and model.has_rt_info(OPENVINO_CRC):
                _check(path, model.get_rt_info(OPENVINO_CRC).value)
            self._compiled = core.compile_model(
                model,
                "CPU",
                {
                    # Left to itself OpenVINO computes in bfloat16 where the processor can.
                    "INFERENCE_PRECISION_HINT": computed_in(
                        json.loads(self.metadata.get("precision", "null"))
                    ),
                    "INFERENCE_NUM_THREADS": threads,
                    "PERFORMANCE_HINT": "LATENCY",
                },
            )
        except ModelError:
            raise
        except Exception as error:  # the runtime's exceptions share no base class
            raise not_opened(path, "a model that OpenVINO", error) from error
        self.inputs: Mapping[str, str] = _types(self._compiled.inputs)
        self.outputs: Mapping[str, str] = _types(self._compiled.outputs)
        shapes = {v.any_name: v.partial_shape for v in self._compiled.inputs}
        sides = [
            side.get_length() if side.is_static else None for side in shapes.get("picture", ())
        ]
        self.batch, self.picture_size = read_shape(sides)
        self._local = threading.local()

    def run(self, outputs: Sequence[str], feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs named, in their order."""
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        found = self._local.request.infer(dict(feed), share_inputs=True)
        return [found[name] for name in outputs]


def _check(path: Path, crc: str) -> None:
    """Raises ModelError when the weights are not those that the file was written with."""
    weights = path.with_suffix(".bin")
    if str(crc32(weights.read_bytes())) != crc:
        raise ModelError(
            f"{path}: {weights.name} beside it is damaged or of another file; make both again with "
            "`encompass export`."
        )


def computed_in(precision: str | None) -> str:
    """What OpenVINO is to compute a file of a precision in, or what of it is not in 8 bits."""
    return "bf16" if precision in ("bf16", "int8") else "f32"


def _types(values: Sequence[Any]) -> dict[str, str]:
    """By each name: an output also has the names of what was folded into it."""
    return {name: value.element_type.to_dtype().name for value in values for name in value.names}
