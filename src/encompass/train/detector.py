"""Training of the detector: trunk, extras and predictors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from encompass.data.instances import Dataset
from encompass.data.loader import Batch, DetectionDataset, collate
from encompass.losses.detection import detection_loss
from encompass.losses.matching import match_anchors
from encompass.models.anchors import corners, encode
from encompass.models.instance import SsdIsb
from encompass.models.layers import freeze_batch_norm
from encompass.models.ssd import SsdOutputs
from encompass.train.config import DetectorConfig
from encompass.train.fit import StreamSampler, fit, row_facts
from encompass.train.provenance import claim
from encompass.train.step import build_optimizer, check_finite, validate_now

Validate = Callable[[SsdIsb], dict[str, float]]


class DetectorModule(pl.LightningModule):
    """Lightning's view of the detector. Only `network.detector` learns, unless a subclass says."""

    learns_branches: ClassVar[bool] = False

    def __init__(
        self, network: SsdIsb, config: DetectorConfig, *, validate: Validate | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.validate = validate
        self.network.detector.requires_grad_(True)
        self.network.branches.requires_grad_(self.learns_branches)
        trunk = self.network.detector.trunk
        if config.frozen_blocks:
            trunk.stem.requires_grad_(False)
            trunk.blocks[: config.frozen_blocks].requires_grad_(False)
        self.anchors: Tensor | None = None
        # The running mean of what learns; a part of the module, so that checkpoints have it.
        self.mean = nn.ParameterList(
            nn.Parameter(weight.detach().clone(), requires_grad=False)
            for weight in (self._learning() if config.ema else ())
        )

    def _learning(self) -> list[nn.Parameter]:
        """What the gradient moves."""
        return [weight for weight in self.network.parameters() if weight.requires_grad]

    def on_train_epoch_start(self) -> None:
        """Batch norm keeps its statistics: batches here are too small for new ones."""
        freeze_batch_norm(self.network)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """One batch: match, compare, sum."""
        return self.box_loss(self._look(batch), batch)

    def _look(self, batch: Batch) -> SsdOutputs:
        return self.network(batch.pictures.to(memory_format=torch.channels_last))

    def box_loss(self, outputs: SsdOutputs, batch: Batch) -> Tensor:
        """The weighted sum of SSD's two losses."""
        if self.anchors is None:
            self.anchors = self.network.anchors(outputs.grids).to(self.device)
        size = self.network.spec.input_size
        anchors_xyxy = corners(self.anchors)
        matches, targets, labels = [], [], []
        for boxes, names, ignore in zip(batch.boxes, batch.labels, batch.ignore, strict=True):
            match = match_anchors(anchors_xyxy, boxes / size, ignore / size)
            matches.append(match)
            if len(boxes):
                picked = match.objects.clamp(min=0)
                targets.append(encode(boxes[picked] / size, self.anchors))
                labels.append(names[picked])
            else:
                targets.append(torch.zeros_like(self.anchors))
                labels.append(torch.zeros_like(match.objects))
        losses = detection_loss(
            outputs.logits.float(),
            outputs.offsets.float(),
            torch.stack(targets),
            torch.stack(labels),
            matches,
            score=self.network.spec.score,
        )
        total = self.config.box_weight * losses["box"] + self.config.score_weight * losses["score"]
        check_finite(total, losses, ", ".join(batch.names), self.global_step)
        self.log_dict(losses, prog_bar=True, batch_size=len(batch.names))
        return total

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """A step, and the mean moves towards the new weights; at first faster."""
        super().optimizer_step(*args, **kwargs)
        if self.config.ema:
            decay = min(self.config.ema, (1 + self.global_step) / (10 + self.global_step))
            with torch.no_grad():
                for mean, last in zip(self.mean, self._learning(), strict=True):
                    mean.lerp_(last, 1 - decay)

    def on_train_epoch_end(self) -> None:
        """Score now and then, if a scorer was given."""
        last = [weight.data for weight in self._learning()]
        self.take_result()
        validate_now(self, self.network, self.config, self.validate)
        for weight, data in zip(self._learning(), last, strict=True):
            weight.data = data

    def take_result(self) -> None:
        """Put what the training has come to in the place of the last weights."""
        for weight, data in zip(self._learning(), self.result(), strict=True):
            weight.data = data

    def result(self) -> list[Tensor]:
        """What is scored and kept: the running mean, if there is one, else the last weights."""
        chosen = self.mean if self.config.ema else self._learning()
        return [weight.data for weight in chosen]

    def configure_optimizers(self):
        """RMSProp on the detector alone."""
        return build_optimizer(self._learning(), self.config)


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
    facts = row_facts(network, config, "input_size", "score", "anchors")
    claim(folder, facts, dataset, network.state_dict())
    size = network.spec.input_size
    items = DetectionDataset(dataset, size=(size, size), seed=config.seed)
    fit_pictures(
        DetectorModule, network, items, collate, config, folder, validate=validate, device=device
    )


def fit_pictures(
    kind: type[DetectorModule],
    network: SsdIsb,
    items: torch.utils.data.Dataset,
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
        sampler=StreamSampler(
            len(items),  # pyright: ignore[reportArgumentType]
            per_interval=per_interval,
            seed=config.seed,
        ),
        num_workers=config.workers,
        collate_fn=collate_fn,
        persistent_workers=config.workers > 0,
    )
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    module = kind(network, config, validate=validate)
    fit(module, loader, config, folder, device)
    module.take_result()
