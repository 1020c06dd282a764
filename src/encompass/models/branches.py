"""Instance segmentation branches (thesis 3.1.2): a small FCN on the crop of one object.

The crop is the encompassing box on the coarse map, with the same pixels from the finer maps as
skips. Which layers there are is solved from the thesis's parameter counts: depthwise 3x3 and
pointwise to 128 on the coarse crop, then for each skip a transposed convolution to 32 added to a
1x1 of the skip (added, although the prose says concatenated). ReLU after the pointwise and after
each sum, as TF-slim has by default.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encompass.geometry.grid import Shape
from encompass.models.layers import SameConv2d, bilinear_kernel

DEPTH = 128  # of the 3x3 layer
SKIP_DEPTH = 32  # of the transposed convolutions


def crop_cells(feature: Tensor, cells: Tensor, shape: Shape) -> Tensor:
    """Crop boxes from a map and bring each to one shape, sampling bilinearly at cell centres.

    A box that already has the shape is copied exactly. Cropping the same box from a map k times as
    fine with a shape k times as large covers the same pixels.

    Args:
        feature: (C, H, W) one picture's map.
        cells: (N, 4) xyxy edges in cells of this map, floating point or integer.
        shape: (h, w) of the result.

    Returns:
        (N, C, h, w).
    """
    _, rows, columns = feature.shape
    x0, y0, x1, y1 = cells.to(torch.float32).unbind(1)

    def samples(low: Tensor, high: Tensor, steps: int, limit: int) -> tuple[Tensor, ...]:
        centre = (torch.arange(steps, device=low.device) + 0.5) / steps
        at = low[:, None] + (high - low)[:, None] * centre - 0.5
        at = at.clamp(0, limit - 1)
        before = at.floor().long()
        return before, (before + 1).clamp(max=limit - 1), at - before

    top, bottom, down = samples(y0, y1, shape[0], rows)
    left, right, across = samples(x0, x1, shape[1], columns)
    down, across = down[:, :, None].to(feature.dtype), across[:, None, :].to(feature.dtype)

    def at(y: Tensor, x: Tensor) -> Tensor:
        return feature[:, y[:, :, None], x[:, None, :]]  # (C, N, h, w)

    upper = at(top, left) * (1 - across) + at(top, right) * across
    lower = at(bottom, left) * (1 - across) + at(bottom, right) * across
    return (upper * (1 - down) + lower * down).transpose(0, 1)


class SkipStep(nn.Module):
    """Twice the resolution: transposed 4x4 stride 2 plus a 1x1 of the finer crop."""

    def __init__(self, in_channels: int, skip_channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, SKIP_DEPTH, 4, stride=2, padding=1)
        self.skip = SameConv2d(skip_channels, SKIP_DEPTH, 1)

    def forward(self, x: Tensor, finer: Tensor) -> Tensor:
        """(N, C, h, w) and (N, C', 2h, 2w) to (N, 32, 2h, 2w)."""
        return F.relu(self.up(x) + self.skip(finer))


class Branch(nn.Module):
    """One instance segmentation branch: FCN-8 with two skips, FCN-16 with one."""

    def __init__(self, channels: Sequence[int], *, num_classes: int) -> None:
        """Args:
        channels: of the coarse map and of each skip's map, coarse to fine.
        num_classes: masks a box, one for each class.
        """
        super().__init__()
        coarse, *skips = channels
        self.depthwise = SameConv2d(coarse, coarse, 3, groups=coarse, bias=False)
        self.pointwise = SameConv2d(coarse, DEPTH, 1)
        widths = [DEPTH] + [SKIP_DEPTH] * len(skips)
        self.steps = nn.ModuleList(
            SkipStep(width, skip) for width, skip in zip(widths, skips, strict=False)
        )
        self.score = SameConv2d(widths[-1], num_classes, 1)
        self.apply(_initialise)

    @property
    def upsampling(self) -> int:
        """Mask cells for one cell of the coarse map, each way."""
        return 2 ** len(self.steps)

    def forward(self, crops: Sequence[Tensor]) -> Tensor:
        """Crops [(N, C, h, w), (N, C', 2h, 2w), ...] to logits (N, classes, k * h, k * w)."""
        x = F.relu(self.pointwise(self.depthwise(crops[0])))
        for step, finer in zip(self.steps, crops[1:], strict=True):
            x = step(x, finer)
        return self.score(x)


def _initialise(module: nn.Module) -> None:
    """He's scale for ReLU; transposed convolutions interpolate bilinearly in each channel."""
    if isinstance(module, nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        mix = module.weight.data[:, :, :1, :1] * 4.0
        module.weight.data = mix * bilinear_kernel(module.kernel_size[0])
    elif isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) and module.bias is not None:
        nn.init.zeros_(module.bias)
