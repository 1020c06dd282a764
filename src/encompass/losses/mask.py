"""Sigmoid cross-entropy of masks (thesis 3.1.2) at the predicted resolution."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def mask_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over all pixels of all crops.

    Args:
        logits: (N, h, w), of the class of each object.
        targets: (N, h, w) in [0, 1]: the part of each mask cell that the object covers.
    """
    return F.binary_cross_entropy_with_logits(logits, targets)
