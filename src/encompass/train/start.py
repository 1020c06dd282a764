"""What an instance row starts from: initial weights as they are, or narrowed to its widths."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from encompass.data.instances import Dataset
from encompass.data.loader import DetectionDataset
from encompass.models.instance import SsdIsb
from encompass.models.narrow import narrow
from encompass.models.releases import SUFFIXES
from encompass.models.weights import TRUNK, load_initial, load_whole

PICTURES, AT_ONCE = 160, 16  # on which a trunk is narrowed, and of a batch


def load_start(network: SsdIsb, path: Path, dataset: Dataset) -> dict[str, Any]:
    """`models.weights.load_initial`; a trunk wider than the row's inner blocks is narrowed.

    It is done on augmented pictures of the dataset, of which labels are not looked at, and takes
    a minute or two. Raises ModelError as `load_initial`.
    """
    names = dataset.classes.names
    if network.spec.inner == 1 or _is_narrow(network, path):
        return load_initial(network, path, names=names)
    spec = dataclasses.replace(network.spec, inner=1.0)
    wide = SsdIsb(spec, num_classes=len(names))
    # What the file has not, a branch or a fine map, begins as the row's own would.
    own = network.state_dict()
    others = {name: tensor for name, tensor in own.items() if not name.startswith(TRUNK)}
    wide.load_state_dict(others, strict=False)
    record = load_initial(wide, path, names=names)
    items = DetectionDataset(dataset, size=(spec.input_size, spec.input_size), seed=0)
    count = min(PICTURES, len(items))
    spread = [items[0, number * len(items) // count].picture for number in range(count)]
    pictures = [torch.stack(spread[i : i + AT_ONCE]) for i in range(0, count, AT_ONCE)]
    narrow(wide.detector.trunk, network.detector.trunk, [x / 127.5 - 1 for x in pictures])
    learnt = wide.state_dict()
    network.load_state_dict({name: learnt[name] for name in others}, strict=False)
    return record


def _is_narrow(network: SsdIsb, path: Path) -> bool:
    """Whether a checkpoint's trunk has the widths of the network's."""
    if path.suffix in SUFFIXES:
        return False
    own = network.state_dict()
    return all(
        own[name].shape == tensor.shape
        for name, tensor in load_whole(path)[0].items()
        if name.startswith(TRUNK) and name in own
    )
