"""Torch layers to LiteRT nodes: `lower`, with channels last and padding by its name, SAME.

A ReLU is an attribute of the node before it.
"""

# torch types the members of containers as Module, whatever they are.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false, reportOperatorIssue=false
# pyright: reportReturnType=false

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert.schema_py_generated import ActivationFunctionType, Padding
from torch import Tensor, nn

from encompass.export.lower import INPUT_SCALE, fold
from encompass.export.tflite_graph import TfliteWriter, Value
from encompass.models.branches import Branch
from encompass.models.decoders import FcnDecoder, RefineDecoder, RefineStep
from encompass.models.layers import ConvNorm, ConvNormAct, SameConv2d, SameMaxPool2d
from encompass.models.mask_head import MaskHead
from encompass.models.mobilenet import MobileNetV1
from encompass.models.squeezenet import Fire, SqueezeNet

NONE, RELU, RELU6 = (
    ActivationFunctionType.NONE,
    ActivationFunctionType.RELU,
    ActivationFunctionType.RELU6,
)


def _convolve(
    g: TfliteWriter,
    x: Value,
    conv: SameConv2d,
    kernel: Tensor,
    bias: Tensor | None,
    activation: int = NONE,
) -> Value:
    weights = kernel.detach().float().permute(0, 2, 3, 1).numpy()  # out, h, w, in
    kind, options = "CONV_2D", {}
    if conv.groups > 1:
        weights = weights.transpose(3, 1, 2, 0)
        kind, options = "DEPTHWISE_CONV_2D", {"depthMultiplier": 1}
    channels = kernel.shape[0]
    zero = np.zeros(channels, np.float32)
    stride, rate = conv.stride[0], conv.dilation[0]
    batch, height, width, _ = x.shape
    return g.op(
        kind,
        x,
        g.weight(weights),
        g.weight(zero if bias is None else bias.detach().float().numpy()),
        shape=(batch, -(-height // stride), -(-width // stride), channels),
        padding=Padding.SAME,
        strideH=stride,
        strideW=stride,
        dilationHFactor=rate,
        dilationWFactor=rate,
        fusedActivationFunction=activation,
        **options,
    )


def lower_unit(g: TfliteWriter, x: Value, unit: ConvNormAct, *, input_scale: float = 1.0) -> Value:
    """Convolution, batch norm and ReLU6 in one; `input_scale` multiplies its input."""
    kernel, bias = fold(unit)
    return _convolve(g, x, unit[0], kernel * input_scale, bias, RELU6)


def lower_norm(g: TfliteWriter, x: Value, unit: ConvNorm) -> Value:
    """Convolution and batch norm in one."""
    return _convolve(g, x, unit[0], *fold(unit))


def lower_conv(g: TfliteWriter, x: Value, conv: SameConv2d, activation: int = NONE) -> Value:
    """A plain convolution."""
    return _convolve(g, x, conv, conv.weight, conv.bias, activation)


def lower_rows(g: TfliteWriter, x: Value, conv: SameConv2d, rows: np.ndarray) -> Value:
    """A 1x1 convolution of which only some output channels are wanted."""
    assert conv.bias is not None
    return _convolve(g, x, conv, conv.weight[rows], conv.bias[rows])


def lower_transposed(
    g: TfliteWriter, x: Value, conv: nn.ConvTranspose2d, activation: int = NONE
) -> Value:
    """A transposed convolution that doubles a map, with a bias or without."""
    assert conv.stride == (2, 2)
    batch, height, width, _ = x.shape
    shape = (batch, 2 * height, 2 * width, conv.out_channels)
    bias = [] if conv.bias is None else [g.weight(conv.bias.detach().numpy())]
    return g.op(
        "TRANSPOSE_CONV",
        g.constant(shape, np.int32),
        g.weight(conv.weight.detach().permute(1, 2, 3, 0).numpy()),
        x,
        *bias,
        shape=shape,
        dtype=np.float32,
        padding=Padding.SAME,
        strideH=2,
        strideW=2,
        fusedActivationFunction=activation,
    )


def _add(g: TfliteWriter, a: Value, b: Value, activation: int = NONE) -> Value:
    return g.op("ADD", a, b, fusedActivationFunction=activation)


def lower_mobilenet(g: TfliteWriter, x: Value, trunk: MobileNetV1) -> dict[int, Value]:
    """The outputs of all blocks by number, from a picture less 127.5."""
    x = lower_unit(g, x, trunk.stem, input_scale=INPUT_SCALE)
    maps = {}
    for number, block in enumerate(trunk.blocks, start=1):
        for unit in block:
            x = lower_unit(g, x, unit)
        maps[number] = x
    return maps


def lower_squeezenet(g: TfliteWriter, x: Value, trunk: SqueezeNet) -> dict[int, Value]:
    """The outputs of all layers by number, from a picture less 127.5."""
    stem = trunk.stem
    x = _convolve(g, x, stem, stem.weight * INPUT_SCALE, stem.bias, RELU)
    maps = {}
    for number, layer in enumerate(trunk.layers, start=1):
        x = _lower_fire(g, x, layer) if isinstance(layer, Fire) else _lower_pool(g, x, layer)
        maps[number] = x
    return maps


def _lower_fire(g: TfliteWriter, x: Value, fire: Fire) -> Value:
    x = lower_conv(g, x, fire.squeeze, RELU)
    expanded = [lower_conv(g, x, conv, RELU) for conv in (fire.expand1, fire.expand3)]
    channels = sum(value.shape[3] for value in expanded)
    return g.op("CONCATENATION", *expanded, shape=(*x.shape[:3], channels), axis=3)


def _lower_pool(g: TfliteWriter, x: Value, pool: SameMaxPool2d) -> Value:
    """An atrous pool is a plain one of the map dealt out to rate x rate smaller maps."""
    batch, height, width, channels = x.shape
    if pool.rate == 1:
        size = (-(-height // pool.stride), -(-width // pool.stride))
        return _max_pool(g, x, pool, (batch, *size, channels), Padding.SAME)
    assert pool.stride == 1
    rate, around = pool.rate, pool.rate * (pool.kernel_size - 1) // 2
    pads = [(around, around + -side % rate) for side in (height, width)]
    dealt = [(sum(pad) + side) // rate for pad, side in zip(pads, (height, width), strict=True)]
    block = g.constant([rate, rate], np.int32)
    shape = (batch * rate**2, *dealt, channels)
    x = g.op("SPACE_TO_BATCH_ND", x, block, g.constant(pads, np.int32), shape=shape)
    pooled = tuple(side - pool.kernel_size + 1 for side in dealt)
    x = _max_pool(g, x, pool, (shape[0], *pooled, channels), Padding.VALID)
    crops = g.constant([(0, -height % rate), (0, -width % rate)], np.int32)
    return g.op("BATCH_TO_SPACE_ND", x, block, crops, shape=(batch, height, width, channels))


def _max_pool(
    g: TfliteWriter, x: Value, pool: SameMaxPool2d, shape: tuple[int, ...], padding: int
) -> Value:
    return g.op(
        "MAX_POOL_2D",
        x,
        shape=shape,
        padding=padding,
        strideH=pool.stride,
        strideW=pool.stride,
        filterHeight=pool.kernel_size,
        filterWidth=pool.kernel_size,
    )


def lower_head(g: TfliteWriter, crops: Sequence[Value], head: Branch | MaskHead) -> Value:
    """What follows the crops and the 1x1 layers on finer maps: `lower.head_1x1s` says which.

    Args:
        g: the graph.
        crops: (N, h, w, C) of each map, coarse to fine, where the head has a 1x1 for it after that.
        head: its weights.

    Returns:
        Logits (N, k * h, k * w, classes).
    """
    x, *skips = crops
    if isinstance(head, MaskHead):
        for level in skips:
            x = _add(g, x, level)
        for convolution in head.convolutions:
            x = lower_conv(g, x, convolution, RELU)
        return lower_conv(g, lower_transposed(g, x, head.up, RELU), head.score)
    x = lower_conv(g, lower_conv(g, x, head.depthwise), head.pointwise, RELU)
    for depthwise, pointwise, _ in head.deeper:
        x = lower_conv(g, lower_conv(g, x, depthwise), pointwise, RELU)
    for step, skip in zip(head.steps, skips, strict=True):
        x = _add(g, lower_transposed(g, x, step.up), skip, RELU)
    return lower_conv(g, x, head.score)


def lower_decoder(
    g: TfliteWriter, maps: Sequence[Value], decoder: FcnDecoder | RefineDecoder
) -> Value:
    """Logits (1, h, w, classes) of the finest map, from maps coarse to fine."""
    last, *skips = maps
    if isinstance(decoder, FcnDecoder):
        x = lower_conv(g, last, decoder.score)
        for step, finer in zip(decoder.steps, skips, strict=True):
            x = _add(g, lower_transposed(g, x, step.up), lower_conv(g, finer, step.skip))
        return x
    context = decoder.context
    shape = (1, 1, 1, last.shape[3])
    mean = g.op("MEAN", last, g.constant([1, 2], np.int32), shape=shape, keepDims=True)
    gate = g.op("LOGISTIC", lower_conv(g, mean, context.gate))
    x = g.op("MUL", lower_unit(g, last, context.project), gate)
    for step, finer in zip(decoder.steps, skips, strict=True):
        x = lower_refine(g, x, finer, step)
    return lower_conv(g, x, decoder.score)


def lower_refine(g: TfliteWriter, x: Value, finer: Value, step: RefineStep) -> Value:
    """One step of refinement: `x` to the cells of the finer map."""
    size = finer.shape[1:3]
    up = g.constant(size, np.int32)
    shape = (1, *size, x.shape[3])
    x = g.op("RESIZE_BILINEAR", x, up, shape=shape, halfPixelCenters=True)
    x = _add(g, x, lower_norm(g, finer, step.lateral))
    return lower_unit(g, lower_unit(g, x, step.depthwise), step.pointwise)
