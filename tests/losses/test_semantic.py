import math

import pytest
import torch

from encompass.losses.semantic import pixel_loss

LOGITS = torch.tensor([[[[0.0, 0.0, 5.0]], [[0.0, math.log(3), -5.0]]]])  # (1, 2, 1, 3)


def test_the_mean_over_pixels_with_a_class():
    labels = torch.tensor([[[0, 1, 255]]])
    # Softmax 1/2 of class 0, then 3/4 of class 1; the third is ignored.
    expected = -(math.log(1 / 2) + math.log(3 / 4)) / 2
    assert pixel_loss(LOGITS, labels, ignore=255).item() == pytest.approx(expected)


def test_a_class_weighs_as_told():
    labels = torch.tensor([[[0, 1, 255]]])
    expected = -(3 * math.log(1 / 2) + 1 * math.log(3 / 4)) / 4
    loss = pixel_loss(LOGITS, labels, ignore=255, weights=torch.tensor([3.0, 1.0]))
    assert loss.item() == pytest.approx(expected)


def test_ignored_pixels_teach_nothing():
    logits = LOGITS.clone().requires_grad_()
    pixel_loss(logits, torch.tensor([[[0, 1, 255]]]), ignore=255).backward()
    assert (logits.grad[..., 2] == 0).all() and (logits.grad[..., :2] != 0).all()
    logits.grad = None
    loss = pixel_loss(logits, torch.full((1, 1, 3), 255), ignore=255)
    loss.backward()
    assert loss.item() == 0 and (logits.grad == 0).all()
