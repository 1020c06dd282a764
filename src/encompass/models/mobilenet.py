"""MobileNet-v1 trunk (Howard et al. 2017; thesis Table 2.5) as TensorFlow pads it."""

from __future__ import annotations

from itertools import accumulate
from operator import mul
from typing import ClassVar

from torch import Tensor, nn

from encompass.models.layers import ConvNormAct

# (output channels at multiplier 1, stride) of the 13 depthwise-separable blocks.
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)


def scaled(channels: int, multiplier: float) -> int:
    """d(x): a width at a depth multiplier, at least 16 (TensorFlow Object Detection API)."""
    return max(int(channels * multiplier), 16)


class SeparableBlock(nn.Sequential):
    """Depthwise 3x3, then pointwise 1x1, each with batch norm and ReLU6."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__(
            ConvNormAct(in_channels, in_channels, 3, stride=stride, groups=in_channels),
            ConvNormAct(in_channels, out_channels, 1),
        )


class MobileNetV1(nn.Module):
    """The trunk without its classifier; gives the outputs of the blocks it is asked for."""

    # Network pixels for one cell of a block's output, by the number of the block.
    STRIDES: ClassVar = dict(enumerate(accumulate((s for _, s in BLOCKS), mul, initial=2)))

    def __init__(self, *, multiplier: float, outputs: tuple[int, ...]) -> None:
        """Args:
        multiplier: depth multiplier of all widths.
        outputs: numbers of the blocks (1 to 13) whose outputs `forward` returns, ascending.
        """
        super().__init__()
        width = scaled(32, multiplier)
        self.stem = ConvNormAct(3, width, 3, stride=2)
        self.blocks = nn.ModuleList()
        self.channels: dict[int, int] = {}
        for number, (channels, stride) in enumerate(BLOCKS, start=1):
            self.blocks.append(SeparableBlock(width, scaled(channels, multiplier), stride=stride))
            width = self.channels[number] = scaled(channels, multiplier)
        self.outputs = outputs

    def forward(self, image: Tensor) -> dict[int, Tensor]:
        """(B, 3, H, W) normalised to [-1, 1]; returns {block number: (B, C, H / s, W / s)}."""
        x = self.stem(image)
        kept = {}
        for number, block in enumerate(self.blocks, start=1):
            x = block(x)
            if number in self.outputs:
                kept[number] = x
        return kept
