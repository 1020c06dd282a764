"""What an instance row starts from: initial weights as they are, or pruned to its widths."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, NamedTuple

import click
import torch

from encompass.data.instances import Dataset
from encompass.data.loader import DetectionDataset, evenly
from encompass.files import sha256
from encompass.models.instance import SsdIsb
from encompass.models.prune import prune_channels
from encompass.models.releases import SUFFIXES
from encompass.models.weights import (
    TRUNK,
    load_checkpoint,
    load_initial,
    load_tensors,
    load_whole,
    save_checkpoint,
)
from encompass.train.provenance import hash_dataset

# On so many augmented pictures a trunk is pruned, above 320x320 on no more pixels than that: their
# maps take some 1.5 GB, at depth 0.75.
PICTURES, PIXELS = 160, 160 * 320**2
AT_ONCE = 16  # pictures of a batch


class Start(NamedTuple):
    """What a training begins with, beside the network that was filled."""

    record: dict[str, Any]  # of the checkpoint; {} of a release
    wide: SsdIsb | None  # whose trunk was pruned, where it was


def load_start(network: SsdIsb, path: Path, dataset: Dataset, folder: Path) -> Start:
    """`models.weights.load_initial`; a trunk wider than the row's inner blocks is pruned.

    It is done on augmented pictures of the dataset, whose labels nobody looks at, takes a minute or
    two, and is kept in `folder`, so that a run that goes on begins with the same bits. Of a
    checkpoint of the row but for its `inner` the branches come along.

    Raises:
        ModelError: as `load_initial`.
        ImageError, AnnotationError: a picture of the dataset cannot be read, or is of another size.
    """
    if network.spec.inner == 1 or _is_pruned(network, path):
        return Start(load_initial(network, path, names=dataset.classes.names), None)
    wide = SsdIsb(dataclasses.replace(network.spec, inner=1.0), num_classes=network.num_classes)
    # What the file has not, a branch or a fine map, begins as the network's own.
    own = {n: t for n, t in network.state_dict().items() if not n.startswith(TRUNK)}
    wide.load_state_dict(wide.state_dict() | own)
    start = Start(load_initial(wide, path, names=dataset.classes.names), wide)
    kept = folder / "pruned.safetensors"
    source = json.dumps([sha256(path), dataclasses.asdict(network.spec), hash_dataset(dataset)])
    if kept.is_file():
        tensors, noted = load_checkpoint(kept)
        if noted["source"] == source:
            load_tensors(network, tensors, kept)
            return start
    _prune(wide, network, dataset)
    floats = {name: t for name, t in network.state_dict().items() if t.is_floating_point()}
    save_checkpoint(kept, floats, {"source": source})
    return start


def _prune(wide: SsdIsb, network: SsdIsb, dataset: Dataset) -> None:
    side = network.spec.input_size
    items = DetectionDataset(dataset, size=(side, side), seed=0)
    count = min(max(PIXELS // side**2, AT_ONCE), PICTURES, len(items))
    click.echo(f"Pruning the trunk on {count} pictures.", err=True)
    chosen = evenly(count, len(items))
    batches = [
        torch.stack([items[0, index].picture for index in chosen[i : i + AT_ONCE]]) / 127.5 - 1
        for i in range(0, count, AT_ONCE)
    ]
    prune_channels(wide.detector.trunk, network.detector.trunk, batches)
    learnt = {n: t for n, t in wide.state_dict().items() if not n.startswith(TRUNK)}
    network.load_state_dict(network.state_dict() | learnt)


def _is_pruned(network: SsdIsb, path: Path) -> bool:
    """Whether a checkpoint's trunk has the widths of the network's."""
    if path.suffix in SUFFIXES:
        return False
    own = network.state_dict()
    return all(
        own[name].shape == tensor.shape
        for name, tensor in load_whole(path)[0].items()
        if name.startswith(TRUNK) and name in own
    )
