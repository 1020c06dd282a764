"""Instance segmentation branches (thesis 3.1.2): a small FCN on the crop of one object.

The crop is the encompassing box on the coarse map, with the same pixels from the finer maps as
skips. Which layers there are is solved from the thesis's parameter counts: depthwise 3x3 and
pointwise to 128 on the coarse crop, then for each skip a transposed convolution to 32 added to a
1x1 of the skip (added, although the prose says concatenated). ReLU after the pointwise and after
each sum, as TF-slim has by default.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encompass.geometry.grid import Shape
from encompass.models.layers import SameConv2d, bilinear_kernel

BOX_CHANNELS = 3  # of `box_channels`
LEAST_SIDE = 1e-3  # of a box, in samples of its crop: one without extent has a position too
DEPTH = 128  # of the 3x3 layers
SKIP_DEPTH = 32  # of the transposed convolutions


def crop_cells(feature: Tensor, cells: Tensor, shape: Shape) -> Tensor:
    """Crop boxes from a map and bring each to one shape, sampling bilinearly at cell centres.

    A box that already has the shape is copied exactly. Cropping the same box from a map k times as
    fine with a shape k times as large covers the same pixels.

    Args:
        feature: (C, H, W) one picture's map; channels last in memory is fastest.
        cells: (N, 4) xyxy edges in cells of this map, floating point or integer.
        shape: (h, w) of the result.

    Returns:
        (N, C, h, w), channels last in memory.
    """
    rows, columns, channels = (pixels := feature.permute(1, 2, 0)).shape
    crops = [pixels.new_empty(0, *shape, channels)]
    for x0, y0, x1, y1 in cells.tolist():
        top, bottom, down = _taps(y0, y1, shape[0], rows)
        left, right, across = _taps(x0, x1, shape[1], columns)
        window = pixels[top:bottom, left:right]
        if down is not None:
            down = down.to(window)
            window = (down @ window.flatten(1)).unflatten(1, (-1, channels))
        if across is not None:
            window = across.to(window) @ window
        crops.append(window[None])
    return torch.cat(crops).permute(0, 3, 1, 2)


def crop_batch(feature: Tensor, pictures: Tensor, cells: Tensor, shape: Shape) -> Tensor:
    """What `crop_cells` gives for boxes of several pictures, all at once, as training wants it.

    Where a sample lies is rounded to some 1e-4 cells, the more the more rows the maps have in all,
    so that nothing is copied exactly.

    Args:
        feature: (B, C, H, W).
        pictures: (N,) int64, in whose map each box lies.
        cells: (N, 4) xyxy edges in cells of this map, floating point.
        shape: (h, w) of the result.

    Returns:
        (N, C, h, w).
    """
    count, _, rows, columns = feature.shape
    height, width = shape
    sides = cells[:, 2:] - cells[:, :2]
    steps = [(torch.arange(n, device=cells.device) + 0.5) / n for n in (width, height)]
    x = cells[:, 0, None] + sides[:, 0, None] * steps[0] - 0.5
    y = cells[:, 1, None] + sides[:, 1, None] * steps[1] - 0.5
    # The maps one below the other are one map; samples stay inside their own, but for the rounding.
    tall = feature.permute(1, 0, 2, 3).flatten(1, 2)[None]
    x = x.clamp(0, columns - 1)
    y = y.clamp(0, rows - 1) + rows * pictures[:, None]
    grid = torch.stack(
        [
            (2 * x / max(columns - 1, 1) - 1)[:, None].expand(-1, height, -1),
            (2 * y / max(count * rows - 1, 1) - 1)[:, :, None].expand(-1, -1, width),
        ],
        dim=-1,
    )
    crops = F.grid_sample(tall, grid.flatten(0, 1)[None], padding_mode="border", align_corners=True)
    return crops[0].unflatten(1, (-1, height)).transpose(0, 1)


def _taps(low: float, high: float, steps: int, limit: int) -> tuple[int, int, Tensor | None]:
    """The cells [start, stop) that `steps` samples of [low, high] need, and their weights.

    The weights are (steps, stop - start); None where the samples are the cells themselves.
    """
    if high - low == steps and low == int(low):
        return int(low), int(high), None
    at = low + (high - low) * (torch.arange(steps) + 0.5) / steps - 0.5
    at = at.clamp(0, limit - 1)
    before = at.floor().long()
    after = (before + 1).clamp(max=limit - 1)
    start, stop = int(before[0]), int(after[-1]) + 1
    weights = torch.zeros(steps, stop - start)
    part = (at - before)[:, None]
    weights.scatter_add_(1, (before - start)[:, None], 1 - part)
    weights.scatter_add_(1, (after - start)[:, None], part)
    return start, stop, weights


def box_channels(boxes: np.ndarray, cells: np.ndarray, shape: Shape) -> Tensor:
    """Where a box lies in its crop, which a crop of whole cells does not say by itself.

    Args:
        boxes: (N, 4) xyxy of the objects, in cells of the coarse map.
        cells: (N, 4) xyxy of what is cropped, in the same cells.
        shape: (h, w) of the crops.

    Returns:
        (N, 3, h, w) float32, of each sample: its x and y in the box, from -1 at its left (top) edge
        to 1 at its right (bottom) one and no further beyond; and how much of the sample's own
        part of the crop the box covers.
    """
    box, crop = boxes.astype(np.float32), cells.astype(np.float32)
    across, across_cover = _along(box[:, 0::2], crop[:, 0::2], shape[1])
    down, down_cover = _along(box[:, 1::2], crop[:, 1::2], shape[0])
    channels = np.broadcast_arrays(
        across[:, None], down[:, :, None], across_cover[:, None] * down_cover[:, :, None]
    )
    return torch.from_numpy(np.stack(channels, axis=1))


def _along(box: np.ndarray, crop: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Of (N, 2) edges along one axis: positions in the box and covered parts, (N, steps) each."""
    low, high = np.split((box - crop[:, :1]) * (steps / (crop[:, 1:] - crop[:, :1])), 2, axis=1)
    start = np.arange(steps, dtype=np.float32)
    side = np.maximum(high - low, LEAST_SIDE)
    position = np.clip((2 * start + 1 - low - high) / side, -1, 1)
    covered = np.clip(np.minimum(high, start + 1) - np.maximum(low, start), 0, 1)
    return position, covered


def separable(width: int, *, rate: int = 1) -> nn.Sequential:
    """Depthwise 3x3 without bias, pointwise, ReLU."""
    return nn.Sequential(
        SameConv2d(width, width, 3, groups=width, bias=False, rate=rate),
        SameConv2d(width, width, 1),
        nn.ReLU(),
    )


class SkipStep(nn.Module):
    """Twice the resolution: transposed 4x4 stride 2 plus a 1x1 of the finer crop."""

    def __init__(self, in_channels: int, skip_channels: int, *, refine: bool) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, SKIP_DEPTH, 4, stride=2, padding=1)
        self.skip = SameConv2d(skip_channels, SKIP_DEPTH, 1)
        self.refine = nn.ModuleList([separable(SKIP_DEPTH)] if refine else [])

    def forward(self, x: Tensor, finer: Tensor) -> Tensor:
        """(N, C, h, w) and (N, C', 2h, 2w) to (N, 32, 2h, 2w)."""
        x = F.relu(self.up(x) + self.skip(finer))
        for layer in self.refine:
            x = layer(x)
        return x


class Branch(nn.Module):
    """One instance segmentation branch: FCN-8 with two skips, FCN-16 with one, FCN-32 with none."""

    def __init__(
        self,
        channels: Sequence[int],
        *,
        num_classes: int,
        convolutions: int = 1,
        rate: int = 1,
        refine: bool = False,
    ) -> None:
        """Args:
        channels: of the coarse crop and of each skip's map, coarse to fine.
        num_classes: masks a box, one for each class.
        convolutions: separable 3x3 layers on the coarse crop.
        rate: their atrous rate.
        refine: a separable 3x3 more after each skip.
        """
        super().__init__()
        coarse, *skips = channels
        self.depthwise = SameConv2d(coarse, coarse, 3, groups=coarse, bias=False, rate=rate)
        self.pointwise = SameConv2d(coarse, DEPTH, 1)
        self.deeper = nn.ModuleList(separable(DEPTH, rate=rate) for _ in range(convolutions - 1))
        widths = [DEPTH] + [SKIP_DEPTH] * len(skips)
        self.steps = nn.ModuleList(
            SkipStep(width, skip, refine=refine) for width, skip in zip(widths, skips, strict=False)
        )
        self.score = SameConv2d(widths[-1], num_classes, 1)
        # Cells of each map's crop for one cell of the branch's shape, and those of its masks.
        self.zooms = tuple(2**i for i in range(len(channels)))
        self.upsampling = self.zooms[-1]
        self.apply(initialise)

    def forward(self, crops: Sequence[Tensor]) -> Tensor:
        """Crops [(N, C, h, w), (N, C', 2h, 2w), ...] to logits (N, classes, k * h, k * w)."""
        x = F.relu(self.pointwise(self.depthwise(crops[0])))
        for layer in self.deeper:
            x = layer(x)
        for step, finer in zip(self.steps, crops[1:], strict=True):
            x = step(x, finer)
        return self.score(x)


def initialise(module: nn.Module) -> None:
    """He's scale for ReLU; transposed convolutions interpolate bilinearly and mix channels.

    Their scale is He's of the channels that go out, which torch takes for those that come in.
    """
    if isinstance(module, nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        mix = module.weight.data[:, :, :1, :1] * 4.0
        module.weight.data = mix * bilinear_kernel(module.kernel_size[0])
    elif isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) and module.bias is not None:
        nn.init.zeros_(module.bias)
