"""Training of the branches from cached features; the detector stands still."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from encompass.losses.mask import mask_loss
from encompass.models.instance import SsdIsb
from encompass.train.config import BranchConfig
from encompass.train.detector import Validate, build_optimizer, check_finite, validate_now
from encompass.train.features import BranchCache


class BranchBatch(NamedTuple):
    """Crops of one branch."""

    branch: int
    crops: tuple[Tensor, ...]  # (N, C, h, w), (N, C', 2h, 2w), ... float32
    targets: Tensor  # (N, k * h, k * w) float32 in [0, 1]
    labels: Tensor  # (N,) int64


class CropDataset(Dataset):
    """Batches by (branch, indices), read from the memory-mapped caches."""

    def __init__(self, caches: list[BranchCache]) -> None:
        self.caches = caches

    def __getitem__(self, key: tuple[int, np.ndarray]) -> BranchBatch:
        branch, indices = key
        cache = self.caches[branch]
        return BranchBatch(
            branch,
            tuple(torch.from_numpy(crop[indices].astype(np.float32)) for crop in cache.crops),
            torch.from_numpy(cache.targets[indices].astype(np.float32)),
            torch.from_numpy(cache.labels[indices]),
        )


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
            for branch in others:
                branch.load_state_dict(first.state_dict())

    def training_step(self, batch: BranchBatch, _: int) -> Tensor:
        """One batch of one branch."""
        shared = self.global_step < self.config.shared_steps
        logits = self.network.branches[0 if shared else batch.branch](batch.crops)
        picked = logits[torch.arange(len(logits)), batch.labels].float()
        loss = mask_loss(picked, batch.targets)
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
