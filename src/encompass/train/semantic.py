"""Training of a semantic network: the class of every pixel, at the size of its label map."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from encompass.data import label_augment
from encompass.data.label_loader import Change, LabelBatch, LabelMaps, collate_labels
from encompass.data.labels import IGNORE, LabelDataset
from encompass.data.loader import evenly
from encompass.errors import AnnotationError, UsageError
from encompass.files import write_json
from encompass.losses.semantic import iou_loss, pixel_loss
from encompass.models.layers import freeze_batch_norm, renew_statistics
from encompass.models.semantic import SemanticNetwork, upsample
from encompass.models.weights import load_checkpoint, load_tensors, save_checkpoint
from encompass.train.config import LEAST_CELLS, SemanticConfig
from encompass.train.fit import LAST, StreamSampler, fit, row_facts
from encompass.train.provenance import claim, hash_dataset
from encompass.train.step import build_optimizer, check_finite, validate_now

BEST = "best.safetensors"  # the best network of a run
PIXELS = "pixels.json"  # of each class in each picture
MIOU = "mIoU"  # the score, of those that a `ValidateLabels` gives, of which the highest is the best
ValidateLabels = Callable[[SemanticNetwork], dict[str, float]]


class SemanticModule(pl.LightningModule):
    """Lightning's view of a semantic network. All of it learns, and its best is kept."""

    def __init__(
        self,
        network: SemanticNetwork,
        config: SemanticConfig,
        *,
        best: Path,
        class_weights: Tensor | None = None,
        validate: ValidateLabels | None = None,
        scored: str = "",
    ) -> None:
        """Args:
        network: trained in place.
        config: its settings.
        best: file for the network whenever `validate` finds it better than ever. What the file
            says of itself is the score to beat, so a resumed run needs no more.
        class_weights: (C,) in the loss.
        validate: gives at least `MIOU`, unless nothing can be scored.
        scored: hash of the data that `validate` scores on; kept with the best.
        """
        super().__init__()
        self.network = network
        self.config = config
        self.best = best
        self.validate = validate
        self.scored = scored
        self.register_buffer("class_weights", class_weights, persistent=False)
        for part in network.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = config.norm_momentum

    def on_train_epoch_start(self) -> None:
        """Batch norm of momentum 0 uses the statistics it has."""
        if self.config.norm_momentum == 0:
            freeze_batch_norm(self.network)

    def training_step(self, batch: LabelBatch, _: int) -> Tensor:
        """One batch: logits, brought to the labels' size (thesis 4.2.2), against the labels."""
        logits = self.network(batch.pictures.to(memory_format=torch.channels_last))
        height, width = batch.labels.shape[-2:]
        full = upsample(logits.float(), stride=self.network.stride, size=(height, width))
        weights: Tensor | None = self.class_weights  # type: ignore[assignment]
        loss = pixel_loss(full, batch.labels, ignore=IGNORE, weights=weights)
        parts = {"pixel": loss}
        if self.config.iou_weight:
            # One pixel of sixteen: its cost is in sorting them.
            thin, labels = full[..., ::4, ::4], batch.labels[..., ::4, ::4]
            parts["iou"] = iou_loss(thin, labels, ignore=IGNORE)
            loss = loss + self.config.iou_weight * parts["iou"]
        check_finite(loss, parts, ", ".join(batch.names), self.global_step)
        self.log_dict(parts, prog_bar=True, batch_size=len(batch))
        return loss

    def on_train_epoch_end(self) -> None:
        """Score now and then, if a scorer was given, and keep what is better than ever."""
        scores = validate_now(self, self.network, self.config, self.validate)
        if MIOU not in scores:
            return
        if self.best.exists() and load_checkpoint(self.best)[1][MIOU] >= scores[MIOU]:
            return
        record = {"step": self.global_step, MIOU: scores[MIOU], "scored": self.scored}
        save_checkpoint(self.best, self.network.state_dict(), record)

    def configure_optimizers(self):
        """RMSProp on the whole network."""
        encoder = list(self.network.encoder.parameters())
        rate = self.config.learning_rate * self.config.encoder_rate
        decoder = list(self.network.decoder.parameters())
        groups = [{"params": encoder, "lr": rate}, {"params": decoder}]
        return build_optimizer(groups, self.config)


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
    facts = row_facts(network, config)
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
        # The encoder's alone: what begins at random shall begin with batch norm as it is made.
        pictures = (items[0, index].picture[None] for index in evenly(count, len(items)))
        renew_statistics(network, network.encoder, pictures)
    module = SemanticModule(
        network,
        config,
        best=folder / BEST,
        class_weights=weights,
        validate=validate,
        scored=scored,
    )
    fit(module, loader, config, folder, device)


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
