"""One LiteRT file (.tflite) with everything inside, all sizes fixed when it is made.

Input:  picture (H, W, 3) uint8 RGB of the file's size; score_threshold () float32, of an instance
        model.
Output: of an instance model those of `onnx`, each with as many rows as the row of the zoo allows
        objects; the first `count` () int32 hold some, the rest anything. Of a semantic model those
        of `semantic_onnx`.

An instance file takes pictures of its network's size, which the caller resizes: inside, the other
files' antialiased filter would be two matrix products, from 640x480 to 320x320 most of the detector
again. What is resized before is rounded to whole numbers, which moves scores by some thousandths.
"""

from __future__ import annotations

import numpy as np

from encompass.errors import UsageError
from encompass.export.litert_instance import write_instance
from encompass.export.tflite_graph import TfliteWriter, Value
from encompass.export.tflite_lower import lower_decoder, lower_mobilenet, lower_squeezenet
from encompass.models.instance import SsdIsb
from encompass.models.semantic import SemanticNetwork
from encompass.models.squeezenet import SqueezeNet
from encompass.schema import ModelCard

Size = tuple[int, int]  # (height, width)


def build_litert(
    network: SsdIsb | SemanticNetwork,
    card: ModelCard,
    *,
    size: Size | None = None,
    half: bool,
) -> bytes:
    """The file of a network in evaluation mode.

    Args:
        network: of a row, instance or semantic.
        card: its card, which travels in the file.
        size: (height, width) of the pictures; needed for a semantic network, and for an instance
            network none but its own.
        half: weights lie in the file in half precision; computing is in float32.

    Raises:
        UsageError: a size is missing, or is not the network's.
    """
    g = TfliteWriter(half=half)
    if isinstance(network, SemanticNetwork):
        if size is None:
            raise UsageError("A LiteRT file is of one size: give that of its pictures.")
        outputs = _semantic(g, network, size)
    else:
        own = (network.spec.input_size, network.spec.input_size)
        if size not in (None, own):
            raise UsageError(
                f"size={size[0]}x{size[1]}: this network's pictures are {own[0]}x{own[1]}; leave "
                "the size out, others are resized to it before."
            )
        outputs = write_instance(g, network, picture(g, own))
    return g.model(outputs, metadata=card.to_metadata())


def picture(g: TfliteWriter, size: Size) -> Value:
    """The input as (1, H, W, 3) float32, less 127.5."""
    x = g.cast(g.input((*size, 3), np.uint8, name="picture"), np.float32)
    return g.op("SUB", g.reshape(x, (1, *size, 3)), g.constant(127.5))


def _semantic(g: TfliteWriter, network: SemanticNetwork, size: Size) -> dict[str, Value]:
    """Logits (classes, h, w) and their stride; grey fills the picture up to whole strides."""
    below, right = (-side % network.spec.output_stride for side in size)
    x = picture(g, size)
    if below or right:
        pads = g.constant([[0, 0], [0, below], [0, right], [0, 0]], np.int32)
        x = g.op("PAD", x, pads, shape=(1, size[0] + below, size[1] + right, 3))
    lowered = lower_squeezenet if isinstance(network.encoder, SqueezeNet) else lower_mobilenet
    maps = lowered(g, x, network.encoder)  # type: ignore[arg-type]
    logits = lower_decoder(g, [maps[layer] for layer in network.spec.maps], network.decoder)
    _, height, width, classes = logits.shape
    order = g.constant([0, 3, 1, 2], np.int32)
    logits = g.op("TRANSPOSE", logits, order, shape=(1, classes, height, width))
    return {
        "logits": g.reshape(logits, (classes, height, width)),
        "stride": g.constant(network.stride, np.int64),
    }
