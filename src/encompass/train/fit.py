"""The trainings of a row, each resumable: detector, branches, both, of an instance row; all at once
of a semantic row.

Each runs on a `device`, "cpu" or "cuda"; the network is on the CPU before and after it.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader, Sampler

from encompass.data import label_augment
from encompass.data.augment import Example
from encompass.data.instances import Dataset, Sample
from encompass.data.label_loader import Change, LabelMaps, collate_labels
from encompass.data.labels import LabelDataset
from encompass.data.loader import DetectionDataset, collate, load_augmented
from encompass.errors import AnnotationError, UsageError
from encompass.files import write_json
from encompass.models.instance import SsdIsb
from encompass.models.layers import renew_statistics
from encompass.models.semantic import SemanticNetwork
from encompass.models.weights import load_checkpoint, load_tensors
from encompass.train.branches import BranchModule, BranchSampler, CropDataset
from encompass.train.checkpoint import SafetensorsIO
from encompass.train.config import (
    LEAST_CELLS,
    BranchConfig,
    DetectorConfig,
    JointConfig,
    OptimizerConfig,
    SemanticConfig,
)
from encompass.train.detector import DetectorModule, Validate
from encompass.train.features import cache_features, load_features
from encompass.train.joint import JointDataset, JointModule, collate_joint
from encompass.train.provenance import claim, hash_dataset, training_settings
from encompass.train.semantic import MIOU, SemanticModule, ValidateLabels

LAST, BEST = "last.safetensors", "best.safetensors"  # the run as it stands; the best network of it
PIXELS = "pixels.json"  # of each class in each picture
NO_MASKS = (
    "No picture has masks for all its objects; give --data with masks, or train with --stage "
    "detector."
)
FEATURES = "features"  # folder of the cache, beside the note of what it was made from


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
                generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
                order = torch.randperm(self.length, generator=generator).tolist()
                current = epoch
            yield epoch, order[place]


def fit_detector(
    network: SsdIsb,
    dataset: Dataset,
    config: DetectorConfig,
    folder: Path,
    *,
    validate: Validate | None = None,
    device: str = "cpu",
) -> None:
    """Train trunk, extras and predictors in place; resumes from `folder`'s checkpoint."""
    facts = _facts(network, config, "input_size", "score", "anchors")
    claim(folder, facts, dataset, network.state_dict())
    size = network.spec.input_size
    items = DetectionDataset(dataset, size=(size, size), seed=config.seed)
    _fit_pictures(
        DetectorModule, network, items, collate, config, folder, validate=validate, device=device
    )


def fit_joint(
    network: SsdIsb,
    dataset: Dataset,
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
    row = [field.name for field in dataclasses.fields(network.spec)]
    claim(folder, _facts(network, config, *row), dataset, network.state_dict())
    _fit_pictures(
        JointModule, network, items, collate_joint, config, folder, validate=validate, device=device
    )


def _fit_pictures(
    kind: type[DetectorModule],
    network: SsdIsb,
    items: DetectionDataset | JointDataset,
    collate_fn: Callable,
    config: DetectorConfig,
    folder: Path,
    *,
    validate: Validate | None,
    device: str,
) -> None:
    """Learn from an endless shuffled stream of pictures."""
    per_interval = config.interval * config.accumulate * config.batch_size
    loader = DataLoader(
        items,
        batch_size=config.batch_size,
        sampler=StreamSampler(len(items), per_interval=per_interval, seed=config.seed),
        num_workers=config.workers,
        collate_fn=collate_fn,
        persistent_workers=config.workers > 0,
    )
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    module = kind(network, config, validate=validate)
    _fit(module, loader, config, folder, device)
    module.take_result()


def cache_maps(
    network: SsdIsb,
    dataset: Dataset,
    config: BranchConfig,
    folder: Path,
    *,
    blocks: tuple[int, ...] | None = None,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Compute what branches learn from, unless `folder` has it. Boxes alone teach them nothing.

    Every row with this detector and data, and the same `passes`, `seed` and `maps_precision`, can
    share the folder.

    Args:
        network: whose detector is run.
        dataset: pictures with masks are taken from it.
        config: of the branches.
        folder: of the cache.
        blocks: of the trunk, whose maps are kept; those that the network crops from when None.
        device: "cpu" or "cuda", on which the detector runs.
        progress: called with the numbers of pictures done and in all.

    Raises:
        UsageError: there is no picture with masks, or `folder` was made from something else.
    """
    blocks = blocks or network.spec.crop_blocks
    samples = dataset.masked
    if not samples:
        raise UsageError(NO_MASKS)
    settings = {
        "passes": config.passes,
        "seed": config.seed,
        "precision": config.maps_precision,
        "input_size": network.spec.input_size,
    }
    claim(folder, settings, dataset, network.detector.state_dict())
    if (folder / FEATURES).exists():
        kept = load_features(folder / FEATURES).maps.keys()
        if not set(blocks) <= kept:
            raise UsageError(
                f"{folder} has the maps of blocks {sorted(kept)}, not of {sorted(blocks)}; use "
                "another --out, or delete the folder."
            )
        return
    total = len(samples) * config.passes
    network.eval().to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    cache_features(
        network,
        _passes(samples, config),
        folder / FEATURES,
        blocks=blocks,
        autocast=config.maps_precision == "bf16-mixed",
        progress=None if progress is None else lambda done: progress(done, total),
    )
    network.cpu()


def fit_branches(
    network: SsdIsb,
    dataset: Dataset,
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
    row = [field.name for field in dataclasses.fields(network.spec)]
    claim(folder, _facts(network, config, *row), dataset, network.state_dict())
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
    _fit(BranchModule(network, config, validate=validate), loader, config, folder, device)


def fit_semantic(
    network: SemanticNetwork,
    dataset: LabelDataset,
    config: SemanticConfig,
    folder: Path,
    *,
    val: LabelDataset | None = None,
    validate: ValidateLabels | None = None,
    device: str = "cpu",
) -> None:
    """Train a semantic network in place; resumes from `folder`'s checkpoint.

    With `validate`, `folder` also keeps the network whose mIoU was highest; see `load_best`.

    Args:
        network: trained in place.
        dataset: that it learns from.
        config: its settings.
        folder: of the run.
        val: that `validate` scores on.
        validate: gives the mIoU.
        device: "cpu" or "cuda".

    Raises:
        UsageError: `folder` belongs to another training, the best of it was found on other data
            than `val`, or sizes differ within a batch.
        BadData: a file is broken, or no pixel has a class.
    """
    row = [field.name for field in dataclasses.fields(network.spec)]
    facts = _facts(network, config, *row)
    items = LabelMaps(dataset, changes=_changes(config), seed=config.seed)
    _check_precision(network, config, items)  # before the folder is taken by these settings
    scored = hash_dataset(val) if val else ""
    best = load_checkpoint(folder / BEST)[1] if (folder / BEST).exists() else {}
    if validate and best.get("scored", scored) != scored:
        raise UsageError(
            f"{folder / BEST} is the best on other validation data, whose scores cannot be "
            "compared; give that, or use another --out."
        )
    claim(folder, facts, dataset, network.state_dict())
    odds, weights = _balance(dataset, config, folder / PIXELS)
    loader = DataLoader(
        items,
        batch_size=config.batch_size,
        sampler=StreamSampler(
            len(items),
            per_interval=config.interval * config.accumulate * config.batch_size,
            seed=config.seed,
            odds=odds,
        ),
        num_workers=config.workers,
        collate_fn=collate_labels,
        persistent_workers=config.workers > 0,
    )
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    count = min(config.norm_pictures, len(items))
    if count and not (folder / LAST).exists():  # a resumed run has them in its checkpoint
        spread = (number * len(items) // count for number in range(count))
        # The encoder's alone: what begins at random shall begin with batch norm as it is made.
        pictures = (items[0, index].picture[None] for index in spread)
        renew_statistics(network, network.encoder, pictures)
    module = SemanticModule(
        network,
        config,
        best=folder / BEST,
        class_weights=weights,
        validate=validate,
        scored=scored,
    )
    _fit(module, loader, config, folder, device)


def load_best(network: SemanticNetwork, folder: Path) -> dict[str, float]:
    """Fill a network with the best of a training.

    Returns {"step", "mIoU"} of it; {}, and the network as it is, where nothing was scored.
    """
    if not (folder / BEST).exists():
        return {}
    tensors, record = load_checkpoint(folder / BEST)
    load_tensors(network, tensors, folder / BEST)
    return {key: record[key] for key in ("step", MIOU)}


def _check_precision(network: SemanticNetwork, config: SemanticConfig, items: LabelMaps) -> None:
    """Refuses bfloat16 on maps narrower than `LEAST_CELLS`."""
    if config.precision == "32-true":
        return
    if config.augment == "none":
        height, width = min((sample.size for sample in items.samples), key=min)
    else:
        height, width = config.window_height, config.window_width
    cells = min(height, width) // network.spec.output_stride
    if cells < LEAST_CELLS:
        raise UsageError(
            f"precision={config.precision!r} needs maps of {LEAST_CELLS} cells or more a side, "
            f"{width}x{height} pixels have {cells}; use --set semantic.precision=32-true."
        )


def _changes(config: SemanticConfig) -> tuple[Change, ...]:
    if config.augment == "none":
        return ()
    window = partial(
        label_augment.random_window,
        size=(config.window_height, config.window_width),
        scales=(config.least_scale, config.greatest_scale),
    )
    return label_augment.photometric, window, label_augment.flip


def _balance(
    dataset: LabelDataset, config: SemanticConfig, kept: Path
) -> tuple[list[float] | None, torch.Tensor | None]:
    """The odds of each picture and the weight of each class; None where all are alike.

    They take a look at every label map, so what was counted is kept in a file.
    """
    odds, weights = None, None
    if config.sampling == "balanced" or config.class_balance:
        if not kept.exists():
            write_json(kept, label_augment.count_pixels(dataset).tolist())
        pixels = np.asarray(json.loads(kept.read_text()))
        if not pixels.any():
            raise AnnotationError(
                dataset.sources[0], "no pixel has a class; nothing can be learnt."
            )
        if config.sampling == "balanced":
            odds = label_augment.balanced_odds(pixels).tolist()
        if config.class_balance:
            shares = label_augment.class_weights(pixels, config.class_balance)
            weights = torch.from_numpy(shares.astype(np.float32))
    return odds, weights


def _facts(
    network: SsdIsb | SemanticNetwork, config: OptimizerConfig, *keys: str
) -> dict[str, Any]:
    """What decides a training beside data and weights: its settings, and these of the row."""
    row = dataclasses.asdict(network.spec)
    return training_settings(config) | {"row": {key: row[key] for key in keys}}


def _passes(samples: list[Sample], config: BranchConfig) -> Iterator[Example]:
    """Every picture, augmented anew in each pass."""
    for number in range(config.passes):
        for index, sample in enumerate(samples):
            yield load_augmented(sample, with_masks=True, seed=(config.seed, number, index))


def _fit(
    module: pl.LightningModule,
    loader: DataLoader,
    config: OptimizerConfig,
    folder: Path,
    device: str,
) -> None:
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
