"""Channel pruning: a trunk of fewer inner channels out of a wide one, by least squares.

Channels that only the next block reads pass its depthwise convolution one by one, then its
pointwise one, which is linear. So of a wide block those are kept from which that convolution's
output can be told best, and its kernel is solved anew for what it reads now (He et al. 2017,
Channel pruning, who choose by LASSO). Here they go one by one, each time the one without which the
best fit errs least more: Optimal Brain Surgeon's step (Hassibi and Stork 1993) on a linear layer.
No label is looked at, and nothing is learnt by gradients.

A trunk that knew ninety classes has more channels than people need, and the time of a convolution
falls with the product of two widths, which buys a larger input.
"""

# torch types the members of containers as Module, whatever they are.
# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from encompass.models.layers import ConvNormAct
from encompass.models.mobilenet import MobileNetV1

CELLS = 400  # of each picture and map, some more or less, on which channels are chosen
# Added to each channel's variance, as a part of its own and of the mean of all: some never change.
RIDGE, LEAST = 1e-4, 1e-9


@torch.no_grad()
def prune_channels(wide: MobileNetV1, slim: MobileNetV1, pictures: Sequence[Tensor]) -> None:
    """Fill a trunk from a wider one so that, on such pictures, its outputs differ little.

    Block by block; the maps of all pictures are in memory at once, those of one block of either
    trunk.

    Args:
        wide: put in evaluation mode.
        slim: alike but for widths, none of them greater; put in evaluation mode.
        pictures: (B, 3, H, W) each, normalised to [-1, 1].
    """
    wide.eval()
    slim.eval()
    theirs = [wide.blocks[0][0](wide.stem(x)) for x in pictures]  # what pointwise layers read
    kept_in = _choose(wide, slim, 0, theirs)
    _copy_unit(wide.stem, slim.stem, kept_in)
    ours = [slim.stem(x) for x in pictures]
    same = len(kept_in) == wide.channels[0]
    for number, (old, new) in enumerate(zip(wide.blocks, slim.blocks, strict=True), start=1):
        _copy_unit(old[0], new[0], kept_in)
        _replace(ours, new[0])
        read = [_cells(x) for x in theirs]
        _replace(theirs, old[1])
        if number < len(wide.blocks):
            _replace(theirs, wide.blocks[number][0])
        kept_out = _choose(wide, slim, number, theirs)
        _copy_unit(old[1], new[1], kept_out, kept_in)
        if not same:
            _solve(old[1], new[1], kept_out, kept_in, read, [_cells(x) for x in ours])
        same = same and len(kept_out) == wide.channels[number]
        _replace(ours, new[1])
        kept_in = kept_out


def _replace(maps: list[Tensor], unit: ConvNormAct) -> None:
    for number, x in enumerate(maps):
        maps[number] = unit(x)


def _choose(wide: MobileNetV1, slim: MobileNetV1, number: int, maps: list[Tensor]) -> Tensor:
    """Numbers of the channels that are kept of a block, 0 for the stem.

    `maps` are what the pointwise convolution of the next block reads in the wide trunk.
    """
    width, count = wide.channels[number], slim.channels[number]
    if count == width:
        return torch.arange(width)
    pointwise = wide.blocks[number][1]
    norm = pointwise[1]
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    read = torch.cat([_cells(x) for x in maps])
    return _eliminate(torch.cov(read.T, correction=0), _kernel(pointwise) * gain[:, None], count)


def _eliminate(covariance: Tensor, kernel: Tensor, count: int) -> Tensor:
    """The `count` channels that stay, ascending, when one by one the least missed goes.

    Args:
        covariance: (C, C) of the channels.
        kernel: (outputs, C) of what is to be told from them.
    """
    inverse = torch.linalg.inv(covariance + _ridge(covariance))
    weights = kernel.to(inverse)
    alive = torch.ones(len(covariance), dtype=torch.bool)
    while int(alive.sum()) > count:
        # The least squares that a fit without the channel adds: the others make up for it.
        added = weights.square().sum(dim=0) / inverse.diagonal()
        added[~alive] = torch.inf
        least = int(added.argmin())
        share = inverse[least] / inverse[least, least]
        weights = weights - weights[:, least, None] * share
        inverse = inverse - inverse[:, least, None] * share
        inverse[least, least] = 1  # its row and column are zero now
        alive[least] = False
    return alive.nonzero()[:, 0]


def _solve(
    old: ConvNormAct,
    new: ConvNormAct,
    kept_out: Tensor,
    kept_in: Tensor,
    theirs: list[Tensor],
    ours: list[Tensor],
) -> None:
    """Solve a pointwise convolution for what it reads in place of the wide one's.

    Args:
        old: the wide unit.
        new: holds what is kept of its kernel, to which the ridge pulls.
        kept_out: channels that go out.
        kept_in: channels that come in.
        theirs: what the wide one reads, of each batch (cells, channels).
        ours: what the new one reads at the same cells.
    """
    read, kernel = torch.cat(ours), _kernel(old)[kept_out]
    wanted = torch.cat(theirs) @ kernel.T
    read_mean, wanted_mean = read.mean(dim=0), wanted.mean(dim=0)
    read, wanted = read - read_mean, wanted - wanted_mean
    covariance = read.T @ read / len(read)
    ridge = _ridge(covariance)
    crossed = read.T @ wanted / len(read) + ridge @ kernel[:, kept_in].T
    solved = torch.linalg.solve(covariance + ridge, crossed).T
    new[0].weight.copy_(solved[:, :, None, None])
    # The convolution has no constant; its batch norm takes it in.
    new[1].running_mean.copy_(old[1].running_mean[kept_out] - wanted_mean + solved @ read_mean)


def _cells(maps: Tensor) -> Tensor:
    """(B, C, H, W) to (cells, C) float64 of a grid of cells, none at the edge if there are many."""
    step = max(math.ceil(math.sqrt(maps.shape[2] * maps.shape[3] / CELLS)), 1)
    some = maps[:, :, step // 2 :: step, step // 2 :: step]
    return some.permute(0, 2, 3, 1).flatten(0, 2).double()


def _ridge(covariance: Tensor) -> Tensor:
    variance = covariance.diagonal()
    return torch.diag(RIDGE * variance + LEAST * variance.mean())


def _kernel(pointwise: ConvNormAct) -> Tensor:
    return pointwise[0].weight[:, :, 0, 0].double()


def _copy_unit(
    old: ConvNormAct, new: ConvNormAct, kept_out: Tensor, kept_in: Tensor | None = None
) -> None:
    """Some of the channels that go out and, where given, that come in."""
    kernel = old[0].weight[kept_out]
    new[0].weight.copy_(kernel if kept_in is None else kernel[:, kept_in])
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(new[1], name).copy_(getattr(old[1], name)[kept_out])
