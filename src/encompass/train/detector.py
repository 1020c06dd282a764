"""Training of the detector: trunk, extras and predictors."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from encompass.data.instances import Dataset
from encompass.data.loader import Batch, DetectionDataset, collate
from encompass.losses.detection import detection_loss
from encompass.losses.matching import match_anchors
from encompass.models.anchors import corners, encode
from encompass.models.coco_ids import COCO_IDS
from encompass.models.instance import SsdIsb
from encompass.models.ssd import SsdOutputs
from encompass.models.weights import FINE
from encompass.train.config import DetectorConfig
from encompass.train.fit import row_facts
from encompass.train.pictures import PictureModule, Validate, fit_pictures
from encompass.train.provenance import claim
from encompass.train.step import build_optimizer

SCORES = ".scores."  # of all predictors


class DetectorModule(PictureModule):
    """Lightning's view of the detector. Only `network.detector` learns."""

    config: DetectorConfig

    def __init__(
        self,
        network: SsdIsb,
        config: DetectorConfig,
        *,
        names: tuple[str, ...],
        validate: Validate | None = None,
    ) -> None:
        super().__init__(network, config, validate=validate)
        self.new_parts = (FINE,) if set(names) <= COCO_IDS.keys() else (FINE, SCORES)
        self.anchors: Tensor | None = None

    def choose(self) -> None:
        """The detector but for the trunk's frozen blocks."""
        super().choose()
        trunk = self.network.detector.trunk
        if self.config.frozen_blocks:
            trunk.stem.requires_grad_(False)
            trunk.blocks[: self.config.frozen_blocks].requires_grad_(False)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """One batch: match, compare, sum."""
        return self.box_loss(self.look(batch), batch)

    def look(self, batch: Batch) -> SsdOutputs:
        """What the detector says of a batch."""
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
        return self.checked(total, losses, batch.names)

    def configure_optimizers(self):
        """RMSProp; what is not known yet at a rate of its own."""
        known, new = [], []
        for name, weight in self.network.named_parameters():
            if weight.requires_grad:
                (known if self.is_known(name) else new).append(weight)
        rate = self.config.learning_rate * self.config.new_rate
        return build_optimizer([{"params": known}, {"params": new, "lr": rate}], self.config)

    def is_known(self, name: str) -> bool:
        """Whether a weight comes with what a large dataset taught it.

        A fine map does not, nor do scores where a class is not COCO's.
        """
        return not any(part in name for part in self.new_parts)


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
    module = DetectorModule(network, config, names=dataset.classes.names, validate=validate)
    fit_pictures(module, items, collate, folder, device=device)
