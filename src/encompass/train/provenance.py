"""What a run's folder was made from, so that nothing is resumed into something else."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from torch import Tensor

from encompass.data.instance_labels import InstanceLabels
from encompass.data.instances import Dataset
from encompass.data.labels import LabelDataset, LabelFile
from encompass.errors import UsageError
from encompass.files import replacing
from encompass.train.config import OptimizerConfig

# What may change between a stop and going on: how long, how often to look, with how many hands.
FREE = ("steps", "validate_every", "workers")


def training_settings(config: OptimizerConfig) -> dict[str, Any]:
    """The settings of a training that decide what it learns."""
    settings = dataclasses.asdict(config)
    cosine = settings.get("schedule") == "cosine"
    knows_its_end = cosine or settings.get("poly") or settings.get("mosaic")
    free = [key for key in FREE if key != "steps" or not knows_its_end]
    return {key: value for key, value in settings.items() if key not in free}


def claim(
    folder: Path,
    settings: dict[str, Any],
    dataset: Dataset | LabelDataset,
    tensors: dict[str, Tensor],
) -> None:
    """Note in `folder` what a training starts from; when another one was noted there, refuse.

    Args:
        folder: of one stage of a run.
        settings: of the stage; anything that JSON keeps.
        dataset: that it learns from.
        tensors: the network before the stage.

    Raises:
        UsageError: the folder belongs to a training with other settings, data or weights.
    """
    settings = json.loads(json.dumps(settings))  # as it will be read back: tuples become lists
    facts = {"settings": settings, "data": hash_dataset(dataset), "weights": _hash(tensors)}
    path = folder / "run.json"
    if path.exists():
        noted = json.loads(path.read_text())
        different = [key for key in facts if noted.get(key) != facts[key]]
        if different:
            raise UsageError(
                f"{folder} holds a training with other {' and '.join(different)}; use another "
                "--out, or delete the folder."
            )
        return
    with replacing(path) as file:
        file.write(json.dumps(facts, indent=2).encode())


def hash_dataset(dataset: Dataset | LabelDataset) -> str:
    """Of names, sizes, annotations and what the values of label files mean.

    Pictures are not read, of files of labels only their length.
    """
    return _hash_labels(dataset) if isinstance(dataset, LabelDataset) else _hash_objects(dataset)


def _hash_objects(dataset: Dataset) -> str:
    digest = hashlib.sha256()
    for sample in dataset.samples:
        digest.update(repr((sample.path.name, sample.height, sample.width)).encode())
        digest.update(repr([dataclasses.astuple(a) for a in sample.annotations]).encode())
    return digest.hexdigest()


def _hash_labels(dataset: LabelDataset) -> str:
    digest = hashlib.sha256(repr(dataset.table.names).encode())
    for sample in dataset.samples:
        digest.update(sample.path.name.encode())
        if isinstance(sample.source, InstanceLabels):
            annotations = sample.source.sample.annotations
            digest.update(repr([dataclasses.astuple(a) for a in annotations]).encode())
        elif sample.source.path.is_file():
            digest.update(repr(sample.source.path.stat().st_size).encode())
        if isinstance(sample.source, LabelFile):
            digest.update(repr(sorted(sample.source.meaning.items())).encode())
    return digest.hexdigest()


def _hash(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(name.encode() + tensor.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()
