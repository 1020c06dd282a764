"""MobileNet-v1 and SqueezeNet: their cost as published, and dilation in place of strides."""

import pytest
import torch

from encompass.evaluate.cost import CostCounter
from encompass.models import layers
from encompass.models.branches import initialise
from encompass.models.layers import SameConv2d, SameMaxPool2d, dilate, tensorflow_parameters
from encompass.models.mobilenet import BLOCKS, SHALLOW, MobileNetV1
from encompass.models.squeezenet import SqueezeNet
from encompass.studies.chapter2 import trunk_costs

CLASSES = 1000  # ImageNet's


def cost(trunk, size, *, scores_each_cell):
    """Multiply-adds and parameters (batch norm: two a channel) of a trunk with its classifier.

    MobileNet averages its last map and scores that; SqueezeNet scores each cell and averages.
    """
    with torch.no_grad(), CostCounter() as counter:
        (last,) = trunk.eval()(torch.zeros(1, 3, size, size)).values()
    _, channels, height, width = last.shape
    cells = height * width if scores_each_cell else 1
    parameters = sum(p.numel() for p in trunk.parameters()) + channels * CLASSES + CLASSES
    return counter.macs + channels * CLASSES * cells, parameters


@pytest.fixture
def valid_padding(monkeypatch):
    """Strided layers pad nothing, as in SqueezeNet's releases."""
    same = layers.same_padding
    monkeypatch.setattr(
        layers, "same_padding", lambda n, k, stride: (0, 0) if stride > 1 else same(n, k, stride)
    )


@pytest.mark.parametrize(
    ("multiplier", "blocks", "macs", "parameters"),
    [
        # Table 2.6 rounds them to 569, 325, 149, 41 and 307 million, and 4.2, 2.6, 1.3, 0.5, 2.9.
        (1.0, BLOCKS, 568_740_352, 4_231_976),
        (0.75, BLOCKS, 325_400_448, 2_585_560),
        (0.5, BLOCKS, 149_497_088, 1_331_592),
        (0.25, BLOCKS, 41_030_272, 470_072),
        (1.0, SHALLOW, 307_323_392, 2_887_976),
    ],
)
def test_mobilenets_of_table_2_6(multiplier, blocks, macs, parameters):
    trunk = MobileNetV1(multiplier=multiplier, outputs=(len(blocks),), blocks=blocks, min_depth=8)
    assert cost(trunk, 224, scores_each_cell=False) == (macs, parameters)


def test_full_convolutions_of_table_2_6_worked_out():
    # 4866 million multiply-adds, here without the classifier, and 29.3 million parameters.
    macs, parameters = trunk_costs()["2.6"]["Conv full, depth 1.0"]
    assert (macs // 10**6, round(parameters / 1e6, 1)) == (4866, 29.3)


def test_at_least_16_channels_would_not_be_table_2_6():
    trunk = MobileNetV1(multiplier=0.25, outputs=(13,), min_depth=16)
    macs, _ = cost(trunk, 224, scores_each_cell=False)
    assert macs // 10**6 == 46  # the table prints 41


def test_squeezenet_of_table_2_7(valid_padding):
    # Its row is version 1.0 at the cells of Table 2.4 (111, 55, 27, 13). 1.25 million parameters
    # are these; 1700 million "multi-adds" count the two operations apart, unlike MobileNet's.
    macs, parameters = cost(SqueezeNet(version="1.0", outputs=(11,)), 227, scores_each_cell=True)
    assert (macs, parameters) == (832_667_936, 1_248_424)
    assert round(2 * macs / 1e6, -2) == 1700


def test_squeezenet_1_1_costs_two_fifths_of_1_0(valid_padding):
    macs, parameters = cost(SqueezeNet(outputs=(11,)), 224, scores_each_cell=True)
    assert (macs, parameters) == (349_151_936, 1_235_496)


def test_squeezenet_1_1_trunk_is_the_one_the_thesis_counts():
    assert tensorflow_parameters(SqueezeNet(outputs=())) == 722_496


def test_maps_of_squeezenet_have_the_cells_of_their_strides():
    trunk = SqueezeNet(outputs=(1, 4, 7, 11))
    maps = trunk(torch.zeros(1, 3, 64, 96))
    assert [tuple(m.shape[1:]) for m in maps.values()] == [
        (64, 16, 24),
        (128, 8, 12),
        (256, 4, 6),
        (512, 4, 6),
    ]
    assert [trunk.strides[number] for number in maps] == [4, 8, 16, 16]


def test_dilation_takes_the_place_of_strides_one_layer_later():
    strides = [1, 2, 1, 2, 1]
    assert dilate(strides, start=2, output_stride=8) == [(1, 1), (2, 1), (1, 1), (2, 1), (1, 1)]
    assert dilate(strides, start=2, output_stride=4) == [(1, 1), (2, 1), (1, 1), (1, 1), (1, 2)]
    assert dilate(strides, start=2, output_stride=2) == [(1, 1), (1, 1), (1, 2), (1, 2), (1, 4)]


def rates(trunk):
    convolutions = [m for m in trunk.modules() if isinstance(m, SameConv2d)]
    return [conv.dilation[0] for conv in convolutions if conv.kernel_size == (3, 3)]


@pytest.mark.parametrize(
    ("output_stride", "last_rate", "expected"),
    [
        (32, 1, [1] * 14),
        (16, 1, [1] * 13 + [2]),
        (8, 1, [1] * 7 + [2] * 6 + [4]),
        (32, 5, [1] * 13 + [5]),
        (8, 3, [1] * 7 + [2] * 6 + [12]),
    ],
)
def test_rates_of_mobilenets_stem_and_blocks(output_stride, last_rate, expected):
    trunk = MobileNetV1(
        multiplier=0.25, outputs=(), output_stride=output_stride, last_rate=last_rate
    )
    assert rates(trunk) == expected


@pytest.mark.parametrize(
    ("output_stride", "last_rate", "expected"),
    [
        (16, 1, [1] * 9),
        (8, 1, [1] * 5 + [2] * 4),
        (4, 1, [1] * 3 + [2] * 2 + [4] * 4),
        (16, 3, [1] * 8 + [3]),
    ],
)
def test_rates_of_squeezenets_stem_and_fires(output_stride, last_rate, expected):
    assert (
        rates(SqueezeNet(outputs=(), output_stride=output_stride, last_rate=last_rate)) == expected
    )


def mobilenet(output_stride):
    return MobileNetV1(multiplier=0.25, outputs=(13,), output_stride=output_stride), 13


def squeezenet(version):
    def build(output_stride):
        return SqueezeNet(version=version, outputs=(11,), output_stride=output_stride), 11

    return build


@pytest.mark.parametrize(
    ("build", "stride", "dilated"),
    [
        (mobilenet, 32, 16),
        (mobilenet, 32, 8),
        (squeezenet("1.1"), 16, 8),
        (squeezenet("1.1"), 16, 4),
        (squeezenet("1.0"), 16, 8),
    ],
)
def test_a_dilated_trunk_has_the_strided_one_in_its_cells(build, stride, dilated):
    # SAME padding of an even size puts a strided cell at the last of its cells, not at the first.
    torch.manual_seed(0)
    strided, last = build(stride)
    dense, _ = build(dilated)
    strided.apply(initialise).eval()
    dense.eval().load_state_dict(strided.state_dict())  # names and shapes are the same
    picture = torch.rand(1, 3, 64, 96) * 2 - 1
    with torch.no_grad():
        expected, found = strided(picture)[last], dense(picture)[last]
    step = stride // dilated
    assert found.shape[-2:] == (64 // dilated, 96 // dilated)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found[..., step - 1 :: step, step - 1 :: step], expected)


def test_an_odd_size_starts_at_the_first_cell_instead():
    pool = [
        SameMaxPool2d(3, stride=stride)(torch.arange(5.0)[None, None, None]) for stride in (1, 2)
    ]
    assert pool[0].flatten().tolist() == [1, 2, 3, 4, 4]
    assert pool[1].flatten().tolist() == [1, 3, 4]
    assert pool[0][..., ::2].equal(pool[1])


def test_a_dilated_maximum_looks_past_its_neighbours():
    row = torch.tensor([9.0, 0, 1, 0, 0, 2])[None, None, None]
    assert SameMaxPool2d(3, stride=1, rate=2)(row).flatten().tolist() == [9, 0, 9, 2, 1, 2]
