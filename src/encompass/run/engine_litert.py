"""LiteRT files (.tflite), on the CPU by XNNPACK.

The interpreter trusts a file and may die of a broken one. So it is given none but those whose end,
a zip with the metadata that a cut or foreign file has not, names the checksum of the rest.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from encompass.run.engine import not_installed, not_opened, read_shape
from encompass.schema import LITERT_ENTRY

COUNT = "count"  # the output that says how many rows of the others are filled


class LiteRtEngine:
    """An interpreter, which one thread uses at a time."""

    runtime = "ai-edge-litert"
    antialiases = True  # nothing is resized in the file

    def __init__(self, path: Path, *, threads: int) -> None:
        """Raises ModelError when LiteRT is not installed or cannot open the file."""
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            raise not_installed(path, "LiteRT", "litert") from None
        self.metadata: Mapping[str, str] = _metadata(path)
        try:
            interpreter = Interpreter(model_path=str(path), num_threads=threads)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise not_opened(path, "a model that LiteRT", error) from error
        given, made = interpreter.get_input_details(), interpreter.get_output_details()
        self.inputs: Mapping[str, str] = _types(given)
        self.outputs: Mapping[str, str] = _types(made)
        shapes = {value["name"]: value["shape"].tolist() for value in given}
        self.batch, self.picture_size = read_shape(shapes.get("picture", ()))
        self._interpreter = interpreter
        self._places = {value["name"]: value["index"] for value in [*given, *made]}
        self._lock = threading.Lock()

    def run(self, outputs: Sequence[str], feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs named, in their order, without the rows that hold no object."""
        with self._lock:
            for name, value in feed.items():
                self._interpreter.set_tensor(self._places[name], value)
            self._interpreter.invoke()
            found = [self._interpreter.get_tensor(self._places[name]) for name in outputs]
            if COUNT not in self._places:
                return found
            count = int(self._interpreter.get_tensor(self._places[COUNT]))
        return [value[:count] for value in found]


def _types(values: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {value["name"]: np.dtype(value["dtype"]).name for value in values}


def _metadata(path: Path) -> dict[str, str]:
    """What the zip at the file's end says. Raises ModelError when it or the rest is not whole."""
    try:
        with ZipFile(path) as archive:
            metadata = json.loads(archive.read(LITERT_ENTRY))
            model = path.read_bytes()[: archive.infolist()[0].header_offset]
        if zlib.crc32(model) != int(metadata.pop("crc32")):
            raise ValueError("its checksum is another")
    except (OSError, ValueError, TypeError, LookupError, AttributeError, BadZipFile) as error:
        raise not_opened(path, "a whole LiteRT file that encompass", error) from error
    return metadata
