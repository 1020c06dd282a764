"""Which convolutions of a graph are in 8 bits: what was measured decides."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, pairwise

from encompass.export.quantize import Layer

GROUPS = 16  # compared one by one; scored are at most 1 + 4


def choose_layers(
    layers: Sequence[Layer],
    enough: Callable[[Sequence[Layer]], bool],
    apart: Callable[[Sequence[Layer]], float],
) -> tuple[Layer, ...]:
    """The layers that are rounded so that enough accuracy is kept, as far as that goes.

    All, where that does. Else groups of neighbours are rounded one by one, and those that change
    most stay in float: as few as will do, found by halving, for more in float are taken to lose
    less. One group is rounded in any case, or the file would not be what was asked for.

    Args:
        layers: in the order of the file, at least one.
        enough: whether enough accuracy is left when just these are rounded.
        apart: how far what is found then is from what the float network finds. Of one group that
            tells more than accuracy, in which some losses are gains by chance.
    """
    if enough(layers):
        return tuple(layers)
    ranked = sorted(_groups(layers), key=apart)

    def rounded(number_float: int) -> tuple[Layer, ...]:
        return _flat(ranked[: max(1, len(ranked) - number_float)])

    numbers = range(1, len(ranked) - 1)
    return rounded(1 + bisect_left(numbers, True, key=lambda n: enough(rounded(n))))


def _groups(layers: Sequence[Layer]) -> list[Sequence[Layer]]:
    """Neighbours in at most GROUPS groups, of which none has more than one layer over another."""
    number = min(GROUPS, len(layers))
    edges = [len(layers) * i // number for i in range(number + 1)]
    return [layers[start:stop] for start, stop in pairwise(edges)]


def _flat(groups: Iterable[Sequence[Layer]]) -> tuple[Layer, ...]:
    return tuple(chain.from_iterable(groups))
