"""Channel pruning keeps what a trunk computes as far as its channels allow."""

import torch
from torch import nn

from encompass.models.mobilenet import BLOCKS, LANES, MobileNetV1, slimmed
from encompass.models.prune import _cells, _eliminate, prune_channels

PARTS = ("weight", "bias", "running_mean", "running_var")


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
    last = MobileNetV1(multiplier=0.5, outputs=(11,), inner=0.5).channels
    assert (last[11], last[12], last[13]) == (256, 256, 512)  # no block reads the last


def test_no_share_is_more_than_the_whole():
    assert [slimmed(25, share) for share in (1.0, 0.99, 0.6, 0.1)] == [25, 25, 16, LANES]
    assert slimmed(8, 0.5) == 8


def test_a_trunk_that_is_not_pruned_has_the_widths_of_its_multiplier():
    assert slimmed(22, 1.0) == 22
    trunk = MobileNetV1(multiplier=0.7, outputs=(13,))
    depths = (32, *(depth for depth, _ in BLOCKS))
    assert list(trunk.channels.values()) == [int(depth * 0.7) for depth in depths]


def test_what_is_as_wide_is_copied():
    torch.manual_seed(0)
    wide, slim = make(), make()
    prune_channels(wide, slim, pictures(2, seed=0))
    for name, tensor in wide.state_dict().items():
        torch.testing.assert_close(slim.state_dict()[name], tensor, rtol=0, atol=0)


def test_channels_that_say_nothing_are_dropped_for_free():
    """Some say what a later one says, the first is always zero: what is left says it all."""
    torch.manual_seed(0)
    wide, slim = make(), make(2 / 3)
    with torch.no_grad():
        for number, width in wide.channels.items():
            spare = width - slim.channels[number]
            if not spare:
                continue  # an output
            unit = wide.blocks[number - 1][1] if number else wide.stem
            depthwise = wide.blocks[number][0]
            for channel in range(spare):
                for part in (unit, depthwise):
                    part[0].weight[channel] = part[0].weight[width - 1 - channel]
                    for name in PARTS:
                        of = getattr(part[1], name)
                        of[channel] = of[width - 1 - channel]
            depthwise[1].weight[0], depthwise[1].bias[0] = 0, -1
    prune_channels(wide, slim, pictures(6, seed=1))
    for x in pictures(1, seed=2):
        with torch.no_grad():
            for block, expected in wide(x).items():
                got = slim(x)[block]
                assert got.shape == expected.shape
                assert (got - expected).square().mean() < 1e-3 * expected.var()


def test_a_constant_channel_goes_and_its_share_becomes_a_constant():
    torch.manual_seed(1)
    wide, slim = make(), make()
    slim.channels[1] = 31
    for unit, axis in ((slim.blocks[0][1], 0), (slim.blocks[1][0], 0), (slim.blocks[1][1], 1)):
        kernel = unit[0].weight.data
        unit[0].weight = nn.Parameter(kernel[:31] if axis == 0 else kernel[:, :31])
        if axis == 0:
            for name in PARTS:
                part = getattr(unit[1], name)
                kind = nn.Parameter if isinstance(part, nn.Parameter) else torch.clone
                setattr(unit[1], name, kind(part.data[:31]))
    slim.blocks[1][0][0].groups = 31
    with torch.no_grad():
        depthwise = wide.blocks[1][0]
        depthwise[1].weight[5], depthwise[1].bias[5] = 0, 2  # whatever the picture shows
        prune_channels(wide, slim, pictures(4, seed=1))
        for x in pictures(1, seed=2):
            for block, expected in wide(x).items():
                assert (slim(x)[block] - expected).abs().max() < 1e-2


def test_channels_are_chosen_as_by_trying_all():
    """Of nine channels four stay: each time the one goes without which the best fit errs least."""
    generator = torch.Generator().manual_seed(3)
    mixed = torch.randn(9, 9, generator=generator, dtype=torch.float64)
    z = torch.randn(500, 9, generator=generator, dtype=torch.float64) @ mixed + 5
    z -= z.mean(dim=0)
    kernel = torch.randn(7, 9, generator=generator, dtype=torch.float64)
    wanted = z @ kernel.T

    def error(kept: list[int]) -> float:
        part = z[:, kept]
        return float((wanted - part @ torch.linalg.lstsq(part, wanted).solution).square().sum())

    kept = list(range(9))
    while len(kept) > 4:
        kept = min(([c for c in kept if c != gone] for gone in kept), key=error)
    assert _eliminate(z.T @ z / len(z), kernel, 4).tolist() == kept
    assert kept != [0, 1, 2, 3]


def test_cells_of_a_large_map_are_a_grid_away_from_its_edges():
    rows, columns = torch.meshgrid(torch.arange(160), torch.arange(160), indexing="ij")
    cells = _cells(torch.stack([rows, columns])[None].float())
    assert cells.shape == (400, 2)
    for axis in cells.T:
        assert axis.unique().tolist() == list(range(4, 160, 8))
    assert _cells(torch.zeros(2, 3, 5, 4)).shape == (40, 3)
