"""From semantic samples to batches of a network's input: read, change, stack.

Every item is drawn with a generator of its own, made from (seed, epoch, index), so that the number
of worker processes changes nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from encompass.data.label_augment import LabelExample
from encompass.data.labels import LabelDataset, LabelSample
from encompass.errors import UsageError

Change = Callable[[LabelExample, np.random.Generator], LabelExample]


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelItem:
    """One picture as a network takes it, with its labels."""

    picture: Tensor  # (3, h, w) float32 RGB in [0, 255]
    labels: Tensor  # (h, w) int64, IGNORE where nothing is to be learnt
    name: str  # of the picture's file


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelBatch:
    """Items of one size, stacked."""

    pictures: Tensor  # (B, 3, h, w) float32 RGB in [0, 255]
    labels: Tensor  # (B, h, w) int64, IGNORE where nothing is to be learnt
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def to(self, device: torch.device | str, **options: Any) -> LabelBatch:
        """The batch on a device; the options are those of `Tensor.to`. Lightning calls this."""
        return dataclasses.replace(
            self,
            pictures=self.pictures.to(device, **options),
            labels=self.labels.to(device, **options),
        )


class LabelMaps(torch.utils.data.Dataset):
    """The samples of a dataset as changed `LabelItem`s; keys are (epoch, index)."""

    def __init__(self, dataset: LabelDataset, *, changes: Sequence[Change], seed: int) -> None:
        """Changes are made in order; without any, items are the pictures as they are."""
        self.samples = dataset.samples
        self.changes = tuple(changes)
        self.seed = seed

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: tuple[int, int]) -> LabelItem:
        epoch, index = key
        example = load_label_example(self.samples[index])
        rng = np.random.default_rng((self.seed, epoch, index))
        for change in self.changes:
            example = change(example, rng)
        return LabelItem(
            picture=torch.from_numpy(example.picture).permute(2, 0, 1).float(),
            labels=torch.from_numpy(example.labels).long(),
            name=example.name,
        )


def load_label_example(sample: LabelSample) -> LabelExample:
    """Read a sample's picture and labels. Raises BadData, also when their sizes differ."""
    picture, labels = sample.read()
    return LabelExample(picture=picture, labels=labels, name=str(sample.path))


def collate_labels(items: Sequence[LabelItem]) -> LabelBatch:
    """Stack items of one size, in order. Raises UsageError when sizes differ."""
    sizes = {tuple(item.labels.shape) for item in items}
    if len(sizes) > 1:
        raise UsageError(
            f"A batch has pictures of {len(sizes)} sizes, {items[0].name} among them; learn from "
            "windows, or from one picture at a time (batch_size=1)."
        )
    return LabelBatch(
        pictures=torch.stack([item.picture for item in items]),
        labels=torch.stack([item.labels for item in items]),
        names=tuple(item.name for item in items),
    )
