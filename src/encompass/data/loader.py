"""From samples to batches of a network's input: read, augment, stretch, stack.

Every item is drawn with a generator of its own, made from (seed, epoch, index), so that the number
of worker processes changes nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from encompass.data import augment as augmentations
from encompass.data.augment import Example
from encompass.data.instances import Dataset, Sample, rasterise
from encompass.errors import AnnotationError
from encompass.geometry import boxes as box_ops
from encompass.geometry.resize import Stretch, reduce_picture
from encompass.pictures import read_picture

# Cropping comes after zooming out, so that a crop may show the border between picture and canvas.
_AUGMENTATIONS = (
    augmentations.photometric,
    augmentations.expand,
    augmentations.ssd_crop,
    augmentations.flip,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Item:
    """One picture as a network takes it, with what it shows in network pixels."""

    picture: Tensor  # (3, h, w) float32 RGB in [0, 255]
    boxes_xyxy: Tensor  # (N, 4) float32, net pixels
    labels: Tensor  # (N,) int64
    ignore_xyxy: Tensor  # (M, 4) float32, net pixels: neither object nor background
    name: str  # of the picture's file


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Items stacked; what differs in number between pictures stays a tuple."""

    pictures: Tensor  # (B, 3, h, w) float32 RGB in [0, 255]
    boxes: tuple[Tensor, ...]  # B x (N, 4) float32, xyxy, net pixels
    labels: tuple[Tensor, ...]  # B x (N,) int64
    ignore: tuple[Tensor, ...]  # B x (M, 4) float32, xyxy, net pixels
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def to(self, device: torch.device | str, **options: Any) -> Batch:
        """The batch on a device; the options are those of `Tensor.to`. Lightning calls this."""
        return dataclasses.replace(
            self,
            pictures=self.pictures.to(device, **options),
            boxes=tuple(t.to(device, **options) for t in self.boxes),
            labels=tuple(t.to(device, **options) for t in self.labels),
            ignore=tuple(t.to(device, **options) for t in self.ignore),
        )


def load_example(sample: Sample, *, with_masks: bool) -> Example:
    """Read a sample's picture and cut its boxes to it; objects under a pixel a side are left out.

    `masks` is None without `with_masks`, and where an object of the sample has no mask.

    Raises:
        ImageError: the picture is missing or broken.
        AnnotationError: the picture is not of the size that its annotation says.
    """
    picture = read_picture(sample.path)
    size = (sample.height, sample.width)
    if picture.shape[:2] != size:
        raise AnnotationError(
            sample.path,
            f"is {picture.shape[1]} x {picture.shape[0]} pixels, its annotation (image id "
            f"{sample.image_id}) says {sample.width} x {sample.height}; correct one of them.",
        )
    boxes_xyxy = box_ops.clip(sample.boxes_xyxy, *size)
    masks = None
    if with_masks and None not in sample.segmentations:
        masks = tuple(rasterise(s, *size) for s in sample.segmentations if s is not None)
    example = Example(
        picture=picture,
        boxes_xyxy=boxes_xyxy,
        labels=sample.labels,
        masks=masks,
        ignore_xyxy=box_ops.clip(sample.ignore_xyxy, *size),
        name=str(sample.path),
    )
    return augmentations.keep_objects(example, augmentations.is_visible(boxes_xyxy))


def to_network(picture: np.ndarray, size: tuple[int, int]) -> Tensor:
    """(H, W, 3) uint8 to (3, h, w) float32 in [0, 255]: the map that `Stretch` describes.

    Antialiased bilinear, as ONNX's Resize does in exported models.
    """
    fit = Stretch(src=picture.shape[:2], net=size)
    reduced = torch.from_numpy(np.array(reduce_picture(picture, fit.reduction)))
    pixels = reduced.permute(2, 0, 1)[None].float()
    return functional.interpolate(pixels, size, mode="bilinear", antialias=True)[0]


def evenly(count: int, total: int) -> list[int]:
    """The numbers of `count` of `total` items, in equal steps from the first."""
    return [number * total // count for number in range(count)]


def load_augmented(sample: Sample, *, with_masks: bool, seed: tuple[int, ...]) -> Example:
    """A sample's picture with all augmentations; the seed alone decides what is drawn."""
    example = load_example(sample, with_masks=with_masks)
    rng = np.random.default_rng(seed)
    for change in _AUGMENTATIONS:
        example = change(example, rng)
    return example


class DetectionDataset(torch.utils.data.Dataset):
    """The samples of a dataset as augmented `Item`s; keys are (epoch, index)."""

    def __init__(self, dataset: Dataset, *, size: tuple[int, int], seed: int) -> None:
        """Size is the network's (height, width)."""
        self.samples = dataset.samples
        self.size = size
        self.seed = seed

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: tuple[int, int]) -> Item:
        epoch, index = key
        example = load_augmented(
            self.samples[index], with_masks=False, seed=(self.seed, epoch, index)
        )
        return to_item(example, self.size)


def to_item(example: Example, size: tuple[int, int]) -> Item:
    """An example as a network of (height, width) takes it."""
    fit = Stretch(src=example.picture.shape[:2], net=size)
    return Item(
        picture=to_network(example.picture, size),
        boxes_xyxy=torch.from_numpy(fit.forward_xyxy(example.boxes_xyxy)),
        labels=torch.from_numpy(example.labels),
        ignore_xyxy=torch.from_numpy(fit.forward_xyxy(example.ignore_xyxy)),
        name=example.name,
    )


def collate(items: Sequence[Item]) -> Batch:
    """Stack items of one size, in order."""
    return Batch(
        pictures=torch.stack([item.picture for item in items]),
        boxes=tuple(item.boxes_xyxy for item in items),
        labels=tuple(item.labels for item in items),
        ignore=tuple(item.ignore_xyxy for item in items),
        names=tuple(item.name for item in items),
    )
