"""Lightning checkpoints as safetensors: the whole state of a run, and nothing in it can run code.

Tensors go into the safetensors body; the rest of Lightning's nested state goes as JSON into the
header, with a place marked for each tensor.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch.plugins.io import CheckpointIO
from torch import Tensor

from encompass.models.weights import load_checkpoint, save_checkpoint


class SafetensorsIO(CheckpointIO):
    """Saves under a temporary name, then renames: the last good checkpoint always loads."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write Lightning's state."""
        tensors: dict[str, Tensor] = {}
        state = _pack(checkpoint, tensors)
        save_checkpoint(Path(path), tensors, {"state": state})

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read it back."""
        tensors, record = load_checkpoint(Path(path))
        return _unpack(record["state"], tensors)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete one file."""
        Path(path).unlink(missing_ok=True)


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Nested Lightning state to JSON; every tensor moves to `tensors`."""
    if isinstance(value, Tensor):
        name = f"{len(tensors):05d}"
        # A copy each: tied or viewed tensors would share storage, which safetensors refuses.
        tensors[name] = value.detach().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        items = [[key, _pack(item, tensors)] for key, item in value.items()]
        return {"dict": items}  # pairs, because optimizer state has integer keys
    if isinstance(value, (list, tuple)):
        return {"list": [_pack(item, tensors) for item in value]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{type(value).__name__} cannot be kept in a checkpoint")


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _unpack(item, tensors) for key, item in content}
    return [_unpack(item, tensors) for item in content]
