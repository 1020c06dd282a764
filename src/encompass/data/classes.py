"""The classes of a dataset: the one place where its own ids become labels.

A label is an index into `names`. Background is not a class here; a network adds it for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from encompass.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class ClassTable:
    """Names and source ids of the classes, by label. `category_ids` ascend, as COCO scores them."""

    names: tuple[str, ...]
    category_ids: tuple[int, ...]

    def __post_init__(self) -> None:
        assert len(self.names) == len(self.category_ids)
        assert list(self.category_ids) == sorted(set(self.category_ids))

    def __len__(self) -> int:
        return len(self.names)

    @property
    def labels(self) -> dict[int, int]:
        """Source id to label."""
        return {category: label for label, category in enumerate(self.category_ids)}


def check_same_names(datasets: Sequence[tuple[Path, tuple[str, ...]]]) -> None:
    """Raises UsageError unless all of them, (source, class names) each, have the same names."""
    first, names = datasets[0]
    for other, theirs in datasets[1:]:
        if theirs != names:
            raise UsageError(
                f"{other} has the classes {theirs}, {first} has {names}; join datasets that have "
                "the same."
            )


def check_names(source: Path, wanted: Sequence[str], known: Sequence[str]) -> None:
    """Raises UsageError, with the nearest name, when the source does not know a wanted one."""
    for name in wanted:
        if name not in known:
            hint = did_you_mean(name, known)
            raise UsageError(f"{source} has no category {name!r}.{hint} Known: {', '.join(known)}.")
