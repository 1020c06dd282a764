"""A model file opened in a runtime; the suffix tells which.

.onnx: ONNX Runtime; .xml: OpenVINO; .tflite: LiteRT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from encompass.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

SUFFIXES = (".onnx", ".xml", ".tflite")


class Engine(Protocol):
    """What a runtime makes of a file. Calls from several threads at once are allowed."""

    runtime: str  # its package on PyPI
    inputs: Mapping[str, str]  # numpy's name of each input's type, by the input's name
    outputs: Mapping[str, str]
    metadata: Mapping[str, str]  # what the file says of itself
    antialiases: bool  # where it makes a picture smaller; else that must be done before
    batch: int  # pictures in one call
    picture_size: tuple[int, int] | None  # (height, width) of its pictures; None for any

    def run(self, outputs: Sequence[str], feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs named, in their order. Raises whatever the runtime raises."""
        ...


def open_engine(path: Path, *, threads: int) -> Engine:
    """Open a file in the runtime of its suffix, on so many threads.

    Raises:
        ModelError: no runtime has the suffix, the runtime is not installed, or cannot open the
            file.
    """
    if path.suffix == ".safetensors":
        raise ModelError(
            f"{path}: models are not run from checkpoints; make a file of it with `encompass "
            "export`, and give that."
        )
    if path.suffix not in SUFFIXES:
        raise ModelError(f"{path}: no runtime opens this; give one of {', '.join(SUFFIXES)}.")
    # Each where it is needed: a runtime takes longer to import than all the rest.
    if path.suffix == ".xml":
        from encompass.run.engine_openvino import OpenVinoEngine as opened
    elif path.suffix == ".tflite":
        from encompass.run.engine_litert import LiteRtEngine as opened
    else:
        from encompass.run.engine_onnx import OnnxEngine as opened
    return opened(path, threads=threads)


def model_files(path: Path) -> tuple[Path, ...]:
    """All files of a model: OpenVINO keeps the weights beside the one that opens it."""
    return (path, path.with_suffix(".bin")) if path.suffix == ".xml" else (path,)


def read_shape(shape: Sequence[int | str | None]) -> tuple[int, tuple[int, int] | None]:
    """`Engine.batch` and `Engine.picture_size` from the shape of the input `picture`.

    Args:
        shape: (height, width, 3), of a batch with its number in front; what is no int is not fixed.
    """
    *batch, height, width, _ = shape if len(shape) in (3, 4) else (None, None, None)
    number = batch[0] if batch and isinstance(batch[0], int) else 1
    if isinstance(height, int) and isinstance(width, int):
        return number, (height, width)
    return number, None


def not_installed(path: Path, package: str, extra: str) -> ModelError:
    """A runtime that comes as an extra is not here."""
    return ModelError(
        f"{path}: needs {package}, which is not installed; pip install '.[{extra}]' in the "
        "checkout."
    )


def not_opened(path: Path, kind: str, error: Exception) -> ModelError:
    """The runtime refused the file."""
    return ModelError(
        f"{path}: is not {kind} can open ({error}); make it again with `encompass export`."
    )
