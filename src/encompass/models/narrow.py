"""A narrower trunk out of a wide one: channels chosen, and the next layer fitted, by least squares.

Channels that only the next block reads pass its depthwise convolution one by one, then its
pointwise one, which is linear. So of a wide block those are kept from which that convolution's
output can be told best, and its kernel is solved anew for what is left of its input (after He et
al. 2017, Channel pruning, who choose by LASSO; here one channel after the other goes, each time the
one that is missed least). No label is looked at, and nothing is learnt by gradients.

A trunk that knew ninety classes has more channels than people need, and the time of a convolution
falls with the product of two widths, which buys a larger input.
"""

# torch types the members of containers as Module, whatever they are.
# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from encompass.models.layers import ConvNormAct
from encompass.models.mobilenet import MobileNetV1

CELLS = 400  # of each picture and map, on which channels are chosen and kernels solved
# Added to a channel's mean square, as a part of its own and of the mean of all: some are always 0.
RIDGE, LEAST = 1e-4, 1e-9


@torch.no_grad()
def narrow(wide: MobileNetV1, slim: MobileNetV1, pictures: Sequence[Tensor]) -> None:
    """Fill a trunk from a wider one so that, on such pictures, its outputs differ little.

    Block by block; the maps of all pictures are in memory at once.

    Args:
        wide: put in evaluation mode.
        slim: alike but for widths, none of them greater; put in evaluation mode.
        pictures: (B, 3, H, W) each, normalised to [-1, 1].
    """
    wide.eval()
    slim.eval()
    theirs = [wide.stem(x) for x in pictures]
    into = _choose(wide, slim, 0, theirs)
    _copy_unit(wide.stem, slim.stem, into)
    ours = [slim.stem(x) for x in pictures]
    same = len(into) == wide.channels[0]
    for number, (old, new) in enumerate(zip(wide.blocks, slim.blocks, strict=True), start=1):
        _copy_unit(old[0], new[0], into)
        theirs, ours = [old[0](x) for x in theirs], [new[0](x) for x in ours]
        read = [_cells(x) for x in theirs]
        theirs = [old[1](x) for x in theirs]
        out = _choose(wide, slim, number, theirs)
        _copy_unit(old[1], new[1], out, into)
        if not same:
            _solve(old[1], new[1], out, read, [_cells(x) for x in ours])
        same = same and len(out) == wide.channels[number]
        ours, into = [new[1](x) for x in ours], out


def _choose(wide: MobileNetV1, slim: MobileNetV1, number: int, maps: list[Tensor]) -> Tensor:
    """Numbers of the channels that are kept of a block, 0 for the stem; `maps` are of the wide."""
    width, count = wide.channels[number], slim.channels[number]
    if count == width:
        return torch.arange(width)
    depthwise, pointwise = wide.blocks[number]
    norm = pointwise[1]
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    kernel = _kernel(pointwise) * gain[:, None].double()
    return _eliminate(_moments([_cells(depthwise(x)) for x in maps]), kernel, count)


def _eliminate(moments: Tensor, kernel: Tensor, count: int) -> Tensor:
    """The `count` channels that stay, ascending, when one by one the least missed goes.

    Args:
        moments: (C + 1, C + 1) sums of products of the channels, the last of them constant.
        kernel: (outputs, C) of what is to be told from them.
    """
    inverse = torch.linalg.inv(_ridged(moments))
    weights = torch.cat([kernel, kernel.new_zeros(len(kernel), 1)], dim=1)
    alive = torch.ones(len(moments), dtype=torch.bool)
    while int(alive.sum()) > count + 1:
        # What the best fit without a channel errs more than with it: the others make up for it.
        missed = weights.square().sum(dim=0) / inverse.diagonal()
        missed[~alive] = missed[-1] = torch.inf
        least = int(missed.argmin())
        share = inverse[least] / inverse[least, least]
        weights = weights - weights[:, least, None] * share
        inverse = inverse - inverse[:, least, None] * share
        inverse[least, least] = 1  # its row and column are zero now
        alive[least] = False
    return alive[:-1].nonzero()[:, 0]


def _solve(
    old: ConvNormAct, new: ConvNormAct, kept: Tensor, theirs: list[Tensor], ours: list[Tensor]
) -> None:
    """Solve a pointwise kernel for (cells, channels) that it reads in place of the wide one's."""
    kernel = _kernel(old)[kept]
    wanted = sum(
        (
            _with_one(our).T @ (their.double() @ kernel.T)
            for their, our in zip(theirs, ours, strict=True)
        ),
        start=torch.zeros((), dtype=torch.float64),
    )
    solved = torch.linalg.solve(_ridged(_moments(ours)), wanted).T  # the last: of the constant
    new[0].weight.copy_(solved[:, :-1, None, None])
    new[1].running_mean.copy_(old[1].running_mean[kept] - solved[:, -1])


def _cells(maps: Tensor) -> Tensor:
    """(B, C, H, W) to (cells, C), of at most so many of each."""
    cells = maps.flatten(2)
    return cells[:, :, :: -(-cells.shape[2] // CELLS)].transpose(1, 2).flatten(0, 1)


def _with_one(cells: Tensor) -> Tensor:
    return torch.cat([cells, torch.ones_like(cells[:, :1])], dim=1).double()


def _moments(batches: list[Tensor]) -> Tensor:
    zero = torch.zeros((), dtype=torch.float64)
    return sum((z.T @ z for z in map(_with_one, batches)), start=zero)


def _ridged(moments: Tensor) -> Tensor:
    diagonal = moments.diagonal()
    return moments + torch.diag(RIDGE * diagonal + LEAST * diagonal.mean())


def _kernel(pointwise: ConvNormAct) -> Tensor:
    return pointwise[0].weight[:, :, 0, 0].double()


def _copy_unit(old: ConvNormAct, new: ConvNormAct, out: Tensor, into: Tensor | None = None) -> None:
    """Some of the channels that go out and, where given, that come in."""
    kernel = old[0].weight[out]
    new[0].weight.copy_(kernel if into is None else kernel[:, into])
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(new[1], name).copy_(getattr(old[1], name)[out])
