"""The counter of costs, against sums worked by hand."""

import torch
from torch import nn
from torch.nn import functional as F

from encompass.evaluate.cost import CostCounter


def cost(call):
    with CostCounter() as counter, torch.no_grad():
        call()
    return counter.macs, counter.output_bytes


def test_a_convolution_has_a_multiply_add_for_each_tap_of_each_output():
    conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
    x = torch.zeros(1, 3, 8, 6)
    assert cost(lambda: conv(x)) == (8 * (4 * 3) * (3 * 3 * 3), 4 * 8 * (4 * 3))


def test_a_depthwise_convolution_sees_one_channel_an_output():
    conv = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
    assert cost(lambda: conv(torch.ones(1, 8, 5, 4))) == (8 * 20 * 9, 2 * 4 * 8 * 20)


def test_a_transposed_convolution_has_a_multiply_add_for_each_tap_of_each_input():
    up = nn.ConvTranspose2d(16, 4, 4, stride=2, padding=1)
    x = torch.zeros(2, 16, 3, 3)
    assert cost(lambda: up(x)) == (2 * 9 * 16 * 4 * (4 * 4), 4 * 2 * 4 * 36)


def test_a_matrix_product():
    a, b = torch.zeros(2, 3), torch.zeros(3, 5)
    assert cost(lambda: a @ b) == (2 * 3 * 5, 4 * 2 * 5)


def test_views_and_in_place_operators_output_nothing():
    x = torch.zeros(2, 3, 4)
    views = (
        lambda: x.permute(2, 0, 1)[1:].unsqueeze(0),
        lambda: x.view(6, 4).unbind(0),
        lambda: x.expand(5, 2, 3, 4),
        lambda: x.reshape(24),
    )
    for call in (*views, lambda: x.add_(1).clamp_(0, 6), lambda: F.relu(x, inplace=True)):
        assert cost(call) == (0, 0)


def test_every_output_counts_with_the_bytes_of_its_type():
    x = torch.zeros(10)
    assert cost(lambda: x.max(dim=0)) == (0, 4 + 8)  # a float32 and its int64 place
    assert cost(lambda: x > 0) == (0, 10)
    assert cost(lambda: x.half()) == (0, 20)


def test_a_small_network_is_the_sum_of_its_layers():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU6(inplace=True), nn.Flatten()
    ).eval()
    x = torch.zeros(1, 3, 5, 5)
    one_map = 4 * 4 * 25  # bytes
    assert cost(lambda: network(x)) == (3 * 4 * 25, 2 * one_map)
    network[2] = nn.ReLU6()
    assert cost(lambda: network(x)) == (3 * 4 * 25, 3 * one_map)
