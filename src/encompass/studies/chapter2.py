"""Tables 2.6 and 2.7 of the thesis: what our trunks cost as classifiers of ImageNet.

The thesis quotes both tables from Howard et al. (2017): accuracy, multiply-adds and parameters of
MobileNet-v1 at 224x224, and of other networks. Here nothing is trained on ImageNet (its pictures
are not ours to have, and the weights are Google's), so accuracies are the thesis's alone; costs are
computed from the trunks of this package, with the classifier of 1,000 classes that belongs on
them. Parameters count batch norm as two numbers a channel, as the table does and no other table.

What differs: SqueezeNet pads as TensorFlow does, so its maps are larger by a cell than those of the
table's (which `tests/models/test_encoders.py` computes to the digit). The row of full convolutions
is no trunk here; it is worked out from MobileNet's layers, and has no classifier's multiply-adds.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from encompass.evaluate.cost import CostCounter
from encompass.models.mobilenet import BLOCKS, SHALLOW, MobileNetV1
from encompass.models.squeezenet import SqueezeNet
from encompass.studies import published
from encompass.studies.markdown import table

CLASSES = 1000  # ImageNet's


class TrunkCost(NamedTuple):
    """Of a trunk with its classifier."""

    macs: int  # multiply-adds of one picture
    parameters: int


def trunk_costs() -> dict[str, dict[str, TrunkCost]]:
    """Table -> row as it is printed there -> our cost; rows of networks that are not here lack."""
    mobilenets = {
        f"Conv dw, depth {multiplier}": _mobilenet(float(multiplier))
        for multiplier in ("1.0", "0.75", "0.50", "0.25")
    }
    return {
        "2.6": {
            "Conv full, depth 1.0": _full_convolutions(),
            **mobilenets,
            "Conv dw, shallow": _mobilenet(1.0, SHALLOW),
        },
        "2.7": {"SqueezeNet": _cost(SqueezeNet(version="1.0", outputs=(11,)), 227, each_cell=True)},
    }


def _mobilenet(multiplier: float, blocks: tuple[tuple[int, int], ...] = BLOCKS) -> TrunkCost:
    trunk = MobileNetV1(multiplier=multiplier, outputs=(len(blocks),), blocks=blocks, min_depth=8)
    return _cost(trunk, 224, each_cell=False)


@torch.no_grad()
def _cost(trunk: nn.Module, size: int, *, each_cell: bool) -> TrunkCost:
    """MobileNet averages its last map and scores that; SqueezeNet scores each cell and averages."""
    with CostCounter() as counter:
        (last,) = trunk.eval()(torch.zeros(1, 3, size, size)).values()
    _, channels, height, width = last.shape
    scored = height * width if each_cell else 1
    parameters = sum(parameter.numel() for parameter in trunk.parameters())
    return TrunkCost(
        macs=counter.macs + channels * CLASSES * scored,
        parameters=parameters + channels * CLASSES + CLASSES,
    )


def _full_convolutions() -> TrunkCost:
    """MobileNet's layers with a 3x3 convolution of all channels in place of each separable one."""
    cells, channels = 112**2, 32
    macs, parameters = cells * 27 * 32, 27 * 32 + 1024 * CLASSES + CLASSES
    for depth, stride in BLOCKS:
        cells //= stride**2
        macs += cells * 9 * channels * depth
        parameters += 9 * channels * depth
        channels = depth
    return TrunkCost(macs, parameters)


def chapter2() -> list[str]:
    """The section of RESULTS.md, as lines."""
    ours = trunk_costs()
    rows = []
    for number in ours:
        for name, (accuracy, macs, parameters) in published.TABLES[number].rows.items():
            cost = ours[number].get(name)
            own = (f"{cost.macs / 1e6:,.0f}", f"{cost.parameters / 1e6:.2f}") if cost else "--"
            shown = [f"{own[0]} ({macs:,.0f})", f"{own[1]} ({parameters:g})"]
            rows.append([name, number, f"({accuracy:.1f})", *shown])
    head = ["network", "table", "ImageNet accuracy, %", "million multiply-adds"]
    return [
        "## The trunks as classifiers (Tables 2.6 and 2.7)",
        "",
        "Computed from the trunks (`studies/chapter2.py`), in brackets the thesis's figures. "
        "Nothing is trained on ImageNet here. The thesis's SqueezeNet counts multiplications and "
        "additions apart: 1,700 are 850 multiply-adds, 833 without padding (a test) and more with "
        "TensorFlow's, which ours has. Networks with a dash are not in this package.",
        "",
        table([*head, "million parameters"], rows),
        "",
    ]
