"""An exported ONNX graph as OpenVINO's intermediate representation: an .xml with a .bin beside it.

The file says of itself what the ONNX file does, as JSON in the entry `encompass` of its `rt_info`.
Resizing inside it is without antialiasing, which OpenVINO has in a form that takes as long as the
network: a picture larger than the input must be reduced before (`run.predictor` does).
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import onnx

from encompass.errors import UsageError
from encompass.export.rewrite import without_conditions
from encompass.export.two_taps import resized_by_taps
from encompass.files import replacing
from encompass.schema import OPENVINO_CRC, OPENVINO_ENTRY

if TYPE_CHECKING:
    import openvino


def to_openvino(graph: onnx.ModelProto) -> openvino.Model:
    """The same computation with the same metadata.

    Raises:
        UsageError: OpenVINO is not installed.
    """
    try:
        import openvino
    except ImportError:
        raise UsageError(
            "OpenVINO, which writes this format, is not installed; "
            "pip install '.[openvino]' in the checkout."
        ) from None
    # In the first call, what OpenVINO 2026.4 computes under a condition is noise.
    free = without_conditions(resized_by_taps(graph))
    # OpenVINO takes an input that has a default for a constant.
    inputs = {value.name for value in free.graph.input}
    kept = [value for value in free.graph.initializer if value.name not in inputs]
    del free.graph.initializer[:]
    free.graph.initializer.extend(kept)
    model = openvino.Core().read_model(free.SerializeToString())
    metadata = {entry.key: entry.value for entry in graph.metadata_props}
    model.set_rt_info(json.dumps(metadata), OPENVINO_ENTRY)
    return model


def save_openvino(model: openvino.Model, path: Path, *, half: bool) -> None:
    """Write PATH (.xml) and its .bin, each whole or not at all.

    Args:
        model: of `to_openvino`.
        path: of the .xml.
        half: weights are kept in half precision, and widened when they are loaded.
    """
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, path.name)
        openvino.save_model(model, made, compress_to_fp16=half)
        # The weights do not depend on what the file says of itself, so that it may say of them.
        model.set_rt_info(str(crc32(made.with_suffix(".bin").read_bytes())), OPENVINO_CRC)
        openvino.save_model(model, made, compress_to_fp16=half)
        # The weights first: without them the .xml opens nothing.
        for suffix in (".bin", ".xml"):
            with replacing(path.with_suffix(suffix)) as file:
                file.write(made.with_suffix(suffix).read_bytes())
