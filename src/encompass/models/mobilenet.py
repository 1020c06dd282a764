"""MobileNet-v1 trunk (Howard et al. 2017; thesis Table 2.5) as TensorFlow pads it."""

from __future__ import annotations

from itertools import accumulate
from operator import mul
from typing import ClassVar

from torch import Tensor, nn

from encompass.models.layers import ConvNormAct, dilate

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
LANES = 16  # channels that a CPU with AVX-512 computes at a time
SHALLOW = (*BLOCKS[:6], *BLOCKS[11:])  # without the five that keep 14x14x512 (thesis Table 2.6)


def scaled(channels: int, multiplier: float, *, min_depth: int = 16) -> int:
    """d(x): a width at a depth multiplier, at least 16 (TensorFlow Object Detection API)."""
    return max(int(channels * multiplier), min_depth)


def slimmed(channels: int, share: float) -> int:
    """A share of a width, in whole vectors of `LANES`, which take as long half empty as full.

    All of it is the width itself.
    """
    if share == 1:
        return channels
    return min(max(round(channels * share / LANES), 1) * LANES, channels)


class SeparableBlock(nn.Sequential):
    """Depthwise 3x3, then pointwise 1x1, each with batch norm and ReLU6."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, rate: int = 1) -> None:
        super().__init__(
            ConvNormAct(in_channels, in_channels, 3, stride=stride, groups=in_channels, rate=rate),
            ConvNormAct(in_channels, out_channels, 1),
        )


class MobileNetV1(nn.Module):
    """The trunk without its classifier; gives the outputs of the blocks it is asked for."""

    # Network pixels for one cell of a block's output, by the number of the block, without dilation.
    STRIDES: ClassVar = dict(enumerate(accumulate((s for _, s in BLOCKS), mul, initial=2)))

    def __init__(
        self,
        *,
        multiplier: float,
        outputs: tuple[int, ...],
        output_stride: int = 32,
        last_rate: int = 1,
        blocks: tuple[tuple[int, int], ...] = BLOCKS,
        min_depth: int = 16,
        inner: float = 1.0,
    ) -> None:
        """Args:
        multiplier: depth multiplier of all widths.
        outputs: numbers of the blocks (from 1) whose outputs `forward` returns, ascending.
        output_stride: 32, or 16 or 8 by dilation: the weights are the same.
        last_rate: further atrous rate of the last block, on top of that of the output stride.
        blocks: `BLOCKS` or `SHALLOW`.
        min_depth: no width is less; 16 in the Object Detection API, 8 in the ImageNet networks,
            which differ at multiplier 0.25 alone.
        inner: share of their channels that the stem and those blocks have which only the next
            block reads: all but outputs and the last.
        """
        super().__init__()
        width = slimmed(scaled(32, multiplier, min_depth=min_depth), inner)
        self.stem = ConvNormAct(3, width, 3, stride=2)
        self.blocks = nn.ModuleList()
        self.channels = {0: width}  # of the stem's output and of each block's
        dilated = dilate([s for _, s in blocks], start=2, output_stride=output_stride)
        for number, ((depth, _), (stride, rate)) in enumerate(
            zip(blocks, dilated, strict=True), start=1
        ):
            channels = scaled(depth, multiplier, min_depth=min_depth)
            if number not in outputs and number < len(blocks):
                channels = slimmed(channels, inner)
            if number == len(blocks):
                rate *= last_rate
            self.blocks.append(SeparableBlock(width, channels, stride=stride, rate=rate))
            width = self.channels[number] = channels
        self.strides = dict(enumerate(accumulate((s for s, _ in dilated), mul, initial=2)))
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
