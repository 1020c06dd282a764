"""Mask R-CNN's mask head (He et al. 2017, section 3 and figure 4) on the maps of our trunk.

RoIAlign to 14x14, four 3x3 convolutions of 256 channels, a transposed convolution to 28x28 and a
1x1 to the classes. Differs: there is no feature pyramid, so that the head sees the maps that the
thesis's branches see; a 1x1 brings each of them to 256 channels and their sum is what FPN's level
would be.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encompass.models.branches import initialise
from encompass.models.layers import SameConv2d

WIDTH = 256
CONVOLUTIONS = 4


class MaskHead(nn.Module):
    """The reference that the thesis's branches are compared with; called as they are."""

    def __init__(self, channels: Sequence[int], *, num_classes: int) -> None:
        """Args:
        channels: of each map, coarse to fine.
        num_classes: masks a box, one for each class.
        """
        super().__init__()
        self.laterals = nn.ModuleList(SameConv2d(width, WIDTH, 1) for width in channels)
        self.convolutions = nn.ModuleList(SameConv2d(WIDTH, WIDTH, 3) for _ in range(CONVOLUTIONS))
        self.up = nn.ConvTranspose2d(WIDTH, WIDTH, 2, stride=2)
        self.score = SameConv2d(WIDTH, num_classes, 1)
        self.zooms = (1,) * len(channels)
        self.upsampling = 2
        self.apply(initialise)

    def forward(self, crops: Sequence[Tensor]) -> Tensor:
        """Crops of one size [(N, C, h, w), (N, C', h, w), ...] to logits (N, classes, 2h, 2w)."""
        levels = [lateral(x) for lateral, x in zip(self.laterals, crops, strict=True)]
        x = torch.stack(levels).sum(dim=0)
        for convolution in self.convolutions:
            x = F.relu(convolution(x))
        return self.score(F.relu(self.up(x)))
