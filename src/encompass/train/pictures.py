"""What the trainings of the trunk share: a stream of pictures, and the running mean of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from encompass.models.instance import SsdIsb
from encompass.models.layers import freeze_batch_norm
from encompass.train.config import PictureConfig
from encompass.train.fit import StreamSampler, fit
from encompass.train.step import build_optimizer, check_finite, validate_now

Validate = Callable[[SsdIsb], dict[str, float]]


class PictureModule(pl.LightningModule):
    """Lightning's view of a network; subclasses say what it learns."""

    def __init__(
        self, network: SsdIsb, config: PictureConfig, *, validate: Validate | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.validate = validate
        self.network.requires_grad_(False)
        self.choose()
        # The running mean of what learns; a part of the module, so that checkpoints have it.
        self.mean = nn.ParameterList(
            nn.Parameter(weight.detach().clone(), requires_grad=False)
            for weight in (self.learning() if config.ema else ())
        )

    def choose(self) -> None:
        """Set `requires_grad` of what learns, the detector; the rest of the network has none."""
        self.network.detector.requires_grad_(True)

    def learning(self) -> list[nn.Parameter]:
        """What the gradient moves."""
        return [weight for weight in self.network.parameters() if weight.requires_grad]

    def on_train_epoch_start(self) -> None:
        """Batch norm keeps its statistics: batches here are too small for new ones."""
        freeze_batch_norm(self.network)

    def checked(self, total: Tensor, losses: dict[str, Tensor], names: Sequence[str]) -> Tensor:
        """The total of a batch of pictures of these names, logged; raises Diverged."""
        check_finite(total, losses, ", ".join(names), self.global_step)
        self.log_dict(losses, prog_bar=True, batch_size=len(names))
        return total

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """A step, and the mean moves towards the new weights; at first faster."""
        super().optimizer_step(*args, **kwargs)
        if self.config.ema:
            decay = min(self.config.ema, (1 + self.global_step) / (10 + self.global_step))
            with torch.no_grad():
                for mean, last in zip(self.mean, self.learning(), strict=True):
                    mean.lerp_(last, 1 - decay)

    def on_train_epoch_end(self) -> None:
        """Score now and then, if a scorer was given."""
        last = [weight.data for weight in self.learning()]
        self.take_result()
        validate_now(self, self.network, self.config, self.validate)
        for weight, data in zip(self.learning(), last, strict=True):
            weight.data = data

    def take_result(self) -> None:
        """Put what the training has come to in the place of the last weights."""
        for weight, data in zip(self.learning(), self.result(), strict=True):
            weight.data = data

    def result(self) -> list[Tensor]:
        """What is scored and kept: the running mean, if there is one, else the last weights."""
        chosen = self.mean if self.config.ema else self.learning()
        return [weight.data for weight in chosen]

    def configure_optimizers(self):
        """RMSProp on what learns."""
        return build_optimizer(self.learning(), self.config)


def fit_pictures(
    module: PictureModule,
    items: torch.utils.data.Dataset,
    collate_fn: Callable,
    folder: Path,
    *,
    device: str,
) -> None:
    """Learn from an endless shuffled stream of pictures; resumes from `folder`'s checkpoint."""
    config = module.config
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
    module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    fit(module, loader, config, folder, device)
    module.take_result()
