"""Training of the branches from cached maps; the detector stands still."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from encompass.data import instances
from encompass.environment import memory_bytes
from encompass.errors import UsageError
from encompass.geometry.masks import coverage
from encompass.geometry.resize import Stretch
from encompass.losses.mask import mask_loss
from encompass.losses.matching import match_anchors
from encompass.models.anchors import build_anchors, corners
from encompass.models.instance import SsdIsb
from encompass.models.ssd import map_grids
from encompass.train.config import BranchConfig
from encompass.train.detector import Validate
from encompass.train.features import FEATURES, HIGHEST, LEVELS, FeatureCache, load_features
from encompass.train.fit import fit, row_facts
from encompass.train.provenance import claim
from encompass.train.step import build_optimizer, check_finite, validate_now

# Of memory, for crops that are sampled once.
KEPT_BYTES = min(6e9, memory_bytes() / 2)
MOST_ANCHORS = 8_000  # crops of default anchors that a branch learns from


class BranchBatch(NamedTuple):
    """Crops of one branch."""

    branch: int
    crops: tuple[Tensor, ...]  # what the branch is given: (N, C, h, w), (N, C', 2h, 2w), ...
    targets: Tensor  # (N, k * h, k * w) float32 in [0, 1]
    labels: Tensor  # (N,) int64


class _Crop(NamedTuple):
    """One object in its branch."""

    maps: tuple[np.ndarray, ...]  # (h, w, C), (2h, 2w, C'), ... uint8, LEVELS for HIGHEST
    target: np.ndarray  # (k * h, k * w) float32


class CropDataset(Dataset):
    """Batches by (branch, positions in `members[branch]`), cropped from the cached maps."""

    def __init__(
        self,
        cache: FeatureCache,
        network: SsdIsb,
        *,
        box_jitter: float,
        seed: int,
        kept_bytes: float = KEPT_BYTES,
    ) -> None:
        """Args:
        cache: of a detector like `network`'s.
        network: of the row that learns.
        box_jitter: edges of a box that is cropped move by up to this part of its side.
        seed: of the jitter.
        kept_bytes: of crops that are sampled once, now; others are sampled each time.
        """
        self.cache, self.network = cache, network
        if network.spec.train_crops == "anchors":
            self.objects, boxes = matched_anchors(cache, network)
            # There are sixteen for an object, too many to keep; a random part will do.
            part = np.random.default_rng(seed).permutation(len(boxes))[:MOST_ANCHORS]
            self.objects, boxes = self.objects[part], boxes[part]
        else:
            self.objects = np.arange(len(cache.labels))
            boxes = jitter(cache.boxes_xyxy, box_jitter, np.random.default_rng(seed))
        self.boxes = boxes  # as if they had been detected
        self.cells = network.cells(boxes)
        branches = network.route(self.cells)
        self.members = [np.flatnonzero(branches == i) for i in range(len(network.spec.branches))]
        self._kept = self._sample(kept_bytes, threads=torch.get_num_threads())

    def __getitem__(self, key: tuple[int, np.ndarray]) -> BranchBatch:
        branch, positions = key
        picked = self.members[branch][positions]
        crops = [self._kept.get(int(i)) or self._crop(int(i), branch) for i in picked]
        levels = (torch.from_numpy(np.stack(m)) for m in zip(*(c.maps for c in crops), strict=True))
        maps = [m.float().mul_(HIGHEST / LEVELS).permute(0, 3, 1, 2) for m in levels]
        return BranchBatch(
            branch,
            tuple(self.network.with_box(maps, self.boxes[picked], self.cells[picked])),
            torch.from_numpy(np.stack([crop.target for crop in crops])),
            torch.from_numpy(self.cache.labels[self.objects[picked]]),
        )

    def _sample(self, kept_bytes: float, *, threads: int) -> dict[int, _Crop]:
        """As many crops as may be kept: each comes up many times, and costs more than a step.

        In the order of the pictures, so that the maps are read from one end to the other.
        """
        branch_of = {int(p): b for b, members in enumerate(self.members) for p in members}
        order = sorted(branch_of, key=lambda p: self.cache.pictures[self.objects[p]])
        size = sum(map(self._crop_bytes, branch_of.values())) / max(len(order), 1)
        order = order[: int(kept_bytes / size)] if size else []
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            crops = pool.map(lambda p: self._crop(p, branch_of[p]), order)
            return dict(zip(order, crops, strict=True))

    def _crop_bytes(self, branch: int) -> int:
        spec, head = self.network.spec, self.network.head(branch)
        height, width = spec.shapes[branch]
        channels = self.network.detector.trunk.channels
        crops = sum(
            channels[block] * height * width * zoom**2
            for block, zoom in zip(spec.crop_blocks, head.zooms, strict=True)
        )
        return crops + 4 * height * width * head.upsampling**2

    def _crop(self, position: int, branch: int) -> _Crop:
        network, cells, item = self.network, self.cells[position], self.objects[position]
        picture = int(self.cache.pictures[item])
        # Only what the crop needs is read: bilinear samples reach one cell beyond it.
        x0, y0 = np.maximum(np.floor(cells[:2]) - 1, 0).astype(int)
        x1, y1 = np.ceil(cells[2:]).astype(int) + 1
        features = {
            block: self.cache.window(
                block,
                picture,
                slice(y0 << i, y1 << i),
                slice(x0 << i, x1 << i),
            )
            for i, block in enumerate(network.spec.crop_blocks)
        }
        inside = (cells - np.asarray([x0, y0, x0, y0])).astype(np.float32)
        crops = network.crops(features, inside[None], branch)
        size = (network.spec.input_size, network.spec.input_size)
        stretch = Stretch(tuple(self.cache.sizes[picture].tolist()), size)
        area = stretch.inverse_xyxy(cells * network.stride)
        return _Crop(
            tuple(
                crop[0].permute(1, 2, 0).round().to(torch.uint8).contiguous().numpy()
                for crop in crops
            ),
            coverage(self.cache.mask(item), area, network.mask_shape(branch)),
        )


def matched_anchors(cache: FeatureCache, network: SsdIsb) -> tuple[np.ndarray, np.ndarray]:
    """Thesis 3.1.4: the anchors that learn an object, (K,) objects and (K, 4) boxes, net pixels."""
    size = network.spec.input_size
    anchors = corners(build_anchors(map_grids(size))) * size
    objects, boxes = [], []
    for picture in range(len(cache.sizes)):
        inside = np.flatnonzero(cache.pictures == picture)
        truth = torch.from_numpy(cache.boxes_xyxy[inside])
        match = match_anchors(anchors, truth, truth[:0])
        objects.append(inside[match.objects[match.positive].numpy()])
        boxes.append(anchors[match.positive].numpy())
    return np.concatenate(objects), np.concatenate(boxes)


def jitter(boxes_xyxy: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Each edge moved by a uniform part, up to `amount`, of the box's side."""
    sides = np.tile(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 2)
    return boxes_xyxy + sides * rng.uniform(-amount, amount, boxes_xyxy.shape).astype(np.float32)


class BranchSampler(Sampler):
    """Batches of one branch each; a branch comes up as often as its share of all crops."""

    def __init__(self, sizes: list[int], *, batch_size: int, batches: int, seed: int) -> None:
        self.sizes, self.batch_size, self.batches, self.seed = sizes, batch_size, batches, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning; makes each interval's draw its own, also after a resume."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        share = np.asarray(self.sizes) / sum(self.sizes)
        for branch in rng.choice(len(self.sizes), size=self.batches, p=share):
            count = min(self.batch_size, self.sizes[branch])
            yield int(branch), np.sort(rng.choice(self.sizes[branch], count, replace=False))


class BranchModule(pl.LightningModule):
    """Lightning's view of the branches. Only `network.branches` learns."""

    def __init__(
        self, network: SsdIsb, config: BranchConfig, *, validate: Validate | None = None
    ) -> None:
        super().__init__()
        if config.shared_steps and not network.spec.is_uniform:
            raise UsageError(
                "Branches of different convolutions or rates cannot learn as one; use "
                "--set branches.shared_steps=0."
            )
        self.network = network
        self.config = config
        self.validate = validate
        self.network.detector.requires_grad_(False)
        self.network.branches.requires_grad_(True)

    def on_train_epoch_start(self) -> None:
        """The detector is never in training mode here."""
        self.network.detector.eval()

    def on_train_batch_start(self, batch: BranchBatch, batch_idx: int) -> None:
        """At the end of the shared time every branch becomes a copy of the first."""
        if self.config.shared_steps and self.global_step == self.config.shared_steps:
            first, *others = self.network.branches
            optimizer = self.trainer.optimizers[0]
            for branch in others:
                branch.load_state_dict(first.state_dict())
                # The optimizer's averages go along, or the first steps would be far too long.
                for mine, theirs in zip(branch.parameters(), first.parameters(), strict=True):
                    optimizer.state[mine] = {
                        key: value.clone() for key, value in optimizer.state[theirs].items()
                    }

    def training_step(self, batch: BranchBatch, _: int) -> Tensor:
        """One batch of one branch."""
        shared = self.global_step < self.config.shared_steps
        logits = self.network.head(0 if shared else batch.branch)(batch.crops)
        picked = logits[torch.arange(len(logits)), batch.labels].float()
        loss = mask_loss(
            picked,
            batch.targets,
            dice_weight=self.config.dice_weight,
            edge_weight=self.config.edge_weight,
        )
        where = f"crops of branch {self.network.spec.shapes[batch.branch]}"
        check_finite(loss, {"mask": loss}, where, self.global_step)
        self.log("mask", loss, prog_bar=True, batch_size=len(logits))
        return self.config.mask_weight * loss

    def on_train_epoch_end(self) -> None:
        """Score now and then, if a scorer was given."""
        validate_now(self, self.network, self.config, self.validate)

    def configure_optimizers(self):
        """RMSProp on the branches alone."""
        return build_optimizer(list(self.network.branches.parameters()), self.config)


def fit_branches(
    network: SsdIsb,
    dataset: instances.Dataset,
    config: BranchConfig,
    folder: Path,
    *,
    maps: Path,
    validate: Validate | None = None,
    device: str = "cpu",
) -> None:
    """Train the branches in place from the maps that `cache_maps` left in `maps`; resumes.

    Raises UsageError when `folder` belongs to another training, or no object has a branch.
    """
    claim(folder, row_facts(network, config), dataset, network.state_dict())
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    crops = CropDataset(
        load_features(maps / FEATURES),
        network,
        box_jitter=config.box_jitter,
        seed=config.seed,
    )
    if not any(map(len, crops.members)):
        raise UsageError(
            f"No object has the shape of a branch (they have {list(network.spec.shapes)}); use "
            "another row or other data: `encompass data shapes` tells which shapes it has."
        )
    loader = DataLoader(
        crops,
        batch_size=None,
        sampler=BranchSampler(
            [len(members) for members in crops.members],
            batch_size=config.batch_size,
            batches=config.interval * config.accumulate,
            seed=config.seed,
        ),
        num_workers=config.workers,
        persistent_workers=config.workers > 0,
    )
    fit(BranchModule(network, config, validate=validate), loader, config, folder, device)
