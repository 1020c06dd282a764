"""From an encoder's maps to logits: FCN's skips of scores, and a decoder that refines features.

Both take maps from the coarsest on, each twice as fine as the one before, and give logits of the
cells of the finest.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encompass.models.layers import ConvNorm, ConvNormAct, SameConv2d, bilinear_kernel


class ScoreStep(nn.Module):
    """Scores at twice the resolution: transposed 4x4 stride 2 plus a 1x1 score of the finer map.

    It starts as bilinear interpolation of each class alone, the finer map without a say.
    """

    def __init__(self, skip_channels: int, num_classes: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(num_classes, num_classes, 4, stride=2, padding=1, bias=False)
        self.skip = SameConv2d(skip_channels, num_classes, 1)
        for tensor in self.parameters():
            nn.init.zeros_(tensor)
        for label in range(num_classes):
            self.up.weight.data[label, label] = bilinear_kernel(4)

    def forward(self, scores: Tensor, finer: Tensor) -> Tensor:
        """(B, classes, h, w) and (B, C, 2h, 2w) to (B, classes, 2h, 2w)."""
        return self.up(scores) + self.skip(finer)


class FcnDecoder(nn.Module):
    """The thesis's (2.5.1; Long et al. 2015): each map is scored, and scores are added.

    All scores start at zero, as Long et al. have it.
    """

    def __init__(self, channels: Sequence[int], num_classes: int) -> None:
        super().__init__()
        last, *skips = channels
        self.score = SameConv2d(last, num_classes, 1)
        for tensor in self.score.parameters():
            nn.init.zeros_(tensor)
        self.steps = nn.ModuleList(ScoreStep(skip, num_classes) for skip in skips)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps (B, C, h, w), coarse to fine, to logits of the last."""
        last, *skips = maps
        scores = self.score(last)
        for step, finer in zip(self.steps, skips, strict=True):
            scores = step(scores, finer)
        return scores


class Context(nn.Module):
    """The coarsest map's features, each channel weighed by what the whole picture shows.

    LR-ASPP's two branches (Howard et al. 2019), the pool over the whole map instead of 49x49 cells.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.project = ConvNormAct(channels, width, 1)
        self.gate = SameConv2d(channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, width, h, w)."""
        return self.project(x) * torch.sigmoid(self.gate(x.mean(dim=(2, 3), keepdim=True)))


class RefineStep(nn.Module):
    """Features at twice the resolution, corrected by a finer map.

    DeepLabV3+'s decoder (Chen et al. 2018), its step of four made in two, the maps added and not
    concatenated, its convolutions MobileNet's blocks. What is added has no ReLU, so that it can
    correct either way.
    """

    def __init__(self, width: int, skip_channels: int, out_width: int) -> None:
        super().__init__()
        self.lateral = ConvNorm(skip_channels, width, 1)
        self.depthwise = ConvNormAct(width, width, 3, groups=width)
        self.pointwise = ConvNormAct(width, out_width, 1)

    def forward(self, x: Tensor, finer: Tensor) -> Tensor:
        """(B, width, h, w) and (B, C, 2h, 2w) to (B, out_width, 2h, 2w)."""
        up = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return self.pointwise(self.depthwise(up + self.lateral(finer)))


class RefineDecoder(nn.Module):
    """Features are refined map by map, and only the last are scored (not in the thesis)."""

    def __init__(self, channels: Sequence[int], widths: Sequence[int], num_classes: int) -> None:
        """Args:
        channels: of the encoder's maps, coarse to fine.
        widths: channels of the decoder's features at each of them.
        num_classes: logits of a cell.
        """
        super().__init__()
        last, *skips = channels
        self.context = Context(last, widths[0])
        self.steps = nn.ModuleList(map(RefineStep, widths, skips, widths[1:]))
        self.score = SameConv2d(widths[-1], num_classes, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps (B, C, h, w), coarse to fine, to logits of the last."""
        last, *skips = maps
        x = self.context(last)
        for step, finer in zip(self.steps, skips, strict=True):
            x = step(x, finer)
        return self.score(x)
