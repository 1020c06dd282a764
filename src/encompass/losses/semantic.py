"""Losses of label maps: softmax cross-entropy of each pixel (Long et al. 2015; thesis 4.2.2), and
of the IoU itself.

The first differs: the mean over the labelled pixels where the thesis has the sum. RMSProp divides
by the gradient's size, so that only how pictures of more and of less void weigh against each other
changes, and rates hold for crops as for whole pictures.
"""

from __future__ import annotations

import torch
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


def iou_loss(logits: Tensor, labels: Tensor, *, ignore: int) -> Tensor:
    """The Lovász-softmax loss (Berman et al. 2018): one minus a mean IoU that has a gradient.

    A pixel weighs by what it adds to the error of its class's IoU in the whole batch, so that few
    pixels of a thin class teach as much as many of a wide one. The mean is over classes that are in
    the batch; 0 where none is.

    Args:
        logits: (B, C, H, W).
        labels: (B, H, W) int64, classes 0 .. C - 1.
        ignore: the label that teaches nothing.
    """
    known = labels != ignore
    chances = logits.softmax(dim=1).movedim(1, -1)[known]  # (pixels, C)
    labels = labels[known]
    losses = []
    for label in labels.unique().tolist():
        is_class = (labels == label).to(chances.dtype)
        errors = (is_class - chances[:, label]).abs()
        errors, order = errors.sort(descending=True)
        losses.append(errors @ _growth(is_class[order]))
    return torch.stack(losses).mean() if losses else logits.sum() * 0


def _growth(is_class: Tensor) -> Tensor:
    """What each pixel adds to 1 - IoU when, one by one in this order, pixels become wrong.

    (pixels,) 1.0 where a pixel is of the class, else 0.0; the same shape.
    """
    total = is_class.sum()
    left = total - is_class.cumsum(0)
    union = total + (1 - is_class).cumsum(0)
    lost = 1 - left / union
    return torch.cat([lost[:1], lost[1:] - lost[:-1]])
