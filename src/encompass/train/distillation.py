"""Distillation of a pruned trunk: its outputs learn to be those of the trunk that it came from.

Every cell of every map teaches it, where labels tell it of a few boxes; and pictures need no labels
(Romero et al. 2015, FitNets; Hinton et al. 2015). What is not in the thesis.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from encompass.data.instances import Dataset
from encompass.data.loader import Batch, DetectionDataset, collate
from encompass.models.instance import SsdIsb
from encompass.train.config import DistillationConfig
from encompass.train.fit import row_facts
from encompass.train.pictures import PictureModule, Validate, fit_pictures
from encompass.train.provenance import claim
from encompass.train.step import check_finite


class DistillationModule(PictureModule):
    """Lightning's view of the trunk, which alone learns."""

    config: DistillationConfig

    def __init__(
        self,
        network: SsdIsb,
        teacher: SsdIsb,
        config: DistillationConfig,
        *,
        validate: Validate | None = None,
    ) -> None:
        super().__init__(network, config, validate=validate)
        # In a tuple, so that it is no part of the module: checkpoints shall not have it.
        self.teacher = (teacher.detector.trunk.eval().requires_grad_(False),)

    def choose(self) -> None:
        """The trunk: what reads it stays as the wide one's outputs taught it."""
        self.network.detector.trunk.requires_grad_(True)

    def on_fit_start(self) -> None:
        """The teacher goes where the network learns."""
        trunk = self.teacher[0].to(self.device)
        trunk.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The sum over the outputs of what part of the teacher's variance is missed."""
        pictures = (batch.pictures / 127.5 - 1).to(memory_format=torch.channels_last)
        with torch.no_grad():
            wanted = self.teacher[0](pictures)
        given = self.network.detector.trunk(pictures)
        losses = {
            f"block {block}": _missed(given[block].float(), wanted[block].float())
            for block in wanted
        }
        total = torch.stack(list(losses.values())).sum()
        check_finite(total, losses, ", ".join(batch.names), self.global_step)
        self.log_dict(losses, prog_bar=True, batch_size=len(batch.names))
        return total


def _missed(given: Tensor, wanted: Tensor) -> Tensor:
    return (given - wanted).square().mean() / wanted.var()


def fit_distillation(
    network: SsdIsb,
    teacher: SsdIsb,
    dataset: Dataset,
    config: DistillationConfig,
    folder: Path,
    *,
    validate: Validate | None = None,
    device: str = "cpu",
) -> None:
    """Train the trunk in place; resumes from `folder`'s checkpoint.

    Args:
        network: of a row with fewer inner channels, pruned from the teacher.
        teacher: the row but for that, with the trunk's outputs that are wanted.
        dataset: whose pictures are looked at, augmented; not its labels.
        config: of the training.
        folder: of its checkpoints.
        validate: scores the network now and then.
        device: "cpu" or "cuda".

    Raises:
        UsageError: `folder` belongs to another training.
    """
    claim(folder, row_facts(network, config), dataset, network.state_dict())
    size = network.spec.input_size
    items = DetectionDataset(dataset, size=(size, size), seed=config.seed)
    module = DistillationModule(network, teacher, config, validate=validate)
    fit_pictures(module, items, collate, folder, device=device)
