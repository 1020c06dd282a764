"""The thesis's parameter counts, to the digit (Tables 5.5, 5.7 and 5.9), part by part."""

import itertools

import pytest

from encompass.models.branches import Branch
from encompass.models.instance import SsdIsb
from encompass.models.layers import tensorflow_parameters
from encompass.models.mobilenet import MobileNetV1
from encompass.models.ssd import SsdMobileNet
from encompass.models.zoo import MODELS


@pytest.mark.parametrize(
    ("multiplier", "expected"),
    [
        (1.0, 3_228_864),
        (0.5, 829_536),
        # The same formula at widths 24 to 768: 13 c + c d + 4 d for a block from c to d channels.
        (0.75, 1_832_976),
    ],
)
def test_trunk(multiplier, expected):
    assert tensorflow_parameters(MobileNetV1(multiplier=multiplier, outputs=())) == expected


@pytest.mark.parametrize(
    ("multiplier", "extras", "predictors"),
    [(1.0, 2_226_944, 87_750), (0.75, 1_253_952, 65_862)],
)
def test_extras_and_predictors(multiplier, extras, predictors):
    detector = SsdMobileNet(multiplier=multiplier, num_classes=1)
    assert tensorflow_parameters(detector.extras) == extras
    assert tensorflow_parameters(detector.predictors) == predictors


@pytest.mark.parametrize(("multiplier", "expected"), [(1.0, 5_543_558), (0.75, 3_152_790)])
def test_whole_detector(multiplier, expected):
    detector = SsdMobileNet(multiplier=multiplier, num_classes=1)
    assert tensorflow_parameters(detector) == expected


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ((1024, 512, 256), 247_073),  # FCN-8 at 1.0
        ((768, 384, 192), 205_857),  # FCN-8 at 0.75
        ((1024, 512), 222_433),  # FCN-16 at 1.0
    ],
)
def test_branch(channels, expected):
    assert tensorflow_parameters(Branch(channels, num_classes=1)) == expected


# Twice the six anchors of the last map, of 96 channels.
ENCOMPASS = 3_152_790 + 6 * 6 * (96 + 1)
# Three 1x1 of 96 channels, a 3x3 and four batch norms, and the predictor of three anchors.
FINE = (384 + 192 + 96) * 96 + 9 * 96 + 4 * 4 * 96 + 3 * 6 * (96 + 1)
REFINE = 9 * 32 + 32 * 32 + 32
ONE_SKIP = 144_033 - (32 * 32 * 16 + 32 + 96 * 32 + 32)  # of the 320 row's branch


def count_trunk(*widths: int) -> int:
    """Of the stem and thirteen separable blocks: kernels, four numbers a channel of a norm."""
    pairs = itertools.pairwise(widths)
    blocks = sum(9 * a + 4 * a + a * b + 4 * b for a, b in pairs)
    return 3 * 9 * widths[0] + 4 * widths[0] + blocks


WIDE = count_trunk(24, 48, 96, 96, 192, 192, *[384] * 6, 768, 768)
# 0.58 of all but blocks 5, 11 and 13, in whole sixteens.
SLIM = count_trunk(16, 32, 48, 48, 112, 192, *[224] * 5, 384, 448, 768)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("single-branch", 5_790_631),
        ("single-branch-mn0.75", 3_358_647),
        ("single-branch-fcn16", 5_765_991),
        ("single-branch-anchors", 5_790_631),  # another training, the same network
        ("single-shape-plus", 9_002_580),
        ("multi-shape", 8_014_288),
        ("multi-shape-mn0.75", 5_211_360),
        ("multi-shape-fcn16", 7_767_888),
        ("multi-shape-new-shapes", 7_273_069),
        ("multi-shape-small-shapes", 7_520_142),
        # Table 5.5 prints 8,862,738, which no number of branches gives: with the thirteen exact
        # shapes that Single-Shape+'s count proves it is the detector and thirteen branches.
        ("single-shape", 5_543_558 + 13 * 247_073),
        ("single-branch-aligned", 5_790_631),
        ("mask-rcnn-head", 5_543_558 + 3_082_497),  # its head is counted in test_branches.py
        # The same formula at the widths of blocks 11, 5 and 3.
        ("multi-shape-mn0.75-320", 3_152_790 + 10 * 144_033),
        # Two refinements more: 3x3 of 32 channels, and 32 x 32 with bias.
        ("encompass-s", ENCOMPASS + FINE + 144_033 + 2 * REFINE),
        ("encompass-m", ENCOMPASS + FINE + 144_033 + 2 * REFINE),
        ("encompass-n", ENCOMPASS + FINE - WIDE + SLIM + ONE_SKIP + REFINE),
        # Three channels more: a depthwise kernel and a row of the pointwise each.
        ("multi-shape-box-320", 3_152_790 + 10 * (144_033 + 3 * (9 + 128))),
        ("multi-shape-shared-320", 3_152_790 + 144_033),
        ("multi-shape-shared-box-320", 3_152_790 + 144_033 + 3 * (9 + 128)),
        ("large-shape-box-320", 3_152_790 + 144_033 + 3 * (9 + 128)),
        ("aspect-shared-box-320", 3_152_790 + 144_033 + 3 * (9 + 128)),
        ("large-shape-320", 3_152_790 + 144_033),
        ("large-shape-aligned-320", 3_152_790 + 144_033),
        # Without the second skip: its transposed convolution and its 1x1.
        ("large-shape-aligned-fcn16-320", 3_152_790 + ONE_SKIP),
        ("large-shape-aligned-refine-320", 3_152_790 + 144_033 + 2 * (9 * 32 + 32 * 32 + 32)),
    ],
)
def test_row(name, expected):
    assert tensorflow_parameters(SsdIsb(MODELS[name], num_classes=1)) == expected


def test_the_branch_of_the_320_row_worked_out():
    depthwise, pointwise = 9 * 384, 384 * 128 + 128
    first = 128 * 32 * 16 + 32 + 192 * 32 + 32
    second = 32 * 32 * 16 + 32 + 96 * 32 + 32
    assert depthwise + pointwise + first + second + 32 + 1 == 144_033
