"""SSD's loss: smooth L1 on the offsets, cross-entropy with hard negatives on the scores.

Liu et al. 2016, section 2.2, and thesis 3.1.1. Differs: the scores may be sigmoid (as the given
weights have them) instead of softmax with a background class; then the background logit learns
nothing.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from encompass.losses.matching import Matches

NEGATIVES_PER_POSITIVE = 3
# Pictures without objects still teach what background looks like.
MIN_NEGATIVES = 3


def detection_loss(
    logits: Tensor,
    offsets: Tensor,
    target_offsets: Tensor,
    target_labels: Tensor,
    matches: list[Matches],
    *,
    score: Literal["sigmoid", "softmax"],
) -> dict[str, Tensor]:
    """The two terms, each a sum over the batch divided by the number of positive anchors.

    Args:
        logits: (B, A, classes + 1), background first.
        offsets: (B, A, 4).
        target_offsets: (B, A, 4), meaningful where an anchor is positive.
        target_labels: (B, A) int64 class of the matched object, meaningful where positive.
        matches: B records.
        score: how logits become scores.

    Returns:
        {"box": scalar, "score": scalar}.
    """
    positive = torch.stack([m.positive for m in matches])
    negative = torch.stack([m.negative for m in matches])
    count = positive.sum().clamp(min=1)
    box = F.smooth_l1_loss(offsets[positive], target_offsets[positive], reduction="sum")
    score_terms = score_loss(logits, torch.where(positive, target_labels + 1, 0), score=score)
    hard = hardest_negatives(score_terms.detach(), positive, negative)
    return {
        "box": box / count,
        "score": score_terms[positive | hard].sum() / count,
    }


def score_loss(logits: Tensor, classes: Tensor, *, score: Literal["sigmoid", "softmax"]) -> Tensor:
    """Cross-entropy of each anchor, (B, A), for classes (B, A) with 0 as background."""
    if score == "softmax":
        return F.cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="none").view(
            classes.shape
        )
    wanted = F.one_hot(classes, logits.shape[-1])[..., 1:].to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits[..., 1:], wanted, reduction="none").sum(-1)


def hardest_negatives(losses: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """The background anchors that learn: in each picture the worst three for each positive one.

    Args:
        losses: (B, A).
        positive: (B, A) bool.
        negative: (B, A) bool.

    Returns:
        (B, A) bool.
    """
    wanted = (positive.sum(dim=1) * NEGATIVES_PER_POSITIVE).clamp(min=MIN_NEGATIVES)
    ranked = losses.masked_fill(~negative, -1.0).argsort(dim=1, descending=True)
    rank = torch.empty_like(ranked)
    rank.scatter_(1, ranked, torch.arange(losses.shape[1], device=ranked.device).expand_as(ranked))
    return (rank < wanted[:, None]) & negative
