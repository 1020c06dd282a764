"""The detector's maps of augmented pictures, with their objects: computed once, kept on disk.

No gradient passes the crop (thesis 3.2.1), so once the detector stands the branches see fixed maps,
and every row on that detector can learn from one cache, whatever it crops. Maps are outputs of
ReLU6, in [0, 6]: 8 bits hold them to 0.012 everywhere, which is bfloat16's own error at 6, on half
the disk.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from encompass.data.augment import Example
from encompass.data.instances import Dataset, Sample
from encompass.data.loader import load_augmented, to_network
from encompass.errors import EncompassError, UsageError
from encompass.geometry.resize import Stretch
from encompass.models.instance import SsdIsb
from encompass.schema import BoxMask
from encompass.train.config import BranchConfig
from encompass.train.provenance import claim
from encompass.train.step import NO_MASKS

FEATURES = "features"  # folder of the cache, beside the note of what it was made from
HIGHEST = 6.0  # of ReLU6
LEVELS = 255


@dataclass(frozen=True, slots=True, eq=False)
class FeatureCache:
    """P pictures and their M objects. Maps and masks are memory-mapped, the rest is in memory."""

    maps: dict[int, np.ndarray]  # trunk block -> (P, H, W, C) uint8, LEVELS for HIGHEST
    sizes: np.ndarray  # (P, 2) int64 height and width of the augmented picture, src pixels
    pictures: np.ndarray  # (M,) int64 the picture of each object
    boxes_xyxy: np.ndarray  # (M, 4) float32, net pixels
    labels: np.ndarray  # (M,) int64
    placed: np.ndarray  # (M, 5) int64 x, y, height, width and start in `pixels` of each mask
    pixels: np.ndarray  # (K,) bool: the masks' crops, row by row

    def window(self, block: int, picture: int, rows: slice, columns: slice) -> Tensor:
        """Part of a map: (C, h, w) float32 levels, channels last in memory."""
        stored = np.array(self.maps[block][picture, rows, columns])
        return torch.from_numpy(stored).float().permute(2, 0, 1)

    def mask(self, index: int) -> BoxMask:
        """The mask of one object, src pixels."""
        x, y, height, width, start = self.placed[index].tolist()
        pixels = self.pixels[start : start + height * width]
        return BoxMask(x, y, np.asarray(pixels).reshape(height, width))


def cache_features(
    network: SsdIsb,
    examples: Iterable[Example],
    folder: Path,
    *,
    blocks: tuple[int, ...],
    autocast: bool,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Run the detector once over examples with masks and keep its maps.

    The folder appears only when it is whole; after a fault nothing of it is left.

    Args:
        network: in evaluation mode; only its detector is used.
        examples: pictures with boxes and masks, source pixels, already augmented; those without
            objects are passed over.
        folder: where the cache will lie; must not exist.
        blocks: of the trunk, whose maps are kept.
        autocast: compute the maps in bfloat16.
        progress: called with the number of examples done.

    Raises:
        EncompassError: the disk refuses.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        _write(network, examples, partial, blocks=blocks, autocast=autocast, progress=progress)
        partial.rename(folder)
    except OSError as error:
        raise EncompassError(
            f"{folder}: the features cannot be written ({error}); they take a few megabytes a "
            "picture and pass, so use an --out with more room, or fewer branches.passes."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(
    network: SsdIsb,
    examples: Iterable[Example],
    folder: Path,
    *,
    blocks: tuple[int, ...],
    autocast: bool,
    progress: Callable[[int], None] | None,
) -> None:
    sizes, pictures, boxes, labels, placed = [], [], [], [], []
    files = {block: open(_map_file(folder, block), "wb") for block in blocks}  # noqa: SIM115
    with open(folder / "masks.bool", "wb") as masks:
        try:
            for done, example in enumerate(examples, start=1):
                if example.masks:  # without objects there is nothing to crop
                    stretch, maps = _maps(network, example, autocast=autocast)
                    for block, file in files.items():
                        file.write(_quantised(maps[block]))
                    pictures += [len(sizes)] * len(example.masks)
                    boxes.append(stretch.forward_xyxy(example.boxes_xyxy))
                    labels.append(example.labels)
                    for mask in example.masks:
                        placed.append((mask.x, mask.y, *mask.pixels.shape, masks.tell()))
                        masks.write(np.ascontiguousarray(mask.pixels).tobytes())
                    sizes.append(stretch.src)
                if progress:
                    progress(done)
        finally:
            for file in files.values():
                file.close()
    np.savez(
        folder / "objects.npz",
        sizes=np.asarray(sizes, dtype=np.int64).reshape(-1, 2),
        pictures=np.asarray(pictures, dtype=np.int64),
        boxes_xyxy=np.concatenate([np.zeros((0, 4), np.float32), *boxes]),
        labels=np.concatenate([np.zeros(0, np.int64), *labels]),
        placed=np.asarray(placed, dtype=np.int64).reshape(-1, 5),
    )
    trunk = network.detector.trunk
    sides = {block: network.spec.input_size // trunk.STRIDES[block] for block in blocks}
    shapes = {block: (side, side, trunk.channels[block]) for block, side in sides.items()}
    (folder / "maps.json").write_text(json.dumps(shapes))


def _map_file(folder: Path, block: int) -> Path:
    return folder / f"block-{block}.u8"


@torch.no_grad()
def _maps(
    network: SsdIsb, example: Example, *, autocast: bool
) -> tuple[Stretch, dict[int, Tensor]]:
    """How one picture was stretched, and its maps, (C, H, W) each."""
    size = (network.spec.input_size, network.spec.input_size)
    device = next(network.parameters()).device
    picture = to_network(example.picture, size)[None]
    with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
        features = network(picture.to(device, memory_format=torch.channels_last)).features
    maps = {block: feature[0].float().cpu() for block, feature in features.items()}
    return Stretch(example.picture.shape[:2], size), maps


def _quantised(feature: Tensor) -> bytes:
    """(C, H, W) in [0, HIGHEST] to (H, W, C) bytes."""
    levels = feature.permute(1, 2, 0).mul(LEVELS / HIGHEST).round_()
    return levels.to(torch.uint8).contiguous().numpy().tobytes()


def load_features(folder: Path) -> FeatureCache:
    """The cache that `cache_features` wrote."""
    with np.load(folder / "objects.npz") as file:
        arrays = {name: file[name] for name in file.files}
    number = len(arrays["sizes"])
    shapes = json.loads((folder / "maps.json").read_text())
    return FeatureCache(
        maps={
            int(block): _mapped(_map_file(folder, int(block)), np.uint8, (number, *shape))
            for block, shape in shapes.items()
        },
        pixels=_mapped(folder / "masks.bool", np.bool_, (-1,)),
        **arrays,
    )


def _mapped(path: Path, kind: type, shape: tuple[int, ...]) -> np.ndarray:
    if not path.stat().st_size:  # which cannot be mapped
        return np.zeros([max(side, 0) for side in shape], kind)
    return np.memmap(path, kind, "r").reshape(shape)


def cache_maps(
    network: SsdIsb,
    dataset: Dataset,
    config: BranchConfig,
    folder: Path,
    *,
    blocks: tuple[int, ...] | None = None,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Compute what branches learn from, unless `folder` has it. Boxes alone teach them nothing.

    Every row with this detector and data, and the same `passes`, `seed` and `maps_precision`, can
    share the folder.

    Args:
        network: whose detector is run.
        dataset: pictures with masks are taken from it.
        config: of the branches.
        folder: of the cache.
        blocks: of the trunk, whose maps are kept; those that the network crops from when None.
        device: "cpu" or "cuda", on which the detector runs.
        progress: called with the numbers of pictures done and in all.

    Raises:
        UsageError: there is no picture with masks, or `folder` was made from something else.
    """
    blocks = blocks or network.spec.crop_blocks
    samples = dataset.masked
    if not samples:
        raise UsageError(NO_MASKS)
    settings = {
        "passes": config.passes,
        "seed": config.seed,
        "precision": config.maps_precision,
        "input_size": network.spec.input_size,
    }
    claim(folder, settings, dataset, network.detector.state_dict())
    if (folder / FEATURES).exists():
        kept = load_features(folder / FEATURES).maps.keys()
        if not set(blocks) <= kept:
            raise UsageError(
                f"{folder} has the maps of blocks {sorted(kept)}, not of {sorted(blocks)}; use "
                "another --out, or delete the folder."
            )
        return
    total = len(samples) * config.passes
    network.eval().to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    cache_features(
        network,
        _passes(samples, config),
        folder / FEATURES,
        blocks=blocks,
        autocast=config.maps_precision == "bf16-mixed",
        progress=None if progress is None else lambda done: progress(done, total),
    )
    network.cpu()


def _passes(samples: list[Sample], config: BranchConfig) -> Iterator[Example]:
    """Every picture, augmented anew in each pass."""
    for number in range(config.passes):
        for index, sample in enumerate(samples):
            yield load_augmented(sample, with_masks=True, seed=(config.seed, number, index))
