"""A semantic network as the scorer wants it: a picture file in, its label map out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from encompass.data.labels import LabelDataset, LabelTable
from encompass.errors import ModelError
from encompass.evaluate.miou import LabelPredictor, score_labels
from encompass.models.rows import parse_semantic_row
from encompass.models.semantic import SemanticNetwork, upsample
from encompass.models.weights import load_checkpoint, load_tensors
from encompass.pictures import read_picture


def label_predictor(network: SemanticNetwork) -> LabelPredictor:
    """Predict with the torch network as it stands, pictures at their own size (thesis 4.2.2)."""
    predict = pixel_predictor(network)
    return lambda path: predict(read_picture(path))


def pixel_predictor(network: SemanticNetwork) -> Callable[[np.ndarray], np.ndarray]:
    """The same for a picture in memory: (H, W, 3) uint8 RGB to (H, W) uint8 labels."""

    @torch.no_grad()
    def predict(picture: np.ndarray) -> np.ndarray:
        pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
        full = upsample(network(pixels), stride=network.stride, size=picture.shape[:2])
        return full[0].argmax(dim=0).to(torch.uint8).numpy()

    return predict


def label_scorer(dataset: LabelDataset) -> Callable[[SemanticNetwork], dict[str, float]]:
    """What a training is validated with: a network's mIoU and pixel accuracy, in points."""

    def score(network: SemanticNetwork) -> dict[str, float]:
        scores = score_labels(dataset, label_predictor(network))
        chosen = {key: scores[key] for key in ("mIoU", "pixel_accuracy")}
        return {key: value for key, value in chosen.items() if value is not None}

    return score


def load_semantic(path: Path) -> tuple[SemanticNetwork, LabelTable, dict]:
    """A trained checkpoint as a network in evaluation mode, its classes and its record.

    Raises:
        ModelError: the file is broken, or is not a training of a semantic row.
    """
    tensors, record = load_checkpoint(path)
    if record.get("task") != "semantic":
        raise ModelError(f"{path}: is not a semantic network that `encompass train` ended with.")
    try:
        row, names, colours = dict(record["row"]), tuple(record["names"]), record["colours"]
        pairs = zip(names, colours, strict=True)
        table = LabelTable(names, tuple((r, g, b) for _, (r, g, b) in pairs))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: its record is broken ({error!r}); train it anew.") from None
    network = SemanticNetwork(parse_semantic_row(row, str(path)), num_classes=len(table))
    load_tensors(network, tensors, path)
    return network.eval(), table, record
