"""Training of a semantic network: the class of every pixel, at the size of its label map."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from encompass.data.label_loader import LabelBatch
from encompass.data.labels import IGNORE
from encompass.losses.semantic import iou_loss, pixel_loss
from encompass.models.layers import freeze_batch_norm
from encompass.models.semantic import SemanticNetwork, upsample
from encompass.models.weights import load_checkpoint, save_checkpoint
from encompass.train.config import SemanticConfig
from encompass.train.step import build_optimizer, check_finite, validate_now

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
