"""The card of a trained network: what it is, what it was made from, how good it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from encompass.errors import AnnotationError
from encompass.models.instance import SsdIsb
from encompass.models.layers import tensorflow_parameters
from encompass.schema import ModelCard

LICENCE = "Apache-2.0"  # of all weights that this project trains


def build_card(
    network: SsdIsb, record: Mapping[str, Any], *, scores: Mapping[str, float], commit: str
) -> ModelCard:
    """A card from the record that training wrote into the checkpoint."""
    size = network.spec.input_size
    return ModelCard(
        name=record["name"],
        task="instance",
        parameters=tensorflow_parameters(network),
        input_size=(size, size),
        names=tuple(record["names"]),
        category_ids=tuple(record["category_ids"]),
        licence=LICENCE,
        training_data="; ".join(record["data"]),
        scores=scores,
        recipe=record["recipe"],
        commit=commit,
    )


def read_scores(path: Path, *, sha256: str) -> dict[str, float]:
    """The figures of a result of `encompass evaluate`, in points, rounded to one decimal.

    Args:
        path: the result's JSON file.
        sha256: of the checkpoint that the scores must be of.

    Raises:
        AnnotationError: the file is missing, not such a result, or of another checkpoint.
    """
    try:
        result = json.loads(path.read_text())
        if result["file"]["sha256"] != sha256:
            raise AnnotationError(
                path, f"is of another file ({result['file']['name']}); evaluate this checkpoint."
            )
        return {
            f"{part} {metric}": round(value, 1)
            for part in ("box", "mask")
            for metric, value in result[part].items()
            if value is not None
        }
    except AnnotationError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AnnotationError(
            path, f"is not a result of `encompass evaluate` ({error!r}); make it again."
        ) from None
