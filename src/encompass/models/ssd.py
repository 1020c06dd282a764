"""SSD-MobileNet-v1 for one or more classes (Liu et al. 2016; TensorFlow Object Detection API).

Six maps: block 11 (stride 16), block 13 (stride 32) and four extras; a 1x1 predictor on each. Not
in the thesis: a seventh of stride 8 for small objects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from encompass.models.anchors import FINE_SIZES, anchor_sizes
from encompass.models.decoders import RefineStep
from encompass.models.layers import ConvNormAct, SameConv2d
from encompass.models.mobilenet import MobileNetV1, scaled

EXTRAS = (512, 256, 256, 128)  # output channels at multiplier 1; each halves the map
FIRST_MAP, SECOND_MAP = 11, 13  # trunk blocks that carry predictors
FINE_MAP, FINE_WIDTH = 5, 96  # of the seventh: its trunk block, and channels
# Of a class of which nothing has been learnt yet, where the background's is 0: a score of 0.01, so
# that it disturbs nothing.
PRIOR_LOGIT = math.log(0.01)


@dataclass(frozen=True, slots=True)
class SsdOutputs:
    """What the detector gives for a batch, before decoding."""

    features: dict[int, Tensor]  # trunk block -> (B, C, H, W)
    logits: Tensor  # (B, A, classes + 1), background first
    offsets: Tensor  # (B, A, 4) as (ty, tx, th, tw)
    grids: list[tuple[int, int]]  # (rows, columns) of the maps


def map_grids(input_size: int) -> list[tuple[int, int]]:
    """(rows, columns) of the six maps of a square input: strides 16 and 32, then halves."""
    sides = [input_size // MobileNetV1.STRIDES[block] for block in (FIRST_MAP, SECOND_MAP)]
    for _ in EXTRAS:
        sides.append(-(-sides[-1] // 2))
    return [(side, side) for side in sides]


class Extra(nn.Sequential):
    """1x1 to half the width, then 3x3 stride 2."""

    def __init__(self, in_channels: int, middle: int, out_channels: int) -> None:
        super().__init__(
            ConvNormAct(in_channels, middle, 1),
            ConvNormAct(middle, out_channels, 3, stride=2),
        )


class Predictor(nn.Module):
    """The 1x1 convolutions of one map: offsets and scores of each of its anchors."""

    def __init__(self, in_channels: int, *, num_anchors: int, num_classes: int) -> None:
        super().__init__()
        self.num_scores = num_classes + 1
        self.offsets = SameConv2d(in_channels, num_anchors * 4, 1)
        self.scores = SameConv2d(in_channels, num_anchors * self.num_scores, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) to offsets (B, H * W * K, 4) and logits (B, H * W * K, classes + 1)."""
        offsets = self.offsets(x).permute(0, 2, 3, 1).reshape(len(x), -1, 4)
        logits = self.scores(x).permute(0, 2, 3, 1).reshape(len(x), -1, self.num_scores)
        return offsets, logits


class FineMap(nn.Module):
    """The predictions of stride 8: block 5, told by block 11 what it belongs to.

    One step of a feature pyramid (Lin et al. 2017) on the finest map alone, of separable layers.
    """

    def __init__(self, fine_channels: int, coarse_channels: int, *, num_classes: int) -> None:
        super().__init__()
        self.project = ConvNormAct(coarse_channels, FINE_WIDTH, 1)
        self.refine = RefineStep(FINE_WIDTH, fine_channels, FINE_WIDTH)
        self.predictor = Predictor(FINE_WIDTH, num_anchors=len(FINE_SIZES), num_classes=num_classes)
        nn.init.zeros_(self.predictor.offsets.weight)
        bias = self.predictor.scores.bias
        assert bias is not None
        of_scores = bias.detach().view(len(FINE_SIZES), num_classes + 1)
        of_scores[:, 0], of_scores[:, 1:] = 0, PRIOR_LOGIT

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """(B, C, 2H, 2W) and (B, C', H, W) to the features of its predictor, (B, 96, 2H, 2W)."""
        return self.refine(self.project(coarse), fine)


class SsdMobileNet(nn.Module):
    """The detector; also hands out the trunk's maps, from which branches crop."""

    def __init__(
        self,
        *,
        multiplier: float,
        num_classes: int,
        outputs: tuple[int, ...] = (),
        more_anchors: bool = False,
        fine_map: bool = False,
        inner: float = 1.0,
    ) -> None:
        """Args:
        multiplier: MobileNet's depth multiplier.
        num_classes: without background.
        outputs: further trunk blocks whose maps `forward` returns.
        more_anchors: whether the last of the six has its anchors twice (`pixel_anchor_sizes`).
        fine_map: whether there is the seventh map.
        inner: share of the trunk's inner channels (`MobileNetV1`).
        """
        super().__init__()
        self.trunk = MobileNetV1(
            multiplier=multiplier,
            outputs=tuple(
                sorted({*outputs, FIRST_MAP, SECOND_MAP} | ({FINE_MAP} if fine_map else set()))
            ),
            inner=inner,
        )
        widths = [self.trunk.channels[FIRST_MAP], self.trunk.channels[SECOND_MAP]]
        self.extras = nn.ModuleList()
        for channels in EXTRAS:
            width = scaled(channels, multiplier)
            self.extras.append(Extra(widths[-1], scaled(channels // 2, multiplier), width))
            widths.append(width)
        counts = [len(sizes) for sizes in anchor_sizes()]
        if more_anchors:
            counts[-1] *= 2
        self.predictors = nn.ModuleList(
            Predictor(width, num_anchors=count, num_classes=num_classes)
            for width, count in zip(widths, counts, strict=True)
        )
        channels = self.trunk.channels
        self.fine = (
            FineMap(channels[FINE_MAP], channels[FIRST_MAP], num_classes=num_classes)
            if fine_map
            else None
        )

    @property
    def heads(self) -> list[Predictor]:
        """The predictors of all maps, in the order of the anchors."""
        return [*self.predictors, *([] if self.fine is None else [self.fine.predictor])]  # pyright: ignore[reportReturnType]

    def forward(self, image: Tensor) -> SsdOutputs:
        """(B, 3, H, W) normalised to [-1, 1], RGB."""
        features = self.trunk(image)
        maps = [features[FIRST_MAP], features[SECOND_MAP]]
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        if self.fine is not None:
            maps.append(self.fine(features[FINE_MAP], features[FIRST_MAP]))
        offsets, logits = zip(
            *(head(x) for head, x in zip(self.heads, maps, strict=True)), strict=True
        )
        return SsdOutputs(
            features,
            torch.cat(logits, dim=1),
            torch.cat(offsets, dim=1),
            [(x.shape[-2], x.shape[-1]) for x in maps],
        )
