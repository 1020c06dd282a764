"""Torch layers to ONNX nodes: batch norm folded, SAME padding as the convolution's pads."""

# torch types the members of containers as Module, whatever they are.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false, reportOperatorIssue=false

from __future__ import annotations

from torch import Tensor, nn

from encompass.export.graph import GraphWriter
from encompass.models.branches import Branch
from encompass.models.layers import ConvNormAct, SameConv2d, same_padding

Size = tuple[int, int]  # (height, width) of a map


def fold(unit: ConvNormAct) -> tuple[Tensor, Tensor]:
    """Kernel and bias of one convolution that computes convolution and batch norm, in float64."""
    conv, norm = unit[0], unit[1]
    gain = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    kernel = conv.weight.double() * gain[:, None, None, None]
    return kernel, norm.bias.double() - norm.running_mean.double() * gain


def _convolve(
    g: GraphWriter, x: str, conv: nn.Conv2d, kernel: Tensor, bias: Tensor | None, size: Size
) -> tuple[str, Size]:
    stride, k = conv.stride[0], conv.kernel_size[0]
    top, bottom = same_padding(size[0], k, stride)
    left, right = same_padding(size[1], k, stride)
    weights = [g.weight(t.detach().float().numpy()) for t in (kernel, bias) if t is not None]
    y = g.op(
        "Conv",
        x,
        *weights,
        kernel_shape=[k, k],
        strides=[stride, stride],
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


def lower_conv(g: GraphWriter, x: str, conv: SameConv2d, size: Size) -> str:
    """A plain convolution of stride 1."""
    return _convolve(g, x, conv, conv.weight, conv.bias, size)[0]


def lower_rows(g: GraphWriter, x: str, conv: SameConv2d, rows: Tensor) -> str:
    """A 1x1 convolution of which only some output channels are wanted."""
    assert conv.bias is not None
    return _convolve(g, x, conv, conv.weight[rows], conv.bias[rows], (1, 1))[0]


def lower_branch(g: GraphWriter, crop: str, skips: list[str], branch: Branch, shape: Size) -> str:
    """One branch; gives logits (N, classes, k * h, k * w).

    Args:
        g: the graph.
        crop: (N, C, h, w) of the coarse map.
        skips: for each step (N, 32, 2h, 2w), (N, 32, 4h, 4w): finer crops after the step's 1x1.
        branch: its weights.
        shape: (h, w).
    """
    x = lower_conv(g, crop, branch.depthwise, shape)
    x = g.op("Relu", lower_conv(g, x, branch.pointwise, shape))
    for step, skip in zip(branch.steps, skips, strict=True):
        up = step.up
        x = g.op(
            "ConvTranspose",
            x,
            g.weight(up.weight.detach().numpy()),
            g.weight(up.bias.detach().numpy()),
            kernel_shape=list(up.kernel_size),
            strides=list(up.stride),
            pads=[*up.padding, *up.padding],
        )
        x = g.op("Relu", g.op("Add", x, skip))
    return lower_conv(g, x, branch.score, (1, 1))
