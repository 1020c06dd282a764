"""A network as the scorer wants it: a picture file in, instances out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from encompass.data.loader import to_network
from encompass.geometry.resize import Stretch
from encompass.models.instance import SsdIsb, predict_instances
from encompass.pictures import read_picture
from encompass.schema import Instances

# Average precision ranks all boxes, so nearly all must be kept.
SCORE_FOR_AP = 0.01


def network_predictor(
    network: SsdIsb, *, names: tuple[str, ...], with_masks: bool = True
) -> Callable[[Path], Instances]:
    """Predict with the torch network as it stands, at the threshold that average precision needs."""
    size = (network.spec.input_size, network.spec.input_size)

    def predict(path: Path) -> Instances:
        picture = read_picture(path)
        return predict_instances(
            network,
            to_network(picture, size),
            Stretch(picture.shape[:2], size),
            names=names,
            score=SCORE_FOR_AP,
            with_masks=with_masks,
        )

    return predict
