"""Layers as TensorFlow computes them, so that its weights and its cell centres carry over.

"SAME" padding of a strided convolution depends on the input's size: on an even size a 3x3 stride-2
kernel pads only right and bottom. Symmetric padding would shift every feature map by part of a
cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BATCH_NORM_EPSILON = 0.001  # TensorFlow Object Detection API, ssd_mobilenet_v1
BATCH_NORM_MOMENTUM = 1 - 0.9997


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros (before, after) one axis for an output of ceil(size / stride) cells."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def dilate(strides: Sequence[int], *, start: int, output_stride: int) -> list[tuple[int, int]]:
    """(stride, atrous rate) of a sequence of layers that keeps to an output stride.

    Where the stride is reached, further strides become 1 and the layers that follow are dilated by
    them instead: with the same weights they see the same pixels (Chen et al. 2018; thesis 2.5.2).

    Args:
        strides: of the layers in the network as it is.
        start: the stride at which the first of them reads.
        output_stride: the greatest that is allowed.
    """
    layers, rate = [], 1
    for stride in strides:
        if start * stride > output_stride:
            layers.append((1, rate))
            rate *= stride
        else:
            layers.append((stride, rate))
            start *= stride
    return layers


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
        rate: int = 1,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            groups=groups,
            bias=bias,
            dilation=rate,
        )

    @property
    def extent(self) -> int:
        """Cells that the kernel spans each way, holes of the atrous rate included."""
        return (self.kernel_size[0] - 1) * self.dilation[0] + 1

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride))."""
        if self.kernel_size == (1, 1):
            return super().forward(input)
        top, bottom = same_padding(input.shape[-2], self.extent, self.stride[0])
        left, right = same_padding(input.shape[-1], self.extent, self.stride[0])
        pad = (top, left)
        if pad != (bottom, right):
            input, pad = F.pad(input, (left, right, top, bottom)), (0, 0)
        if self.groups > 1 and self.dilation[0] > 1 and torch.is_autocast_enabled("cpu"):
            # oneDNN's gradient of these takes three times as long in bfloat16 as in float32.
            with torch.autocast("cpu", enabled=False):
                return self._convolve(input.float(), pad)
        return self._convolve(input, pad)

    def _convolve(self, input: Tensor, padding: tuple[int, int]) -> Tensor:
        return F.conv2d(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )


class SameMaxPool2d(nn.Module):
    """Maximum with TensorFlow's SAME padding, of maps that come from a ReLU.

    There the zeros around the map are no greater than any of its values, as if they were absent.
    """

    def __init__(self, kernel_size: int, *, stride: int, rate: int = 1) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride
        self.rate = rate

    @property
    def extent(self) -> int:
        """Cells that the kernel spans each way, holes of the atrous rate included."""
        return (self.kernel_size - 1) * self.rate + 1

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) of no negative values to (B, C, ceil(H / stride), ceil(W / stride))."""
        top, bottom = same_padding(x.shape[-2], self.extent, self.stride)
        left, right = same_padding(x.shape[-1], self.extent, self.stride)
        padded = F.pad(x, (left, right, top, bottom))
        return F.max_pool2d(padded, self.kernel_size, self.stride, dilation=self.rate)


class ConvNorm(nn.Sequential):
    """Convolution without bias, batch norm."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(
            SameConv2d(in_channels, out_channels, kernel_size, bias=False),
            nn.BatchNorm2d(out_channels, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM),
        )


class ConvNormAct(nn.Sequential):
    """Convolution without bias, batch norm, ReLU6: the unit of MobileNet-v1 and of SSD's extras."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
        rate: int = 1,
    ) -> None:
        super().__init__(
            SameConv2d(
                in_channels,
                out_channels,
                kernel_size,
                stride=stride,
                groups=groups,
                bias=False,
                rate=rate,
            ),
            nn.BatchNorm2d(out_channels, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM),
            nn.ReLU6(inplace=True),
        )


def tensorflow_parameters(module: nn.Module) -> int:
    """Parameters as TensorFlow counts them: batch norm has four numbers a channel, not two."""
    tensors = list(module.parameters())
    tensors += [b for name, b in module.named_buffers() if name.endswith(("_mean", "_var"))]
    return sum(t.numel() for t in tensors)


def freeze_batch_norm(module: nn.Module) -> None:
    """Put every batch norm below `module` in evaluation mode: its statistics stay as they are."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()


@torch.no_grad()
def renew_statistics(network: nn.Module, part: nn.Module, inputs: Iterable[Tensor]) -> None:
    """Give each batch norm of a part the statistics of what it reads; it computes what it did.

    Scale and shift take up the difference, so that in evaluation mode the network is the same
    function as before. Folded releases come without statistics (`models/releases.py`): batch norm
    made of them would take its first batch for something else than its running mean.

    Args:
        network: put in evaluation mode.
        part: of it, whose batch norms are renewed.
        inputs: of the network's `forward`, at least one, run one after the other.
    """
    network.eval()
    norms = [norm for norm in part.modules() if isinstance(norm, nn.BatchNorm2d)]
    if not norms:
        return
    totals = {norm: torch.zeros(3, norm.num_features, dtype=torch.float64) for norm in norms}

    def count(norm: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        values = arguments[0].double().transpose(0, 1).flatten(1)  # (channels, all cells)
        cells = torch.full_like(values[:, 0], values.shape[1])
        totals[norm] += torch.stack([cells, values.sum(dim=1), values.square().sum(dim=1)])  # type: ignore[index]

    hooks = [norm.register_forward_pre_hook(count) for norm in norms]
    try:
        for x in inputs:
            network(x)
    finally:
        for hook in hooks:
            hook.remove()
    for norm, (cells, sums, squares) in totals.items():
        mean = sums / cells
        variance = (squares / cells - mean.square()).clamp(min=0)
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        norm.bias.data += scale * (mean - norm.running_mean)
        norm.weight.copy_(scale * (variance + norm.eps).sqrt())
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)


def bilinear_kernel(size: int) -> Tensor:
    """(size, size) weights of a bilinear transposed convolution (Long et al. 2015)."""
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 == 1 else factor - 0.5
    ramp = 1 - (torch.arange(size) - centre).abs() / factor
    return ramp[:, None] * ramp[None, :]
