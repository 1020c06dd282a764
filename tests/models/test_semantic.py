"""Semantic networks: the thesis's parameter counts, where logits lie, how they start."""

import dataclasses
import math

import pytest
import torch

from encompass.models.decoders import FcnDecoder, ScoreStep
from encompass.models.layers import tensorflow_parameters
from encompass.models.semantic import SemanticNetwork, upsample
from encompass.models.zoo import MODELS, SEMANTIC_MODELS

NAMES = list(SEMANTIC_MODELS)


def build(name, *, num_classes=4, **changes):
    torch.manual_seed(0)
    spec = dataclasses.replace(SEMANTIC_MODELS[name], **changes)
    network = SemanticNetwork(spec, num_classes=num_classes).eval()
    torch.nn.init.normal_(network.decoder.score.weight, std=0.01)  # FCN's starts at zero
    return network


def picture(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 255


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("squeezenet", 732_243),
        ("fcn8-squeezenet", 740_470),
        ("stride8-squeezenet", 732_243),
        ("mobilenet0.5", 839_283),
        ("fcn16-mobilenet0.5", 849_942),
        ("fcn8-mobilenet0.5", 858_169),
        ("stride16-mobilenet0.5", 839_283),
        ("stride8-mobilenet0.5", 839_283),
        # Not printed; a second step on the 64 channels of the first pool.
        ("fcn4-squeezenet", 740_470 + 19 * 19 * 16 + 19 + 64 * 19),
        ("stride4-squeezenet", 732_243),
        # Ours: context to 64, then three steps; batch norm has four numbers a channel.
        (
            "refine-mobilenet0.5",
            829_536
            + 64 * (512 + 4 + 512 + 1)
            + 64 * (256 + 4 + 9 + 4)
            + 48 * (64 + 4)
            + 48 * (128 + 4 + 9 + 4)
            + 32 * (48 + 4)
            + 32 * (64 + 4 + 9 + 4)
            + 16 * (32 + 4)
            + 16 * 19
            + 19,
        ),
    ],
)
def test_parameters_of_table_4_2(name, expected):
    network = SemanticNetwork(SEMANTIC_MODELS[name], num_classes=19)
    assert tensorflow_parameters(network) == expected


def test_the_person_study_has_four_methods_at_three_rates():
    methods = ("mobilenet0.5", "fcn16-mobilenet0.5", "fcn8-mobilenet0.5", "stride8-mobilenet0.5")
    for method in methods:
        for rate in (3, 5):
            row = SEMANTIC_MODELS[f"{method}-rate{rate}"]
            assert row == dataclasses.replace(SEMANTIC_MODELS[method], last_rate=rate)


def test_no_name_is_of_two_rows():
    assert not MODELS.keys() & SEMANTIC_MODELS.keys()


@pytest.mark.parametrize(
    ("name", "stride"),
    [
        ("mobilenet0.5", 32),
        ("fcn16-mobilenet0.5", 16),
        ("fcn8-mobilenet0.5", 8),
        ("stride16-mobilenet0.5", 16),
        ("stride8-mobilenet0.5", 8),
        ("squeezenet", 16),
        ("fcn8-squeezenet", 8),
        ("fcn4-squeezenet", 4),
        ("stride8-squeezenet", 8),
        ("stride4-squeezenet", 4),
        ("refine-mobilenet0.5", 4),
    ],
)
def test_logits_lie_on_cells_of_the_stride(name, stride):
    network = build(name)
    assert network.stride == stride
    with torch.no_grad():
        assert network(picture(1, 3, 64, 96)).shape == (1, 4, 64 // stride, 96 // stride)


@pytest.mark.parametrize(
    "name",
    ["fcn8-mobilenet0.5", "stride8-mobilenet0.5", "fcn4-squeezenet", "refine-mobilenet0.5"],
)
def test_a_picture_of_any_size_is_continued_in_grey(name):
    network = build(name)
    odd = picture(1, 3, 45, 71)
    base = network.spec.output_stride
    padded = torch.full((1, 3, math.ceil(45 / base) * base, math.ceil(71 / base) * base), 127.5)
    padded[..., :45, :71] = odd
    with torch.no_grad():
        logits, whole = network(odd), network(padded)
    torch.testing.assert_close(logits, whole)
    assert upsample(logits, stride=network.stride, size=(45, 71)).shape == (1, 4, 45, 71)


@pytest.mark.parametrize("encoder", ["mobilenet-shallow", "squeezenet1.0"])
def test_other_encoders_are_a_row_away(encoder):
    maps = {"mobilenet-shallow": (8, 6, 5), "squeezenet1.0": (11, 5, 1)}[encoder]
    stride = {"mobilenet-shallow": 32, "squeezenet1.0": 16}[encoder]
    network = build("mobilenet0.5", encoder=encoder, maps=maps, output_stride=stride)
    with torch.no_grad():
        assert network(picture(1, 3, 32, 64)).shape == (1, 4, 128 // stride, 256 // stride)


def test_skips_and_dilation_go_together():
    network = build("mobilenet0.5", maps=(13, 5), output_stride=16)
    with torch.no_grad():
        assert network(picture(1, 3, 32, 64)).shape == (1, 4, 4, 8)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_equals_its_pictures_one_by_one(name):
    network = build(name)
    pictures = picture(2, 3, 64, 64)
    with torch.no_grad():
        together = network(pictures)
        apart = torch.cat([network(each[None]) for each in pictures])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-4 * float(apart.abs().max()))


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name):
    network = build(name).train()
    fcn = isinstance(network.decoder, FcnDecoder)
    for step in network.decoder.steps if fcn else ():  # as after some training
        torch.nn.init.normal_(step.skip.weight, std=0.01)
    size = (2, 3, 160, 96)  # a rate of 5 sees more than padding
    logits = upsample(network(picture(*size)), stride=network.stride, size=size[-2:])
    labels = torch.arange(size[-1]).expand(2, *size[-2:]) % 4
    torch.nn.functional.cross_entropy(logits, labels).backward()
    silent = [
        n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("mobilenet0.5", "stride8-mobilenet0.5-rate5"),
        ("squeezenet", "stride4-squeezenet"),
        ("fcn8-mobilenet0.5", "fcn8-mobilenet0.5-rate3"),
    ],
)
def test_weights_carry_over_to_atrous_variants(first, second):
    unlike = build(second).load_state_dict(build(first).state_dict())
    assert (unlike.missing_keys, unlike.unexpected_keys) == ([], [])


@pytest.mark.parametrize(
    ("coarse", "dense"),
    [("mobilenet0.5", "stride8-mobilenet0.5"), ("squeezenet", "stride4-squeezenet")],
)
def test_a_dilated_row_has_the_logits_of_the_row_without(coarse, dense):
    first, second = build(coarse), build(dense)
    second.load_state_dict(first.state_dict())
    step = first.stride // second.stride
    with torch.no_grad():
        expected, found = first(picture(1, 3, 64, 96)), second(picture(1, 3, 64, 96))
    scale = float(expected.abs().max())
    torch.testing.assert_close(
        found[..., step - 1 :: step, step - 1 :: step], expected, rtol=1e-4, atol=1e-4 * scale
    )


def test_fcn_starts_as_bilinear_interpolation_of_the_row_without_skips():
    plain, skips = build("mobilenet0.5"), build("fcn8-mobilenet0.5")
    skips.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        coarse, fine = plain(picture(1, 3, 160, 160)), skips(picture(1, 3, 160, 160))
    once = upsample(coarse, stride=2, size=(10, 10))
    expected = upsample(once, stride=2, size=(20, 20))
    # At the border transposed convolutions take zeros from outside, interpolation the edge.
    torch.testing.assert_close(fine[..., 4:-4, 4:-4], expected[..., 4:-4, 4:-4])


def test_fcn_begins_with_classes_alike():
    network = SemanticNetwork(SEMANTIC_MODELS["fcn8-mobilenet0.5"], num_classes=3).eval()
    with torch.no_grad():
        assert not network(picture(1, 3, 32, 32)).any()


def test_a_step_interpolates_each_class_alone():
    step = ScoreStep(8, 2)
    scores = torch.zeros(1, 2, 3, 3)
    scores[0, 1, 1, 1] = 16.0
    with torch.no_grad():
        found = step(scores, torch.rand(1, 8, 6, 6))
    assert found[0, 0].abs().max() == 0
    assert found[0, 1, 2].tolist() == [0, 3, 9, 9, 3, 0]


def test_upsampling_keeps_cells_in_their_place():
    logits = torch.tensor([[[[0.0, 8.0]]]])
    # Centres of the two cells are at pixels 2 and 6 of 8; the picture has 7.
    found = upsample(logits, stride=4, size=(1, 7))[0, 0, 0]
    assert found.tolist() == [0, 0, 1, 3, 5, 7, 8]
