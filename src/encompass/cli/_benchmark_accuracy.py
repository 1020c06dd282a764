"""Scores of the models that `encompass benchmark` compares, each scored once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from encompass.cli._evaluate_instance import score_instance
from encompass.cli._evaluate_semantic import score_semantic
from encompass.errors import UsageError
from encompass.run.comparison import one_task
from encompass.run.machine import usable_cores
from encompass.run.predictor import load

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
    """Mask and box AP, or mIoU, of each model, and on how many pictures.

    Raises what `encompass evaluate` raises.
    """
    task = one_task([load(name, threads=1) for name in names])
    if split and task == "instance":
        raise UsageError(f"--split {split} is of semantic models; {names[0]} finds instances.")
    about = {
        "images": images,
        "pictures": pictures,
        "threads": usable_cores(),
        "quiet": quiet,
    }
    found: dict[str, Accuracy] = {}
    number = 0
    for name in names:
        if task == "semantic":
            scores = score_semantic(name, data, split=split, **about).scores
            found[name] = {"mIoU": scores["mIoU"]}
        else:
            scores = score_instance(name, data, quality=False, **about).scores
            parts = [part for part in ("mask", "box") if part in scores]
            found[name] = {f"{part} AP": scores[part]["AP"] for part in parts}
        number = scores["num_images"]
    return found, number
