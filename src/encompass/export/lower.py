"""Torch layers to ONNX nodes: batch norm folded, SAME padding as the convolution's pads.

The pads depend on a map's size. Of maps of all sizes they are the same when each stride divides the
size, so one such size may stand for all (`semantic_onnx`).
"""

# torch types the members of containers as Module, whatever they are.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false, reportOperatorIssue=false
# pyright: reportReturnType=false

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn

from encompass.export.graph import GraphWriter
from encompass.models.branches import Branch
from encompass.models.decoders import FcnDecoder, RefineDecoder, RefineStep
from encompass.models.layers import (
    ConvNorm,
    ConvNormAct,
    SameConv2d,
    SameMaxPool2d,
    same_padding,
)
from encompass.models.mask_head import MaskHead
from encompass.models.mobilenet import MobileNetV1
from encompass.models.squeezenet import Fire, SqueezeNet

INPUT_SCALE = 1 / 127.5  # the first layer takes it in; its zero padding stays zero

Size = tuple[int, int]  # (height, width) of a map


def fold(unit: ConvNormAct | ConvNorm) -> tuple[Tensor, Tensor]:
    """Kernel and bias of one convolution that computes convolution and batch norm, in float64."""
    conv, norm = unit[0], unit[1]
    gain = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    kernel = conv.weight.double() * gain[:, None, None, None]
    return kernel, norm.bias.double() - norm.running_mean.double() * gain


def _convolve(
    g: GraphWriter, x: str, conv: SameConv2d, kernel: Tensor, bias: Tensor | None, size: Size
) -> tuple[str, Size]:
    stride, k, rate = conv.stride[0], conv.kernel_size[0], conv.dilation[0]
    top, bottom = same_padding(size[0], conv.extent, stride)
    left, right = same_padding(size[1], conv.extent, stride)
    weights = [g.constant(t.detach().float().numpy()) for t in (kernel, bias) if t is not None]
    y = g.op(
        "Conv",
        x,
        *weights,
        kernel_shape=[k, k],
        strides=[stride, stride],
        dilations=[rate, rate],
        pads=[top, left, bottom, right],
        group=conv.groups,
    )
    return y, (-(-size[0] // stride), -(-size[1] // stride))


def lower_unit(
    g: GraphWriter, x: str, unit: ConvNormAct, size: Size, *, input_scale: float = 1.0
) -> tuple[str, Size]:
    """Convolution, batch norm and ReLU6 as Conv and Clip; `input_scale` multiplies its input."""
    kernel, bias = fold(unit)
    y, size = _convolve(g, x, unit[0], kernel * input_scale, bias, size)
    return g.op("Clip", y, g.constant(0.0), g.constant(6.0)), size


def lower_norm(g: GraphWriter, x: str, unit: ConvNorm, size: Size) -> str:
    """Convolution of stride 1 and batch norm as Conv."""
    return _convolve(g, x, unit[0], *fold(unit), size)[0]


def lower_conv(g: GraphWriter, x: str, conv: SameConv2d, size: Size) -> str:
    """A plain convolution of stride 1."""
    return _convolve(g, x, conv, conv.weight, conv.bias, size)[0]


def lower_mobilenet(
    g: GraphWriter, x: str, trunk: MobileNetV1, size: Size
) -> dict[int, tuple[str, Size]]:
    """The outputs of all blocks by number, from a picture less 127.5."""
    x, size = lower_unit(g, x, trunk.stem, size, input_scale=INPUT_SCALE)
    maps = {}
    for number, block in enumerate(trunk.blocks, start=1):
        for unit in block:
            x, size = lower_unit(g, x, unit, size)
        maps[number] = x, size
    return maps


def lower_squeezenet(
    g: GraphWriter, x: str, trunk: SqueezeNet, size: Size
) -> dict[int, tuple[str, Size]]:
    """The outputs of all layers by number, from a picture less 127.5."""
    stem = trunk.stem
    x, size = _convolve(g, x, stem, stem.weight * INPUT_SCALE, stem.bias, size)
    x = g.op("Relu", x)
    maps = {}
    for number, layer in enumerate(trunk.layers, start=1):
        if isinstance(layer, Fire):
            x = _lower_fire(g, x, layer, size)
        else:
            x, size = _lower_pool(g, x, layer, size)
        maps[number] = x, size
    return maps


def _lower_fire(g: GraphWriter, x: str, fire: Fire, size: Size) -> str:
    """Each ReLU stands at its convolution, with which a runtime computes it in one."""
    x = g.op("Relu", lower_conv(g, x, fire.squeeze, size))
    expanded = [g.op("Relu", lower_conv(g, x, c, size)) for c in (fire.expand1, fire.expand3)]
    return g.op("Concat", *expanded, axis=1)


def _lower_pool(g: GraphWriter, x: str, pool: SameMaxPool2d, size: Size) -> tuple[str, Size]:
    """Pads are absent values here and zeros there: the same, as no value is negative."""
    top, bottom = same_padding(size[0], pool.extent, pool.stride)
    left, right = same_padding(size[1], pool.extent, pool.stride)
    y = g.op(
        "MaxPool",
        x,
        kernel_shape=[pool.kernel_size] * 2,
        strides=[pool.stride] * 2,
        dilations=[pool.rate] * 2,
        pads=[top, left, bottom, right],
    )
    return y, (-(-size[0] // pool.stride), -(-size[1] // pool.stride))


def lower_rows(g: GraphWriter, x: str, conv: SameConv2d, rows: Tensor) -> str:
    """A 1x1 convolution of which only some output channels are wanted."""
    assert conv.bias is not None
    return _convolve(g, x, conv, conv.weight[rows], conv.bias[rows], (1, 1))[0]


def lower_head(g: GraphWriter, crops: list[str], head: Branch | MaskHead, shape: Size) -> str:
    """What follows the crops and the 1x1 layers on finer maps: `head_1x1s` says which.

    Gives logits (N, classes, k * h, k * w).

    Args:
        g: the graph.
        crops: of each map, coarse to fine, where the head has a 1x1 for it after that.
        head: its weights.
        shape: (h, w).
    """
    if isinstance(head, MaskHead):
        return _lower_mask_head(g, crops, head, shape)
    x, *skips = crops
    x = lower_conv(g, x, head.depthwise, shape)
    x = g.op("Relu", lower_conv(g, x, head.pointwise, shape))
    for depthwise, pointwise, _ in head.deeper:
        x = g.op("Relu", lower_conv(g, lower_conv(g, x, depthwise, shape), pointwise, shape))
    for step, skip in zip(head.steps, skips, strict=True):
        x = g.op("Relu", g.op("Add", lower_transposed(g, x, step.up), skip))
    return lower_conv(g, x, head.score, (1, 1))


def head_1x1s(head: Branch | MaskHead) -> list[SameConv2d | None]:
    """The 1x1 that a head begins with on each map, coarse to fine; None where it has none.

    It may change places with a bilinear crop, whichever order is cheaper.
    """
    if isinstance(head, MaskHead):
        return list(head.laterals)
    return [None, *(step.skip for step in head.steps)]


def _lower_mask_head(g: GraphWriter, levels: list[str], head: MaskHead, shape: Size) -> str:
    x = g.op("Sum", *levels)
    for convolution in head.convolutions:
        x = g.op("Relu", lower_conv(g, x, convolution, shape))
    return lower_conv(g, g.op("Relu", lower_transposed(g, x, head.up)), head.score, (1, 1))


def lower_decoder(
    g: GraphWriter, maps: Sequence[tuple[str, Size]], decoder: FcnDecoder | RefineDecoder
) -> str:
    """Logits (1, classes, h, w) of the finest map, from maps with their sizes, coarse to fine."""
    (last, size), *skips = maps
    if isinstance(decoder, FcnDecoder):
        x = lower_conv(g, last, decoder.score, size)
        for step, (finer, size) in zip(decoder.steps, skips, strict=True):
            skip = lower_conv(g, finer, step.skip, size)
            x = g.op("Add", lower_transposed(g, x, step.up), skip)
        return x
    context = decoder.context
    mean = g.op("ReduceMean", last, g.constant([2, 3], np.int64), keepdims=1)
    gate = g.op("Sigmoid", lower_conv(g, mean, context.gate, (1, 1)))
    x = g.op("Mul", lower_unit(g, last, context.project, size)[0], gate)
    for step, (finer, size) in zip(decoder.steps, skips, strict=True):
        x, _ = lower_refine(g, x, finer, size, step)
    return lower_conv(g, x, decoder.score, (1, 1))


def lower_refine(
    g: GraphWriter, x: str, finer: str, size: Size, step: RefineStep
) -> tuple[str, Size]:
    """One step of refinement: `x` to the finer map, whose size is given, and that size."""
    up = g.op("Resize", x, "", g.constant([1, 1, 2, 2]), mode="linear")
    x = g.op("Add", up, lower_norm(g, finer, step.lateral, size))
    x = lower_unit(g, x, step.depthwise, size)[0]
    return lower_unit(g, x, step.pointwise, size)


def lower_transposed(g: GraphWriter, x: str, conv: nn.ConvTranspose2d) -> str:
    """A transposed convolution, with a bias or without."""
    weights = [conv.weight] if conv.bias is None else [conv.weight, conv.bias]
    return g.op(
        "ConvTranspose",
        x,
        *(g.constant(weight.detach().numpy()) for weight in weights),
        kernel_shape=list(conv.kernel_size),
        strides=list(conv.stride),
        pads=[*conv.padding, *conv.padding],
    )
