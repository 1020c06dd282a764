"""SqueezeNet trunks (Iandola et al. 2016; thesis Table 2.4) as TensorFlow pads them.

The thesis prints version 1.0; its parameter counts prove that it used 1.1. Differs from the
releases, which do not pad the first convolution and the pools: here a map has ceil(size / stride)
cells, so that skips fit onto each other. Inputs are in [-1, 1], as MobileNet's.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encompass.models.layers import SameConv2d, SameMaxPool2d, dilate

POOL = 0  # a 3x3 max-pool of stride 2 among the fire modules
EXPANSION = 4  # channels of each of a fire module's two expand layers, for one of its squeeze layer


@dataclass(frozen=True, kw_only=True)
class Version:
    """What two SqueezeNets differ in."""

    kernel: int  # of the first convolution, whose stride is 2
    width: int  # its channels
    layers: tuple[int, ...]  # that follow: `POOL`, or the squeeze channels of a fire module


VERSIONS = {
    "1.0": Version(kernel=7, width=96, layers=(POOL, 16, 16, 32, POOL, 32, 48, 48, 64, POOL, 64)),
    "1.1": Version(kernel=3, width=64, layers=(POOL, 16, 16, POOL, 32, 32, POOL, 48, 48, 64, 64)),
}


class Fire(nn.Module):
    """Squeeze 1x1, then expand 1x1 and 3x3 side by side, each with ReLU."""

    def __init__(self, in_channels: int, squeeze: int, *, rate: int = 1) -> None:
        super().__init__()
        self.squeeze = SameConv2d(in_channels, squeeze, 1)
        self.expand1 = SameConv2d(squeeze, squeeze * EXPANSION, 1)
        self.expand3 = SameConv2d(squeeze, squeeze * EXPANSION, 3, rate=rate)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 8 * squeeze, H, W)."""
        x = F.relu(self.squeeze(x))
        return F.relu(torch.cat([self.expand1(x), self.expand3(x)], dim=1))


class SqueezeNet(nn.Module):
    """The trunk without its classifier; gives the outputs of the layers it is asked for."""

    def __init__(
        self,
        *,
        version: Literal["1.0", "1.1"] = "1.1",
        outputs: tuple[int, ...],
        output_stride: int = 16,
        last_rate: int = 1,
    ) -> None:
        """Args:
        version: of the paper (1.0) or of its authors' later release (1.1).
        outputs: numbers of the layers (pools and fire modules, 1 to 11) whose outputs `forward`
            returns, ascending.
        output_stride: 16, or 8 or 4 by dilation: the weights are the same.
        last_rate: further atrous rate of the last fire module, on top of the output stride's.
        """
        super().__init__()
        built = VERSIONS[version]
        self.stem = SameConv2d(3, built.width, built.kernel, stride=2)
        self.layers = nn.ModuleList()
        self.channels: dict[int, int] = {}
        width = built.width
        strides = [2 if squeeze == POOL else 1 for squeeze in built.layers]
        dilated = dilate(strides, start=2, output_stride=output_stride)
        for number, (squeeze, (stride, rate)) in enumerate(
            zip(built.layers, dilated, strict=True), start=1
        ):
            if squeeze == POOL:
                self.layers.append(SameMaxPool2d(3, stride=stride, rate=rate))
            else:
                rate *= last_rate if number == len(dilated) else 1
                self.layers.append(Fire(width, squeeze, rate=rate))
                width = 2 * squeeze * EXPANSION
            self.channels[number] = width
        self.strides = dict(enumerate(accumulate((s for s, _ in dilated), mul, initial=2)))
        self.outputs = outputs

    def forward(self, image: Tensor) -> dict[int, Tensor]:
        """(B, 3, H, W) normalised to [-1, 1]; returns {layer number: (B, C, H / s, W / s)}."""
        x = F.relu(self.stem(image))
        kept = {}
        for number, layer in enumerate(self.layers, start=1):
            x = layer(x)
            if number in self.outputs:
                kept[number] = x
        return kept
