import math

import pytest
import torch

from encompass.losses.semantic import iou_loss, pixel_loss

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


def test_the_iou_loss_of_sure_answers_is_one_minus_the_mean_iou():
    # Of six pixels: class 0 has IoU 2 / 4, class 1 has 1 / 3; class 2 is in no label.
    labels = torch.tensor([[[0, 0, 0, 1, 1, 255]]])
    found = torch.tensor([0, 0, 1, 1, 0, 2])
    logits = 100.0 * torch.nn.functional.one_hot(found, 3).T[None, :, None].float()
    loss = iou_loss(logits, labels, ignore=255)
    assert loss.item() == pytest.approx(1 - (2 / 4 + 1 / 3) / 2)


def test_the_iou_loss_by_hand():
    # Chances of class 1: 1/2, 3/4 (right), so its errors are 1/2, 1/4: the wrong pixel, first,
    # adds 1/2 to the error of an IoU of two pixels, and the right one the other half. Class 0
    # has the same errors, in the same order: its only pixel, first, adds all.
    loss = iou_loss(LOGITS, torch.tensor([[[0, 1, 255]]]), ignore=255)
    assert loss.item() == pytest.approx((1 / 2 + (1 / 2 * 1 / 2 + 1 / 4 * 1 / 2)) / 2)


def test_the_iou_loss_of_no_labels_is_nothing():
    logits = LOGITS.clone().requires_grad_()
    iou_loss(logits, torch.full((1, 1, 3), 255), ignore=255).backward()
    assert (logits.grad == 0).all()
