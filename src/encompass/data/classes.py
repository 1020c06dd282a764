"""The classes of a dataset: the one place where its own ids become labels.

A label is an index into `names`. Background is not a class here; a network adds it for itself.
"""

from __future__ import annotations

from dataclasses import dataclass


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
