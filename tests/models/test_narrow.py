"""Narrowing keeps what a trunk computes as far as its channels allow."""

import torch
from torch import nn

from encompass.models.layers import freeze_batch_norm
from encompass.models.mobilenet import MobileNetV1
from encompass.models.narrow import _eliminate, narrow


def make(inner: float = 1.0) -> MobileNetV1:
    trunk = MobileNetV1(multiplier=0.5, outputs=(3, 11, 13), inner=inner)
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, 1.0, 0.5)
            module.running_var.uniform_(0.5, 2.0)
    return trunk.eval()


def pictures(count: int, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 4, 3, 6, 6, generator=generator) * 2 - 1
    return [nn.functional.interpolate(x, (96, 96), mode="bicubic") for x in coarse]


def test_inner_widths_are_whole_vectors_and_outputs_stay():
    wide, slim = make(), make(2 / 3)
    assert wide.channels == dict(enumerate([16, 32, 64, 64, 128, 128, *[256] * 6, 512, 512]))
    assert slim.channels == dict(enumerate([16, 16, 48, 64, 80, 80, *[176] * 5, 256, 336, 512]))


def test_what_is_as_wide_is_copied():
    torch.manual_seed(0)
    wide, slim = make(), make()
    narrow(wide, slim, pictures(2, seed=0))
    for name, tensor in wide.state_dict().items():
        torch.testing.assert_close(slim.state_dict()[name], tensor, rtol=0, atol=0)


def test_channels_that_say_nothing_are_dropped_for_free():
    """Some say what another one says, one is always zero: what is left says it all."""
    torch.manual_seed(0)
    wide, slim = make(), make(2 / 3)
    with torch.no_grad():
        for number, width in wide.channels.items():
            needed = slim.channels[number]
            if needed == width:
                continue  # an output
            unit = wide.blocks[number - 1][1] if number else wide.stem
            depthwise = wide.blocks[number][0]
            for channel in range(needed, width):
                twin = channel - needed
                for part in (unit, depthwise):
                    part[0].weight[channel] = part[0].weight[twin]
                    for name in ("weight", "bias", "running_mean", "running_var"):
                        getattr(part[1], name)[channel] = getattr(part[1], name)[twin]
            depthwise[1].weight[width - 1], depthwise[1].bias[width - 1] = 0, -1  # always zero
    narrow(wide, slim, pictures(6, seed=1))
    freeze_batch_norm(slim)
    for x in pictures(1, seed=2):
        with torch.no_grad():
            for block, expected in wide(x).items():
                got = slim(x)[block]
                assert got.shape == expected.shape
                assert (got - expected).square().mean() < 1e-3 * expected.var()


def test_channels_are_chosen_as_by_trying_all():
    """Of five channels one goes: the one without which the best fit errs least."""
    generator = torch.Generator().manual_seed(3)
    z = torch.randn(500, 5, generator=generator, dtype=torch.float64)
    z[:, 3] = z[:, 0] - z[:, 1] + 0.1 * z[:, 3]
    z = torch.cat([z, torch.ones(500, 1, dtype=torch.float64)], dim=1)
    kernel = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    wanted = z[:, :5] @ kernel.T

    def error(kept: list[int]) -> float:
        part = z[:, [*kept, 5]]
        return float((wanted - part @ torch.linalg.lstsq(part, wanted).solution).square().sum())

    best = min(([c for c in range(5) if c != gone] for gone in range(5)), key=error)
    assert _eliminate(z.T @ z, kernel, 4).tolist() == best
