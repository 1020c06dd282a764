"""Loss of label maps: softmax cross-entropy of each pixel (Long et al. 2015; thesis 4.2.2).

Differs: the mean over the labelled pixels where the thesis has the sum. RMSProp divides by the
gradient's size, so that only how pictures of more and of less void weigh against each other
changes, and rates hold for crops as for whole pictures.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def pixel_loss(
    logits: Tensor, labels: Tensor, *, ignore: int, weights: Tensor | None = None
) -> Tensor:
    """The mean over all pixels that have a class; 0 where none has.

    Args:
        logits: (B, C, H, W), at the size of the labels.
        labels: (B, H, W) int64, classes 0 .. C - 1.
        ignore: the label that teaches nothing.
        weights: (C,) of each class in the mean; all alike when None.
    """
    total = F.cross_entropy(logits, labels, weight=weights, ignore_index=ignore, reduction="sum")
    known = labels[labels != ignore]
    share = known.numel() if weights is None else weights[known].sum()
    return total / max(float(share), 1e-9)
