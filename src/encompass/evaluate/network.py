"""A network as the scorer wants it: a picture file in, instances out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from encompass.data.loader import to_network
from encompass.errors import ModelError
from encompass.geometry.resize import Stretch
from encompass.models.instance import SsdIsb, predict_instances
from encompass.models.weights import load_checkpoint, load_tensors
from encompass.models.zoo import MODELS
from encompass.pictures import read_picture
from encompass.schema import Instances

# Average precision ranks all boxes, so nearly all must be kept.
SCORE_FOR_AP = 0.01


def network_predictor(
    network: SsdIsb, *, names: tuple[str, ...], with_masks: bool = True, score: float = SCORE_FOR_AP
) -> Callable[[Path], Instances]:
    """Predict with the torch network as it stands, without export."""
    size = (network.spec.input_size, network.spec.input_size)

    def predict(path: Path) -> Instances:
        picture = read_picture(path)
        return predict_instances(
            network,
            to_network(picture, size),
            Stretch(picture.shape[:2], size),
            names=names,
            score=score,
            with_masks=with_masks,
        )

    return predict


def load_network(path: Path) -> tuple[SsdIsb, dict]:
    """A trained checkpoint as a network in evaluation mode, and its record.

    Raises:
        ModelError: the file is broken, or is not a finished training of a known row.
    """
    tensors, record = load_checkpoint(path)
    if record.get("name") not in MODELS or record.get("stage") not in ("all", "branches"):
        what = "its branches are not trained" if record.get("stage") else "not a trained model"
        raise ModelError(
            f"{path}: {what}; give the file that `encompass train` ends with after the branches."
        )
    spec = dataclasses.replace(MODELS[record["name"]], score=record["recipe"]["detector"]["score"])
    network = SsdIsb(spec, num_classes=len(record["names"]))
    load_tensors(network, tensors, path)
    return network.eval(), record
