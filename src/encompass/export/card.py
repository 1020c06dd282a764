"""The card of a trained network: what it is, what it was made from, how good it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import encompass
from encompass.errors import AnnotationError
from encompass.export.onnx import SCORE_THRESHOLD
from encompass.models.instance import SsdIsb
from encompass.models.layers import tensorflow_parameters
from encompass.models.semantic import SemanticNetwork
from encompass.schema import ANY_SIZE, ModelCard


def build_card(
    network: SsdIsb | SemanticNetwork,
    record: Mapping[str, Any],
    *,
    scores: Mapping[str, float],
    best_f1: float | None = None,
    licence: str | None = None,
    commit: str,
) -> ModelCard:
    """A card from the record that training wrote into the checkpoint.

    Args:
        network: gives task, size and number of parameters.
        record: of the checkpoint.
        scores: in points, by name.
        best_f1: the score threshold of the best F1, of an instance network.
        licence: SPDX identifier of the weights: data may have terms that reach them. None takes
            the record's, else SPDX's word for what nobody has said.
        commit: of the exporting code.
    """
    if isinstance(network, SemanticNetwork):
        task, size, ids, colours = "semantic", ANY_SIZE, (), record["colours"]
        thresholds = {}
    else:
        side = network.spec.input_size
        task, size, ids, colours = "instance", (side, side), record["category_ids"], ()
        thresholds = {"score": SCORE_THRESHOLD, "nms_iou": network.spec.nms_iou}
        if best_f1 is not None:
            thresholds["best_F1"] = best_f1
    return ModelCard(
        name=record["name"],
        task=task,
        parameters=tensorflow_parameters(network),
        input_size=size,
        names=tuple(record["names"]),
        category_ids=tuple(ids),
        colours=tuple(map(tuple, colours)),
        licence=licence or record.get("licence") or "NOASSERTION",
        training_data="; ".join(record["data"]),
        scores=scores,
        recipe=record["recipe"],
        commit=commit,
        version=encompass.__version__,
        thresholds=thresholds,
    )


def read_scores(path: Path, *, sha256: str) -> tuple[dict[str, float], float | None]:
    """The figures of a result of `encompass evaluate`, in points, rounded to one decimal.

    Args:
        path: the result's JSON file.
        sha256: of the checkpoint that the scores must be of.

    Returns:
        The figures by name, and the score threshold of the best F1 of masks, or of boxes where
        there are no masks; None where the result has none.

    Raises:
        AnnotationError: the file is missing, not such a result, or of another checkpoint.
    """
    try:
        result = json.loads(path.read_text())
        if result["file"]["sha256"] != sha256:
            raise AnnotationError(
                path, f"is of another file ({result['file']['name']}); evaluate this checkpoint."
            )
        best_f1 = None
        if "mIoU" in result:
            scores = {"mIoU": result["mIoU"], "pixel accuracy": result["pixel_accuracy"]}
            scores |= {f"{entry['name']} IoU": entry["IoU"] for entry in result["classes"]}
        else:
            parts = [part for part in ("box", "mask") if part in result]
            scores = {
                f"{part} {metric}": value
                for part in parts
                for metric, value in result[part].items()
            }
            for part, best in result.get("best_F1", {}).items():  # older results have none
                scores[f"{part} F1"] = best and best["F1"]
                best_f1 = best and best["score"]
        points = {name: round(value, 1) for name, value in scores.items() if value is not None}
        return points, best_f1
    except AnnotationError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AnnotationError(
            path, f"is not a result of `encompass evaluate` ({error!r}); make it again."
        ) from None
