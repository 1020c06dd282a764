"""Training of detector and branches together: what the masks ask for also reaches the trunk.

The thesis stops the gradient at the crop (3.2.1), so its trunk learns what boxes need and no more.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from encompass.data import instances
from encompass.data.augment import Example
from encompass.data.loader import Batch, Item, collate, load_augmented, to_item
from encompass.data.mosaic import mosaic
from encompass.data.paste import paste
from encompass.errors import UsageError
from encompass.geometry.masks import coverage
from encompass.geometry.resize import Stretch
from encompass.losses.mask import mask_loss
from encompass.models.anchors import NUM_MAPS
from encompass.models.instance import SsdIsb
from encompass.models.ssd import SsdOutputs
from encompass.models.weights import DETECTOR
from encompass.train.branches import jitter
from encompass.train.config import JointConfig
from encompass.train.detector import DetectorModule
from encompass.train.fit import pass_order, row_facts
from encompass.train.pictures import Validate, fit_pictures
from encompass.train.provenance import claim
from encompass.train.step import NO_MASKS

LAST_PREDICTOR = f"{DETECTOR}predictors.{NUM_MAPS - 1}."
MOSAIC_UNTIL = 0.8  # of the training
# Crops of a batch are filled up to a multiple of so many: cuDNN plans anew for every number of
# them, which takes longer than they do.
CROPS_STEP = {"cuda": 64}


class Masks(NamedTuple):
    """What the branches shall say of K objects of one picture."""

    boxes: np.ndarray  # (K, 4) float32, net pixels: as if they had been detected
    labels: Tensor  # (K,) int64
    branches: np.ndarray  # (K,) int64
    targets: tuple[Tensor, ...]  # K of (h, w) float32 in [0, 1], as large as the branch's masks


class JointBatch(NamedTuple):
    """Pictures with their boxes, and the masks of each; none of those of which boxes are known."""

    pictures: Batch
    masks: tuple[Masks, ...]


class JointDataset(Dataset):
    """The samples of a dataset, augmented; keys are (epoch, index)."""

    def __init__(self, dataset: instances.Dataset, network: SsdIsb, config: JointConfig) -> None:
        self.samples = dataset.samples
        self.sources = dataset.masked  # whose objects are pasted into others
        self.network, self.config = network, config
        # The pass over the data within which mosaics end, and of whose pictures they still are.
        pictures = config.steps * config.batch_size * config.accumulate if config.mosaic else 0
        self.last_pass, place = divmod(round(MOSAIC_UNTIL * pictures), max(len(self), 1))
        self.of_last_pass = set(pass_order(len(self), self.last_pass, config.seed)[:place])

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Item, Masks]:
        seed = (self.config.seed, *key)
        rng = np.random.default_rng((*seed, 1))  # beside that of the augmentation
        example = load_augmented(self.samples[key[1]], with_masks=True, seed=seed)
        if self._is_early(key) and rng.random() < self.config.mosaic:
            example = self._mosaic(example, seed, rng)
        pasted = rng.random() < self.config.copy_paste
        if pasted and self.sources and example.masks is not None:
            source = self.sources[rng.integers(len(self.sources))]
            other = load_augmented(source, with_masks=True, seed=(*seed, 2))
            example = paste(example, other, rng)
        size = self.network.spec.input_size
        return to_item(example, (size, size)), self._masks(example, rng)

    def _is_early(self, key: tuple[int, int]) -> bool:
        """Whether the training has mosaics yet when it comes to a picture."""
        number, index = key
        return number < self.last_pass or (number == self.last_pass and index in self.of_last_pass)

    def _mosaic(self, example: Example, seed: tuple[int, ...], rng: np.random.Generator) -> Example:
        """Beside pictures with masks where it has some itself, so that none of them are lost."""
        pool = self.samples if example.masks is None else self.sources
        others = (
            load_augmented(pool[rng.integers(len(pool))], with_masks=True, seed=(*seed, number))
            for number in (3, 4, 5)
        )
        return mosaic([example, *others], rng)

    def _masks(self, example: Example, rng: np.random.Generator) -> Masks:
        network = self.network
        size = (network.spec.input_size, network.spec.input_size)
        masks = list(example.masks or ())
        picked = np.sort(rng.permutation(len(masks))[: self.config.max_masks])
        stretch = Stretch(src=example.picture.shape[:2], net=size)
        boxes = stretch.forward_xyxy(example.boxes_xyxy[picked])
        boxes = jitter(boxes, self.config.box_jitter, rng)
        cells = network.cells(boxes)
        branches = network.route(cells)
        kept = branches >= 0
        picked, boxes, cells, branches = picked[kept], boxes[kept], cells[kept], branches[kept]
        areas = stretch.inverse_xyxy(cells * network.stride)
        return Masks(
            boxes,
            torch.from_numpy(example.labels[picked]),
            branches,
            tuple(
                torch.from_numpy(coverage(masks[item], area, network.mask_shape(int(branch))))
                for item, area, branch in zip(picked, areas, branches, strict=True)
            ),
        )


def collate_joint(items: Sequence[tuple[Item, Masks]]) -> JointBatch:
    """Stack the pictures, in order."""
    pictures, masks = zip(*items, strict=True)
    return JointBatch(collate(pictures), tuple(masks))


class JointModule(DetectorModule):
    """Lightning's view of the whole network."""

    config: JointConfig

    def __init__(
        self,
        network: SsdIsb,
        config: JointConfig,
        *,
        names: tuple[str, ...],
        validate: Validate | None = None,
    ) -> None:
        super().__init__(network, config, names=names, validate=validate)
        self.first = [weight.detach().clone() for weight in self.learning()]

    def choose(self) -> None:
        """The detector, as it learns alone, and the branches."""
        super().choose()
        self.network.branches.requires_grad_(True)

    def is_known(self, name: str) -> bool:
        """As of the detector alone; branches are not, nor is the last map's predictor.

        There each anchor comes a second time (`models.anchors.pixel_anchor_sizes`), and what the
        second ones have was taught for another size.
        """
        own = self.network.spec.anchors == "pixels" and name.startswith(LAST_PREDICTOR)
        return name.startswith(DETECTOR) and not own and super().is_known(name)

    def result(self) -> list[Tensor]:
        """The detector is between the weights that it began with and those that it came to."""
        share = self.config.interpolation
        names = [name for name, weight in self.network.named_parameters() if weight.requires_grad]
        return [
            first.to(last.device).lerp(last, share) if self.is_known(name) else last
            for name, first, last in zip(names, self.first, super().result(), strict=True)
        ]

    def training_step(self, batch: JointBatch, _: int) -> Tensor:  # type: ignore[override]
        """One batch: SSD's losses, and those of the masks."""
        outputs = self.look(batch.pictures)
        loss = self.box_loss(outputs, batch.pictures)
        if not any(len(masks.boxes) for masks in batch.masks):
            return loss
        mask = self.mask_loss(outputs, batch.masks)
        self.checked(mask, {"mask": mask}, batch.pictures.names)
        return loss + self.config.mask_weight * mask

    def mask_loss(self, outputs: SsdOutputs, batch: tuple[Masks, ...]) -> Tensor:
        """The mean over the objects of `losses.mask.mask_loss`."""
        # In bfloat16 oneDNN's gradient of a depthwise convolution on a narrow crop reads memory
        # that nobody wrote. A GPU shall learn the same, so it has float32 too.
        with torch.autocast(self.device.type, enabled=False):
            features = {
                block: self._scale_gradient(outputs.features[block].float())
                for block in self.network.spec.crop_blocks
            }
            total, count = torch.zeros((), device=self.device), 0
            for branch in range(len(self.network.spec.branches)):
                logits, targets = self._branch(features, batch, branch)
                if len(logits):
                    loss = mask_loss(
                        logits,
                        targets,
                        dice_weight=self.config.dice_weight,
                        edge_weight=self.config.edge_weight,
                    )
                    total = total + len(logits) * loss
                    count += len(logits)
        return total / count

    def _branch(
        self, features: dict[int, Tensor], batch: tuple[Masks, ...], branch: int
    ) -> tuple[Tensor, Tensor]:
        """Logits and targets of all objects of a branch, (N, h, w) each."""
        network = self.network
        members = [np.flatnonzero(masks.branches == branch) for masks in batch]
        targets = [
            masks.targets[i] for masks, some in zip(batch, members, strict=True) for i in some
        ]
        if not targets:
            return torch.empty(0), torch.empty(0)
        boxes = np.concatenate([m.boxes[some] for m, some in zip(batch, members, strict=True)])
        labels = torch.cat([m.labels[some] for m, some in zip(batch, members, strict=True)])
        pictures = np.repeat(np.arange(len(batch)), [len(some) for some in members])
        step = CROPS_STEP.get(self.device.type, 1)
        filled = np.resize(np.arange(len(boxes)), -(-len(boxes) // step) * step)
        cells = network.cells(boxes[filled])
        crops = network.batch_crops(features, pictures[filled], cells, branch)
        logits = network.head(branch)(network.with_box(crops, boxes[filled], cells))
        return logits[torch.arange(len(boxes)), labels], torch.stack(targets)

    def _scale_gradient(self, feature: Tensor) -> Tensor:
        """The same values; of a gradient only so much comes back."""
        if self.config.crop_gradient == 1:
            return feature
        return feature.detach().lerp(feature, self.config.crop_gradient)


def fit_joint(
    network: SsdIsb,
    dataset: instances.Dataset,
    config: JointConfig,
    folder: Path,
    *,
    validate: Validate | None = None,
    device: str = "cpu",
) -> None:
    """Train detector and branches together, in place; resumes from `folder`'s checkpoint.

    Pictures without masks teach the detector alone. Raises UsageError when `folder` belongs to
    another training, or no picture has masks.
    """
    # A network of its own, that stays on the CPU where the pictures are drawn.
    items = JointDataset(dataset, copy.deepcopy(network), config)
    if not items.sources:
        raise UsageError(NO_MASKS)
    claim(folder, row_facts(network, config), dataset, network.state_dict())
    module = JointModule(network, config, names=dataset.classes.names, validate=validate)
    fit_pictures(module, items, collate_joint, folder, device=device)
