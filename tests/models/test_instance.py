import dataclasses

import numpy as np
import pytest
import torch

from encompass.geometry.resize import Stretch
from encompass.models.instance import (
    SsdIsb,
    class_scores,
    mask_confidence,
    predict_instances,
    predict_masks,
)
from encompass.models.zoo import InstanceSpec, resizing

SPEC = InstanceSpec(
    multiplier=0.25,
    input_size=64,
    branches=resizing([(4, 3), (2, 2), (1, 1)]),
    crop_blocks=(11, 5, 3),
)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return SsdIsb(SPEC, num_classes=1).eval()


def test_a_batch_equals_its_pictures_one_by_one(network):
    pictures = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 255
    with torch.no_grad():
        together = network(pictures)
        for i, picture in enumerate(pictures):
            alone = network(picture[None])
            torch.testing.assert_close(together.logits[i], alone.logits[0], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(together.offsets[i], alone.offsets[0], rtol=1e-4, atol=1e-5)


def test_masks_come_in_the_order_of_the_boxes_with_the_shape_of_their_branch(network):
    with torch.no_grad():
        outputs = network(torch.rand(1, 3, 64, 64) * 255)
        features = {block: f[0] for block, f in outputs.features.items()}
        boxes = torch.tensor([[1.0, 1, 15, 15], [0, 0, 64, 64], [10, 10, 30, 30], [20, 1, 30, 9]])
        said = network.masks(features, boxes)
        assert said.branches.tolist() == [2, 0, 1, 2]
        assert [tuple(m.shape) for m in said.logits] == [
            (1, 4, 4),
            (1, 16, 12),
            (1, 8, 8),
            (1, 4, 4),
        ]
        alone = network.masks(features, boxes[2:3])
    torch.testing.assert_close(said.logits[2], alone.logits[0], rtol=1e-4, atol=1e-5)


def test_no_gradient_from_a_mask_reaches_the_detector(network):
    outputs = network(torch.rand(1, 3, 64, 64) * 255)
    features = {block: f[0] for block, f in outputs.features.items()}
    assert features[11].requires_grad
    said = network.masks(features, torch.tensor([[0.0, 0, 64, 64]]))
    said.logits[0].sum().backward()
    assert all(p.grad is None for p in network.detector.parameters())
    assert all(p.grad is not None for p in network.branches[0].parameters())
    network.zero_grad()


def test_sigmoid_ignores_the_background_and_softmax_does_not():
    logits = torch.tensor([[5.0, 0.0], [0.0, 0.0]])
    assert class_scores(logits, SPEC).flatten().tolist() == [0.5, 0.5]
    softmax = class_scores(logits, dataclasses.replace(SPEC, score="softmax")).flatten()
    assert softmax[0] < 0.01
    assert softmax[1] == 0.5


@torch.no_grad()
def test_predictions_are_in_the_pictures_own_pixels(network):
    picture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(3)) * 255
    small = predict_instances(
        network, network(picture[None]), Stretch((64, 64), (64, 64)), names=("person",), score=0.0
    )
    large = predict_instances(
        network,
        network(picture[None]),
        Stretch((128, 192), (64, 64)),
        names=("person",),
        score=0.0,
    )
    assert len(small) == len(large) > 0
    np.testing.assert_allclose(large.boxes, small.boxes * [3, 2, 3, 2], rtol=1e-5)
    assert (large.height, large.width) == (128, 192)
    assert all(m.x + m.pixels.shape[1] <= 192 for m in large.masks)


@torch.no_grad()
def test_without_masks_the_branches_do_not_run(network, monkeypatch):
    monkeypatch.setattr(network, "masks", None)
    found = predict_instances(
        network,
        network(torch.zeros(1, 3, 64, 64)),
        Stretch((64, 64), (64, 64)),
        names=("person",),
        score=0.0,
        with_masks=False,
    )
    assert found.masks == ()


def test_mask_confidence_is_the_mean_probability_of_the_cells_that_are_set():
    three = float(torch.tensor(3.0).log())  # probability 0.75
    nine = float(torch.tensor(9.0).log())  # probability 0.9
    assert mask_confidence(torch.tensor([[three, nine], [-5.0, 0.0]])) == pytest.approx(0.825)
    assert mask_confidence(torch.tensor([[-1.0, -2.0]])) == 0.5


@torch.no_grad()
def test_objects_whose_mask_is_unsure_fall_below_the_threshold(network):
    picture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(3)) * 255
    outputs, stretch = network(picture[None]), Stretch((64, 64), (64, 64))
    ranked = SsdIsb(dataclasses.replace(SPEC, mask_confidence=True), num_classes=1).eval()
    ranked.load_state_dict(network.state_dict())
    plain = predict_instances(network, outputs, stretch, names=("person",), score=0.4)
    sure = predict_instances(ranked, outputs, stretch, names=("person",), score=0.4)
    assert len(sure) < len(plain)
    assert (sure.scores > 0.4).all()
    assert (np.diff(sure.scores) <= 0).all()


@torch.no_grad()
def test_masks_of_given_boxes_are_those_of_the_detector_where_it_found_them(network):
    picture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(3)) * 255
    outputs, stretch = network(picture[None]), Stretch((128, 192), (64, 64))
    found = predict_instances(network, outputs, stretch, names=("person",), score=0.0)[:5]
    masks = predict_masks(network, outputs, stretch, found.boxes, found.labels)
    assert len(masks) == 5
    for mask, expected in zip(masks, found.masks, strict=True):
        assert (mask.x, mask.y) == (expected.x, expected.y)
        assert np.array_equal(mask.pixels, expected.pixels)
