"""What a detector misses of another, by hand."""

import math

import pytest
import torch

from encompass.losses.distillation import distillation_loss, feature_loss


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def divergence(p: float, q: float) -> float:
    """Of a coin of q from one of p."""
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def test_scores_count_everywhere_and_boxes_where_the_teacher_is_sure():
    wanted = torch.tensor([[[9.0, logit(0.8)], [9.0, logit(0.5)], [9.0, logit(0.1)]]])
    given = torch.tensor([[[0.0, logit(0.6)], [0.0, logit(0.5)], [0.0, logit(0.3)]]])
    offsets = torch.zeros(1, 3, 4)
    wanted_offsets = torch.tensor([[[2.0, 0, 0, 0], [0, 0.5, 0, 0], [7, 7, 7, 7]]])
    losses = distillation_loss(given, offsets, wanted, wanted_offsets, score="sigmoid")
    expected = (divergence(0.8, 0.6) + divergence(0.1, 0.3)) / 2  # two anchors are sure
    assert losses["score"].item() == pytest.approx(expected, rel=1e-5)
    assert losses["box"].item() == pytest.approx((1.5 + 0.125) / 2)


def test_of_a_softmax_background_and_classes_compete():
    wanted = torch.tensor([[[0.2, 0.7, 0.1], [0.9, 0.05, 0.05]]]).log()
    given = torch.tensor([[[0.5, 0.3, 0.2], [0.8, 0.1, 0.1]]]).log()
    offsets, wanted_offsets = torch.zeros(1, 2, 4), torch.ones(1, 2, 4)
    losses = distillation_loss(given, offsets, wanted, wanted_offsets, score="softmax")
    first = 0.2 * math.log(0.2 / 0.5) + 0.7 * math.log(0.7 / 0.3) + 0.1 * math.log(0.1 / 0.2)
    second = 0.9 * math.log(0.9 / 0.8) + 0.1 * math.log(0.05 / 0.1)
    assert losses["score"].item() == pytest.approx(first + second, rel=1e-5)
    assert losses["box"].item() == pytest.approx(4 * 0.5)  # the first alone is sure


@pytest.mark.parametrize("score", ["sigmoid", "softmax"])
def test_who_is_sure_of_nothing_says_nothing_of_boxes(score):
    logits, offsets = torch.tensor([[[5.0, -5.0]]]), torch.zeros(1, 1, 4)
    losses = distillation_loss(logits, offsets, logits, offsets + 1, score=score)
    assert losses["box"].item() == 0
    assert losses["score"].item() == pytest.approx(0, abs=1e-6)


def test_maps_are_compared_in_parts_of_the_variance():
    wanted = torch.tensor([[1.0, 3.0]])
    assert feature_loss(wanted + 2, wanted).item() == pytest.approx(4 / 2)
