"""Sigmoid cross-entropy of masks (thesis 3.1.2) at the predicted resolution, and further terms."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def mask_loss(
    logits: Tensor, targets: Tensor, *, dice_weight: float = 0.0, edge_weight: float = 0.0
) -> Tensor:
    """Mean over all pixels of all crops, plus the weighted mean of Dice's loss over the crops.

    Args:
        logits: (N, h, w), of the class of each object.
        targets: (N, h, w) in [0, 1]: the part of each mask cell that the object covers.
        dice_weight: of `dice_loss`.
        edge_weight: added to the weight, 1, of cells that are neither empty nor full.
    """
    if edge_weight:
        weights = 1 + edge_weight * ((targets > 0) & (targets < 1))
        losses = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        loss = (weights * losses).sum() / weights.sum()
    else:
        loss = F.binary_cross_entropy_with_logits(logits, targets)
    return loss + dice_weight * dice_loss(logits, targets) if dice_weight else loss


def dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """1 less Dice's coefficient of probabilities and targets, the mean over crops.

    With squares in the denominator and smoothed by one cell (Milletari et al. 2016). Shapes as in
    `mask_loss`.
    """
    chosen, wanted = logits.sigmoid().flatten(1), targets.flatten(1)
    shared = (chosen * wanted).sum(dim=1)
    total = chosen.square().sum(dim=1) + wanted.square().sum(dim=1)
    return (1 - (2 * shared + 1) / (total + 1)).mean()
