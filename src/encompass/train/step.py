"""What the training modules share: the optimizer, the check of each loss, the scoring."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from encompass.errors import Diverged
from encompass.train.config import OptimizerConfig

NO_MASKS = (
    "No picture has masks for all its objects; give --data with masks, or train with --stage "
    "detector."
)

Network = TypeVar("Network", bound=nn.Module)


def build_optimizer(
    parameters: list[nn.Parameter] | list[dict], config: OptimizerConfig
) -> tuple[list[torch.optim.Optimizer], list[dict]]:
    """RMSProp with warm-up and decay, as Lightning wants them; groups may have their own "lr"."""
    optimizer = torch.optim.RMSprop(
        parameters, lr=config.learning_rate, alpha=config.alpha, momentum=config.momentum
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, config.learning_rate_factor)
    return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def check_finite(total: Tensor, losses: dict[str, Tensor], where: str, step: int) -> None:
    """Raises Diverged, naming the terms and the data, when the loss is not a number."""
    if not total.isfinite():
        terms = ", ".join(f"{name} {value.item():g}" for name, value in losses.items())
        raise Diverged(
            f"The loss is not finite at step {step} ({terms}) on {where}. "
            "Use a lower learning_rate; the last checkpoint is intact."
        )


def validate_now(
    module: pl.LightningModule,
    network: Network,
    config: OptimizerConfig,
    validate: Callable[[Network], dict[str, float]] | None,
) -> dict[str, float]:
    """Run the scorer at the end of an interval when it is due, and log what it says.

    It runs on the CPU, wherever the network learns.

    Returns that; {} when nothing was scored.
    """
    done = module.current_epoch + 1  # intervals
    last = done == config.steps // config.interval
    due = last or (config.validate_every and done % config.validate_every == 0)
    if validate is None or not due:
        return {}
    device = module.device
    scores = validate(network.eval().cpu())
    network.train().to(device)
    module.log_dict(scores, prog_bar=True)
    line = ", ".join(f"{name} {value:.2f}" for name, value in scores.items())
    module.print(f"\nstep {module.global_step}: {line}")
    return scores
