"""How far one detector's words are from another's; labels have no part in it."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional as F

SURE = 0.2  # score of an anchor from which the teacher says something of a box


def distillation_loss(
    logits: Tensor,
    offsets: Tensor,
    wanted_logits: Tensor,
    wanted_offsets: Tensor,
    *,
    score: Literal["sigmoid", "softmax"],
) -> dict[str, Tensor]:
    """What is missed of the teacher's scores and boxes, by the number of anchors it is sure of.

    Scores count at every anchor (Hinton et al. 2015), boxes where the teacher is sure.

    Args:
        logits: (B, A, classes + 1), background first.
        offsets: (B, A, 4).
        wanted_logits: the teacher's.
        wanted_offsets: the teacher's.
        score: how logits become scores.

    Returns:
        {"box": scalar, "score": scalar}: smooth L1, and the divergence of Kullback and Leibler.
    """
    scores, divergence = _divergence(logits, wanted_logits, score=score)
    sure = scores.amax(dim=-1) > SURE
    count = sure.sum().clamp(min=1)
    box = F.smooth_l1_loss(offsets[sure], wanted_offsets[sure], reduction="sum")
    return {"box": box / count, "score": divergence.sum() / count}


def feature_loss(given: Tensor, wanted: Tensor) -> Tensor:
    """The mean square by which maps differ, as a part of the variance of what is wanted."""
    return (given - wanted).square().mean() / wanted.var()


def _divergence(
    logits: Tensor, wanted: Tensor, *, score: Literal["sigmoid", "softmax"]
) -> tuple[Tensor, Tensor]:
    """The teacher's scores, (B, A, classes), and what is missed of them, (B, A)."""
    if score == "softmax":
        logs = wanted.log_softmax(dim=-1)
        missed = F.kl_div(logits.log_softmax(dim=-1), logs, reduction="none", log_target=True)
        return logs[..., 1:].exp(), missed.sum(dim=-1)
    given, wanted = logits[..., 1:], wanted[..., 1:]
    scores = wanted.sigmoid()
    crossed, own = (
        F.binary_cross_entropy_with_logits(x, scores, reduction="none") for x in (given, wanted)
    )
    return scores, (crossed - own).sum(dim=-1)
