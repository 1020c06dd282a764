"""Results of a study as files, one for each training: what is there is not made again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from encompass.data.instances import Dataset
from encompass.environment import commit, cpu_name, today, versions
from encompass.files import describe_data, write_json


def is_made_from(
    path: Path, facts: Mapping[str, Any], *, kinds: Mapping[str, type] | None = None
) -> bool:
    """Whether a result is there and says of itself that it was made from these.

    Args:
        path: of the result.
        facts: what it would be made from now.
        kinds: the dataclasses of some facts; a field that a result of before lacks has its default.
    """
    if not path.exists():
        return False
    before = json.loads(path.read_text())
    for key, kind in (kinds or {}).items():
        if (stored := before.get(key, {})) is not None:
            before[key] = _defaults(kind) | stored
    return {key: before.get(key) for key in facts} == json.loads(json.dumps(facts))


def write_scores(
    path: Path,
    *,
    model: str,
    seed: int,
    train: Dataset,
    val: Dataset,
    scores: Mapping[str, Any],
    made_from: Mapping[str, Any],
) -> None:
    """Write the result of a training of instance rows, or of what it starts from."""
    result = {
        "model": model,
        "seed": seed,
        "data": describe_data(val.sources[0]),
        "pictures": len(train),
        **scores,
        **made_from,
        **made_on("numpy", "torch", "faster-coco-eval"),
    }
    write_json(path, result)


def made_on(*packages: str) -> dict[str, Any]:
    """When, on what and by which versions, of these packages, a result was made."""
    return {
        "cpu": cpu_name(),
        "threads": torch.get_num_threads(),
        "versions": versions(*packages),
        "commit": commit(),
        "date": today(),
    }


def _defaults(kind: type) -> dict[str, Any]:
    fields = dataclasses.fields(kind)
    return {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}
