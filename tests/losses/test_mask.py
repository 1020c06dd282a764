import math

import pytest
import torch
from torch.nn import functional as F

from encompass.losses.mask import dice_loss, mask_loss


def test_alone_it_is_the_mean_cross_entropy():
    logits, targets = torch.randn(3, 4, 5), torch.rand(3, 4, 5)
    assert mask_loss(logits, targets) == F.binary_cross_entropy_with_logits(logits, targets)


def test_dice_worked_out():
    # Probabilities 1/2 and 1/2 against 1 and 0: shared 0.5, squares 0.5 and 1.
    logits, targets = torch.zeros(1, 1, 2), torch.tensor([[[1.0, 0.0]]])
    assert dice_loss(logits, targets).item() == pytest.approx(1 - 2 / 2.5)
    together = mask_loss(logits, targets, dice_weight=3)
    assert together.item() == pytest.approx(math.log(2) + 3 * (1 - 2 / 2.5))


def test_a_sure_and_right_mask_has_no_dice_loss_even_where_cells_are_part_covered():
    targets = torch.tensor([[[1.0, 0.5], [0.0, 0.0]]])
    assert dice_loss(torch.logit(targets, eps=1e-6), targets).item() == pytest.approx(0, abs=1e-4)


def test_cells_of_the_outline_weigh_more():
    logits = torch.tensor([[[0.0, 2.0]]])
    targets = torch.tensor([[[0.5, 1.0]]])
    edge, inside = math.log(2), math.log1p(math.exp(-2.0))
    loss = mask_loss(logits, targets, edge_weight=3).item()
    assert loss == pytest.approx((4 * edge + inside) / 5)
