"""Distillation of a pruned detector: it learns to say what the one that it came from says.

Every cell of the trunk's outputs and every anchor teach it, where labels tell it of a few boxes;
and pictures need no labels (Hinton et al. 2015; Romero et al. 2015, FitNets; for detectors Chen et
al. 2017). Not in the thesis.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from encompass.data.instances import Dataset
from encompass.data.loader import Batch, DetectionDataset, collate
from encompass.losses.distillation import distillation_loss, feature_loss
from encompass.models.instance import SsdIsb
from encompass.train.config import DistillationConfig
from encompass.train.fit import row_facts
from encompass.train.pictures import PictureModule, Validate, fit_pictures
from encompass.train.provenance import claim


class DistillationModule(PictureModule):
    """Lightning's view of the detector, which alone learns."""

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
        self.teacher = (teacher.eval().requires_grad_(False),)

    def on_fit_start(self) -> None:
        """The teacher goes where the network learns."""
        teacher = self.teacher[0].to(self.device)
        teacher.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The sum of what is missed of each of the trunk's outputs, of scores and of boxes."""
        pictures = batch.pictures.to(memory_format=torch.channels_last)
        with torch.no_grad():
            wanted = self.teacher[0](pictures)
        given = self.network(pictures)
        losses = {
            f"block {block}": feature_loss(given.features[block].float(), feature.float())
            for block, feature in wanted.features.items()
        }
        losses |= distillation_loss(
            given.logits.float(),
            given.offsets.float(),
            wanted.logits.float(),
            wanted.offsets.float(),
            score=self.network.spec.score,
        )
        total = torch.stack(list(losses.values())).sum()
        return self.checked(total, losses, batch.names)


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
    """Train the detector in place; resumes from `folder`'s checkpoint.

    Args:
        network: of a row with fewer inner channels, pruned from the teacher.
        teacher: of the row but for that.
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
