"""The main scores of models on one dataset, for verbs that set them beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from encompass.cli._evaluate_instance import score_instance
from encompass.cli._evaluate_semantic import score_semantic
from encompass.errors import UsageError
from encompass.run.comparison import one_task
from encompass.run.machine import usable_cores
from encompass.run.predictor import Model, load

Accuracy = dict[str, float | None]  # points 0 .. 100 by metric, None where nothing is to be scored


def accuracies(
    names: Sequence[str],
    data: Path,
    *,
    split: str | None,
    images: Path | None,
    pictures: int | None,
    quiet: bool,
) -> tuple[dict[str, Accuracy], int]:
    """`accuracy` of each model that can be loaded, each scored once, and on how many pictures."""
    models = {name: load(name) for name in names}
    task = one_task(list(models.values()))
    found: dict[str, Accuracy] = {}
    number = 0
    for name, model in models.items():
        found[name], number = accuracy(
            model, task, data, split=split, images=images, pictures=pictures, quiet=quiet
        )
    return found, number


def accuracy(
    model: Path | Model,
    task: str,
    data: Path,
    *,
    split: str | None,
    images: Path | None = None,
    pictures: int | None = None,
    quiet: bool = False,
) -> tuple[Accuracy, int]:
    """Mask and box AP, or mIoU, of a checkpoint or an exported model, and on how many pictures.

    Raises what `encompass evaluate` raises.
    """
    threads = usable_cores()
    about = {"images": images, "pictures": pictures, "threads": threads, "quiet": quiet}
    if task == "semantic":
        scores = score_semantic(model, data, split=split, **about).scores
        return main_scores(scores), scores["num_images"]
    if split:
        raise UsageError(f"--split {split} is of semantic models, and these find instances.")
    scores = score_instance(model, data, quality=False, **about).scores
    return main_scores(scores), scores["num_images"]


def main_scores(scores: Mapping[str, Any]) -> Accuracy:
    """Mask AP (where there are masks) and box AP, or mIoU, of `score_instances`/`score_labels`."""
    if "mIoU" in scores:
        return {"mIoU": scores["mIoU"]}
    return {f"{part} AP": scores[part]["AP"] for part in ("mask", "box") if part in scores}
