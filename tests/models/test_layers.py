import pytest
import torch
from torch import nn

from encompass.models.layers import (
    ConvNormAct,
    SameConv2d,
    bilinear_kernel,
    freeze_batch_norm,
    renew_statistics,
    same_padding,
    tensorflow_parameters,
)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [
        (4, 3, 2, (0, 1)),  # even and strided: right and bottom alone
        (5, 3, 2, (1, 1)),
        (5, 3, 1, (1, 1)),
        (300, 3, 2, (0, 1)),
        (75, 3, 2, (1, 1)),
        (1, 3, 2, (1, 1)),
        (7, 1, 2, (0, 0)),
    ],
)
def test_same_padding_is_tensorflows(size, kernel, stride, expected):
    assert same_padding(size, kernel, stride) == expected


def test_strided_convolution_of_an_even_size_starts_at_the_first_pixel():
    conv = SameConv2d(1, 1, 3, stride=2, bias=False)
    nn.init.zeros_(conv.weight)
    conv.weight.data[0, 0, 0, 0] = 1.0  # copies the top-left pixel of each window
    ramp = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert conv(ramp).flatten().tolist() == [0, 2, 8, 10]


def test_strided_convolution_of_an_odd_size_starts_one_pixel_outside():
    conv = SameConv2d(1, 1, 3, stride=2, bias=False)
    nn.init.zeros_(conv.weight)
    conv.weight.data[0, 0, 1, 1] = 1.0
    ramp = torch.arange(25.0).reshape(1, 1, 5, 5)
    assert conv(ramp).flatten().tolist() == [0, 2, 4, 10, 12, 14, 20, 22, 24]


def test_tensorflow_counts_four_numbers_a_batch_norm_channel():
    assert tensorflow_parameters(ConvNormAct(3, 8, 3)) == 3 * 8 * 9 + 4 * 8


def test_frozen_batch_norm_keeps_its_statistics():
    unit = ConvNormAct(3, 4, 1).train()
    freeze_batch_norm(unit)
    unit(torch.randn(2, 3, 5, 5))
    assert unit[1].running_mean.tolist() == [0, 0, 0, 0]


def test_bilinear_kernel_of_four():
    row = [0.25, 0.75, 0.75, 0.25]
    expected = torch.tensor([[a * b for b in row] for a in row])
    torch.testing.assert_close(bilinear_kernel(4), expected)


def test_renewed_statistics_are_the_inputs_and_change_no_output():
    torch.manual_seed(0)
    network = nn.Sequential(ConvNormAct(3, 4, 3), ConvNormAct(4, 5, 1)).eval()
    for norm in (network[0][1], network[1][1]):
        nn.init.normal_(norm.bias)
        norm.running_mean.fill_(0.3)
    pictures = [torch.randn(1, 3, 8, 8), torch.randn(2, 3, 6, 10)]
    before = [network(x) for x in pictures]
    renew_statistics(network, network, pictures)
    for x, expected in zip(pictures, before, strict=True):
        torch.testing.assert_close(network(x), expected)
    read = torch.cat([network[0][0](x).transpose(0, 1).flatten(1) for x in pictures], dim=1)
    torch.testing.assert_close(network[0][1].running_mean, read.mean(dim=1))
    torch.testing.assert_close(network[0][1].running_var, read.var(dim=1, correction=0))


def test_a_network_without_batch_norm_reads_nothing_to_renew():
    network, pictures = nn.Conv2d(3, 4, 1), iter([torch.zeros(1, 3, 8, 8)])
    renew_statistics(network, network, pictures)
    assert len(list(pictures)) == 1
