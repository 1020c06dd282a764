"""The loop that all trainings share, resumable, and the order in which they see their data.

It runs on a `device`, "cpu" or "cuda"; the network is on the CPU before and after it.
"""

from __future__ import annotations

import dataclasses
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader, Sampler

from encompass.models.instance import SsdIsb
from encompass.models.semantic import SemanticNetwork
from encompass.train.checkpoint import SafetensorsIO
from encompass.train.config import OptimizerConfig
from encompass.train.provenance import training_settings

LAST = "last.safetensors"  # the run as it stands


class StreamSampler(Sampler):
    """An endless shuffled stream of (epoch, index), cut into intervals.

    Which items an interval holds depends on its number and the seed alone, so a resumed run sees
    what an unbroken one would have seen.
    """

    def __init__(
        self, length: int, *, per_interval: int, seed: int, odds: Sequence[float] | None = None
    ) -> None:
        """Args:
        length: number of items.
        per_interval: items of an interval.
        seed: of the order.
        odds: how likely each item comes; all in turn when None. Items then come with the number
            of the draw in place of the epoch, so that none comes twice alike.
        """
        self.length, self.per_interval, self.seed = length, per_interval, seed
        self.odds = odds
        self.interval = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of each interval."""
        self.interval = epoch

    def __len__(self) -> int:
        return self.per_interval

    def __iter__(self) -> Iterator[tuple[int, int]]:
        start = self.interval * self.per_interval
        if self.odds is not None:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.interval)
            odds = torch.tensor(self.odds, dtype=torch.float64)
            drawn = torch.multinomial(
                odds, self.per_interval, replacement=True, generator=generator
            )
            yield from enumerate(drawn.tolist(), start)
            return
        order: list[int] = []
        current = -1
        for position in range(start, start + self.per_interval):
            epoch, place = divmod(position, self.length)
            if epoch != current:
                order = pass_order(self.length, epoch, self.seed)
                current = epoch
            yield epoch, order[place]


def pass_order(length: int, number: int, seed: int) -> list[int]:
    """In which order a pass over the data, counted from 0, takes its items."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
    return torch.randperm(length, generator=generator).tolist()


def row_facts(
    network: SsdIsb | SemanticNetwork, config: OptimizerConfig, *keys: str
) -> dict[str, Any]:
    """What decides a training beside data and weights: its settings, and these of the row.

    All of the row's where none are named.
    """
    row = dataclasses.asdict(network.spec)
    return training_settings(config) | {"row": {key: row[key] for key in keys or row}}


def fit(
    module: pl.LightningModule,
    loader: DataLoader,
    config: OptimizerConfig,
    folder: Path,
    device: str,
) -> None:
    """Run a module's training, from `folder`'s checkpoint where it has one."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # no lines about TPUs
    pl.seed_everything(config.seed, workers=True, verbose=False)
    last = ModelCheckpoint(
        dirpath=folder,
        filename="last",
        save_top_k=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    last.FILE_EXTENSION = ".safetensors"  # pyright: ignore[reportAttributeAccessIssue]
    trainer = pl.Trainer(
        accelerator=device,
        devices=1,
        max_epochs=config.steps // config.interval,
        accumulate_grad_batches=config.accumulate,
        gradient_clip_val=config.clip,
        precision=config.precision,  # type: ignore[arg-type]
        callbacks=[last, TQDMProgressBar(refresh_rate=10)],
        logger=TensorBoardLogger(folder, name="", version="log"),
        plugins=[SafetensorsIO()],
        enable_model_summary=False,
        log_every_n_steps=10,
    )
    module.train()
    resume = folder / LAST
    if resume.exists():
        # Workers draw their first keys before Lightning sets the epoch of a resumed run.
        done = SafetensorsIO().load_checkpoint(resume)["epoch"]
        loader.sampler.set_epoch(done + 1)  # pyright: ignore[reportAttributeAccessIssue]
    with warnings.catch_warnings():
        # The folder holds features, logs and the checkpoint to resume from: it is meant to be full.
        warnings.filterwarnings("ignore", "Checkpoint directory")
        warnings.filterwarnings("ignore", category=FutureWarning, module="lightning")
        trainer.fit(module, loader, ckpt_path=resume if resume.exists() else None)
