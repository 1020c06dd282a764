"""A network as the scorer wants it: a picture file in, instances out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from encompass.data.loader import to_network
from encompass.errors import ModelError
from encompass.geometry.resize import Stretch
from encompass.models.instance import SsdIsb, predict_instances, predict_masks
from encompass.models.rows import parse_row
from encompass.models.ssd import SsdOutputs
from encompass.models.weights import BRANCHED, load_tensors, load_whole
from encompass.models.zoo import MODELS
from encompass.pictures import read_picture
from encompass.schema import BoxMask, Instances

# Average precision ranks all boxes, so nearly all must be kept.
SCORE_FOR_AP = 0.01


Observe = Callable[[Path], tuple[SsdOutputs, Stretch]]


def observer(network: SsdIsb) -> Observe:
    """Read a picture file and run the detector on it: its outputs, and how it was stretched.

    Rows on one detector can share what it sees: give them one observer that remembers.
    """
    size = (network.spec.input_size, network.spec.input_size)

    @torch.no_grad()
    def observe(path: Path) -> tuple[SsdOutputs, Stretch]:
        picture = read_picture(path)
        return network(to_network(picture, size)[None]), Stretch(picture.shape[:2], size)

    return observe


def network_predictor(
    network: SsdIsb,
    *,
    names: tuple[str, ...],
    with_masks: bool = True,
    score: float = SCORE_FOR_AP,
    observe: Observe | None = None,
) -> Callable[[Path], Instances]:
    """Predict with the torch network as it stands, without export."""
    look = observe or observer(network)

    def predict(path: Path) -> Instances:
        return predict_instances(
            network, *look(path), names=names, score=score, with_masks=with_masks
        )

    return predict


def mask_predictor(
    network: SsdIsb, *, observe: Observe | None = None
) -> Callable[[Path, np.ndarray, np.ndarray], tuple[BoxMask, ...]]:
    """Predict the masks of given boxes (xyxy, source pixels) and labels, apart from detection."""
    look = observe or observer(network)

    def predict(path: Path, boxes: np.ndarray, labels: np.ndarray) -> tuple[BoxMask, ...]:
        return predict_masks(network, *look(path), boxes, labels)

    return predict


def load_network(path: Path) -> tuple[SsdIsb, dict]:
    """A trained checkpoint as a network in evaluation mode, and its record.

    Raises:
        ModelError: the file is broken, or is not a finished training of a known row.
    """
    tensors, record = load_whole(path)
    if record.get("task") == "semantic":
        raise ModelError(f"{path}: is a semantic network; give one that finds instances.")
    known = "row" in record or record.get("name") in MODELS
    if not known or record.get("stage") not in BRANCHED:
        what = "its branches are not trained" if record.get("stage") else "not a trained model"
        raise ModelError(
            f"{path}: {what}; give the file that `encompass train` ends with after the branches."
        )
    try:
        num_classes = len(record["names"])
        if "row" in record:
            spec = parse_row(dict(record["row"]), str(path))
        else:
            score = record["recipe"]["detector"]["score"]
            spec = dataclasses.replace(MODELS[record["name"]], score=score)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: its record is broken ({error!r}); train it anew.") from None
    network = SsdIsb(spec, num_classes=num_classes)
    load_tensors(network, tensors, path)
    return network.eval(), record
