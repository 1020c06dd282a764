"""The thesis's parameter counts, to the digit (Tables 5.5, 5.7 and 5.9), part by part."""

import pytest

from encompass.models.branches import Branch
from encompass.models.instance import SsdIsb
from encompass.models.layers import tensorflow_parameters
from encompass.models.mobilenet import MobileNetV1
from encompass.models.ssd import SsdMobileNet
from encompass.models.zoo import MODELS


@pytest.mark.parametrize(("multiplier", "expected"), [(1.0, 3_228_864), (0.5, 829_536)])
def test_trunk(multiplier, expected):
    assert tensorflow_parameters(MobileNetV1(multiplier=multiplier, outputs=())) == expected


def test_extras_and_predictors():
    detector = SsdMobileNet(multiplier=1.0, num_classes=1)
    assert tensorflow_parameters(detector.extras) == 2_226_944
    assert tensorflow_parameters(detector.predictors) == 87_750


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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("multi-shape-mn0.75", 5_211_360),
        # The same formula at the widths of blocks 11, 5 and 3.
        ("multi-shape-mn0.75-320", 3_152_790 + 10 * 144_033),
    ],
)
def test_row(name, expected):
    assert tensorflow_parameters(SsdIsb(MODELS[name], num_classes=1)) == expected
