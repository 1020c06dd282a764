"""Crops of the detector's maps with their masks, computed once and kept on disk.

No gradient passes the crop (thesis 3.2.1), so once the detector stands the branches see fixed
inputs. They are cached for each branch as half-precision arrays that training maps into memory.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from encompass.data.augment import Example
from encompass.data.loader import to_network
from encompass.errors import EncompassError
from encompass.geometry.grid import encompassing_cells, route
from encompass.geometry.masks import coverage
from encompass.geometry.resize import Stretch
from encompass.models.instance import SsdIsb


@dataclass(frozen=True, slots=True)
class BranchCache:
    """The examples of one branch; arrays are memory-mapped, float16."""

    crops: tuple[np.ndarray, ...]  # coarse to fine: (N, C, h, w), (N, C', 2h, 2w), ...
    targets: np.ndarray  # (N, k * h, k * w) in [0, 1]
    labels: np.ndarray  # (N,) int64

    def __len__(self) -> int:
        return len(self.targets)


class _Growing:
    """A file of float16 rows that is appended to, and read back as a memory map."""

    def __init__(self, path: Path, row: tuple[int, ...]) -> None:
        self.row = row
        self.file = open(path, "wb")  # noqa: SIM115 (closed by `cache_features`)

    def append(self, rows: np.ndarray) -> None:
        assert rows.shape[1:] == self.row
        self.file.write(np.ascontiguousarray(rows, dtype=np.float16).tobytes())


def cache_features(
    network: SsdIsb,
    examples: Iterable[Example],
    folder: Path,
    *,
    box_jitter: float,
    seed: int,
    autocast: bool,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Run the detector once over examples with masks and keep what each branch needs.

    The folder appears only when it is whole; after a fault nothing of it is left.

    Args:
        network: in evaluation mode.
        examples: pictures with boxes and masks, source pixels, already augmented.
        folder: where the cache will lie; must not exist.
        box_jitter: edges of the box used for cropping move by up to this part of its side.
        seed: of the jitter.
        autocast: compute the features in bfloat16.
        progress: called with the number of examples done.

    Raises:
        EncompassError: the disk refuses.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        files = [_branch_files(network, i, partial) for i in range(len(network.branches))]
        with ExitStack() as stack:
            for group in files:
                for growing in group:
                    stack.callback(growing.file.close)
            rng = np.random.default_rng(seed)
            labels: list[list[int]] = [[] for _ in files]
            for done, example in enumerate(examples, start=1):
                if example.masks:  # without objects there is nothing to crop
                    branches = _append_crops(
                        network, example, files, box_jitter=box_jitter, rng=rng, autocast=autocast
                    )
                    for branch, label in zip(branches, example.labels, strict=True):
                        labels[branch].append(int(label))
                if progress:
                    progress(done)
        for branch, values in enumerate(labels):
            np.save(partial / f"{branch}-labels.npy", np.asarray(values, dtype=np.int64))
        shapes = [[list(growing.row) for growing in group] for group in files]
        (partial / "shapes.json").write_text(json.dumps(shapes))
        partial.rename(folder)
    except OSError as error:
        raise EncompassError(
            f"{folder}: the features cannot be written ({error}); they take about a megabyte an "
            "object and pass, so use an --out with more room, or fewer branches.passes."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _branch_files(network: SsdIsb, branch: int, folder: Path) -> list[_Growing]:
    """Files of one branch: a crop for each map, then the targets."""
    height, width = network.spec.shapes[branch]
    channels = [network.detector.trunk.channels[b] for b in network.spec.crop_blocks]
    rows: list[tuple[int, ...]] = [(c, height * 2**i, width * 2**i) for i, c in enumerate(channels)]
    scale = 2 ** (len(channels) - 1)
    rows.append((height * scale, width * scale))
    return [_Growing(folder / f"{branch}-{i}.f16", row) for i, row in enumerate(rows)]


@torch.no_grad()
def _append_crops(
    network: SsdIsb,
    example: Example,
    files: list[list[_Growing]],
    *,
    box_jitter: float,
    rng: np.random.Generator,
    autocast: bool,
) -> np.ndarray:
    """Append one picture's crops and targets to the files of their branches.

    Returns the branch of each object, (N,) int64; in each file the objects keep their order.
    """
    assert example.masks is not None
    size = network.spec.input_size
    stretch = Stretch(example.picture.shape[:2], (size, size))
    picture = to_network(example.picture, (size, size))[None]
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        outputs = network(picture.to(memory_format=torch.channels_last))
    features = {block: f[0].float() for block, f in outputs.features.items()}
    boxes = jitter(stretch.forward_xyxy(example.boxes_xyxy), box_jitter, rng)
    cells = encompassing_cells(boxes, stride=network.stride, grid=network.grid)
    branches = route(cells, network.spec.shapes)
    areas = stretch.inverse_xyxy((cells * network.stride).astype(np.float32))
    for branch in np.unique(branches):
        members = np.flatnonzero(branches == branch)
        *crop_files, target_file = files[branch]
        crops = network.crops(features, cells[members], int(branch))
        for file, crop in zip(crop_files, crops, strict=True):
            file.append(crop.numpy())
        targets = [coverage(example.masks[i], areas[i], target_file.row) for i in members]
        target_file.append(np.stack(targets))
    return branches


def load_features(folder: Path) -> list[BranchCache]:
    """The caches of all branches, memory-mapped."""
    caches = []
    for branch, rows in enumerate(json.loads((folder / "shapes.json").read_text())):
        labels = np.load(folder / f"{branch}-labels.npy")
        arrays = [
            np.memmap(folder / f"{branch}-{i}.f16", np.float16, "r", shape=(len(labels), *row))
            if len(labels)
            else np.zeros((0, *row), np.float16)
            for i, row in enumerate(rows)
        ]
        caches.append(BranchCache(tuple(arrays[:-1]), arrays[-1], labels))
    return caches


def jitter(boxes_xyxy: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Each edge moved by a uniform part, up to `amount`, of the box's side."""
    sides = np.tile(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 2)
    return boxes_xyxy + sides * rng.uniform(-amount, amount, boxes_xyxy.shape).astype(np.float32)
