import math

import pytest
import torch

from encompass.losses.detection import detection_loss, hardest_negatives, score_loss
from encompass.losses.mask import mask_loss
from encompass.losses.matching import Matches


def test_three_hardest_negatives_for_each_positive():
    losses = torch.tensor([[9.0, 5, 4, 3, 2, 8]])
    positive = torch.tensor([[True, False, False, False, False, False]])
    negative = torch.tensor([[False, True, True, True, True, False]])  # the last one is ignored
    hard = hardest_negatives(losses, positive, negative)
    assert hard.tolist() == [[False, True, True, True, False, False]]


def test_a_picture_without_objects_still_learns_three_negatives():
    none = torch.zeros(1, 5, dtype=torch.bool)
    assert hardest_negatives(torch.rand(1, 5), none, ~none).sum() == 3


def test_score_loss_at_even_odds():
    logits = torch.zeros(1, 2, 2)
    classes = torch.tensor([[0, 1]])
    for kind in ("softmax", "sigmoid"):
        loss = score_loss(logits, classes, score=kind)
        torch.testing.assert_close(loss, torch.full((1, 2), math.log(2)))


def test_sigmoid_does_not_look_at_the_background():
    logits = torch.tensor([[[100.0, 0.0]]])
    loss = score_loss(logits, torch.tensor([[1]]), score="sigmoid")
    assert loss.item() == pytest.approx(math.log(2))


def test_the_two_terms_worked_by_hand():
    matches = [Matches(torch.tensor([0, -1, -1]))]
    losses = detection_loss(
        torch.zeros(1, 3, 2),
        torch.tensor([[[2.0, 0, 0, 0], [9, 9, 9, 9], [9, 9, 9, 9]]]),
        torch.zeros(1, 3, 4),
        torch.zeros(1, 3, dtype=torch.long),
        matches,
        score="sigmoid",
    )
    assert losses["box"].item() == pytest.approx(1.5)  # |2| - 0.5, the background left out
    assert losses["score"].item() == pytest.approx(3 * math.log(2))  # one positive, two negatives


def test_mask_loss_is_least_where_the_logit_says_the_coverage():
    target = torch.full((1, 1, 1), 0.25)
    best = torch.tensor([[[math.log(0.25 / 0.75)]]], requires_grad=True)
    mask_loss(best, target).backward()
    assert best.grad.abs().item() < 1e-6
