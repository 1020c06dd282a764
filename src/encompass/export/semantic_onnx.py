"""A semantic network as one file: from a picture of any size to logits of coarse cells.

Logits of every pixel would be a hundred times the rest of the output, 160 MB at 2048x1024 and 19
classes, so the file ends before them: `geometry.labels` makes the label map of `upsample` and the
largest logit without them.

Input:  picture (H, W, 3) uint8 RGB, any size, or a batch (B, H, W, 3) of them.
Output: logits (classes, h, w) float32 of cells of `stride` pixels, the first at the picture's
        corner, h * stride >= H and w * stride >= W, of a batch (B, classes, h, w); stride () int64,
        the same for all pictures.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from encompass.export.graph import GraphWriter, picture_input
from encompass.export.lower import lower_decoder, lower_mobilenet, lower_squeezenet
from encompass.models.semantic import SemanticNetwork
from encompass.models.squeezenet import SqueezeNet
from encompass.schema import ModelCard


def build_semantic_onnx(
    network: SemanticNetwork, card: ModelCard, *, batch: int = 1
) -> onnx.ModelProto:
    """The graph of a network in evaluation mode, for so many pictures of one size at a time.

    The card has its classes' names and colours.
    """
    assert len(card.names) == len(card.colours) == network.num_classes
    g = GraphWriter()
    x = _padded(g, network.spec.output_stride, batch)
    # The picture is padded to a multiple of all strides: see `lower` for why the least will do.
    least = (network.spec.output_stride, network.spec.output_stride)
    if isinstance(network.encoder, SqueezeNet):
        maps = lower_squeezenet(g, x, network.encoder, least)
    else:
        maps = lower_mobilenet(g, x, network.encoder, least)
    scores = lower_decoder(g, [maps[layer] for layer in network.spec.maps], network.decoder)
    if batch == 1:
        g.op("Squeeze", scores, g.constant([0], np.int64), name="logits")
    else:
        g.op("Identity", scores, name="logits")
    g.op("Identity", g.constant(network.stride, np.int64), name="stride")
    classes = [*([batch] if batch > 1 else []), network.num_classes, "rows", "columns"]
    return g.model(
        [picture_input(batch)],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, classes),
            helper.make_tensor_value_info("stride", TensorProto.INT64, []),
        ],
        metadata=card.to_metadata(),
    )


def _padded(g: GraphWriter, multiple: int, batch: int) -> str:
    """The pictures less 127.5, (B, 3, H', W') float32, zeros (grey) to the right and below."""
    order = [2, 0, 1] if batch == 1 else [0, 3, 1, 2]
    x = g.op("Transpose", "picture", perm=order)  # while a value is one byte
    x = g.op("Cast", x, to=TensorProto.FLOAT)
    if batch == 1:
        x = g.op("Unsqueeze", x, g.constant([0], np.int64))
    x = g.op("Sub", x, g.constant(127.5))
    size = g.op("Shape", "picture", start=-3, end=-1)
    missing = g.op("Mod", g.op("Neg", size), g.constant(multiple, np.int64))
    # Of all axes: where only some are named, ONNX Runtime 1.32 transposes a Pad wrongly (int8).
    pads = g.op("Concat", g.constant([0] * 6, np.int64), missing, axis=0)
    return g.op("Pad", x, pads, g.constant(0.0), mode="constant")
