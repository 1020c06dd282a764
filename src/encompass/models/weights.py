"""Checkpoints of our own, and where a network's weights come from. Nothing here can run code."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from encompass.errors import ModelError
from encompass.files import replacing, sha256
from encompass.models.instance import SsdIsb
from encompass.models.releases import SUFFIXES, load_imagenet, load_release
from encompass.models.rows import parse_row
from encompass.models.semantic import SemanticNetwork
from encompass.models.zoo import MODELS, InstanceSpec

# How the names of their tensors begin.
DETECTOR, ENCODER = "detector.", "encoder."
TRUNK, FINE = "detector.trunk.", "detector.fine."
# Stages of a training that end with trained branches, and those that end with a detector alone.
BRANCHED, UNBRANCHED = ("all", "branches", "joint"), ("distillation", "detector")


def save_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, object]
) -> None:
    """Write tensors and a JSON record as one safetensors file: whole, or not at all."""
    data = safetensors.torch.save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        metadata={"encompass": json.dumps(record, sort_keys=True)},
    )
    with replacing(path) as file:
        file.write(data)


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict]:
    """The tensors and the record of `save_checkpoint`, as they were.

    Raises:
        ModelError: the file is missing, cut or of another kind.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise ModelError(f"{path}: {what}; give a .safetensors file that a training wrote.")
    try:
        with safe_open(path, framework="pt") as file:
            record = dict(json.loads((file.metadata() or {})["encompass"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: not a checkpoint of encompass ({error}).") from None
    return tensors, record


def load_whole(path: Path) -> tuple[dict[str, Tensor], dict]:
    """The tensors and record of a network's file; a detector that it only names is put in.

    Files of rows that were trained on one detector hold their branches alone and name the
    detector's file, which lies beside them, with its SHA-256.

    Raises:
        ModelError: a file is missing, cut, of another kind or not the one that was named.
    """
    tensors, record = load_checkpoint(path)
    if "detector" in record:
        beside = path.with_name(Path(record["detector"]["file"]).name)
        shared, _ = load_checkpoint(beside)
        if sha256(beside) != record["detector"]["sha256"]:
            raise ModelError(
                f"{beside}: is not the detector on which {path.name} was trained (its sha256 is "
                f"not {record['detector']['sha256'][:16]}...); get the two from one release."
            )
        tensors |= _part(shared, DETECTOR)
    return tensors, record


def load_initial(network: SsdIsb, path: Path, *, names: tuple[str, ...]) -> dict[str, Any]:
    """Fill a network from a file: a COCO release (.tflite or .npz, detector only) or a checkpoint.

    Of a detector's checkpoint, and of one of another row, the detector is taken; a fine map that
    only the network has stays as it is, one that only the file has is left out. Returns the
    checkpoint's record; {} of a release.

    Raises:
        ModelError: the file is broken, does not fit the network, or has other classes than `names`.
    """
    if path.suffix in SUFFIXES:
        load_release(network.detector, path, names=names)
        return {}
    tensors, record = load_whole(path)
    if record.get("task") == "semantic":
        raise ModelError(f"{path}: is of a semantic network; give one that finds instances.")
    if tuple(record.get("names", names)) != names:
        raise ModelError(
            f"{path}: has the classes {tuple(record['names'])}, the data has {names}; start from a "
            "checkpoint with the data's classes or from a COCO release."
        )
    if record.get("stage") in UNBRANCHED or not is_row(record, network.spec):
        others = {
            name: tensor
            for name, tensor in network.state_dict().items()
            if name.startswith(FINE) or not name.startswith(DETECTOR)
        }
        tensors = others | _part(tensors, DETECTOR)
        if not network.spec.fine_map:
            tensors = {name: t for name, t in tensors.items() if not name.startswith(FINE)}
    load_tensors(network, tensors, path)
    return record


def load_initial_semantic(
    network: SemanticNetwork, path: Path, *, names: tuple[str, ...]
) -> dict[str, Any]:
    """Fill a network from a file: an ImageNet release (encoder only) or a checkpoint.

    Of a checkpoint with other classes, or of a row with other layers, the encoder is taken. Rows
    that differ in strides and rates have the same layers. Returns the checkpoint's record; {} of a
    release.

    Raises:
        ModelError: the file is broken, not of a semantic network, or does not fit this one.
    """
    if path.suffix in SUFFIXES:
        load_imagenet(network.encoder, path)
        return {}
    tensors, record = load_checkpoint(path)
    if record.get("task") != "semantic":
        raise ModelError(
            f"{path}: is not of a semantic network; give an ImageNet release (.tflite or .npz) or "
            "what `encompass train` wrote of a semantic row."
        )
    own = _floats(network)
    if tuple(record["names"]) != names or tensors.keys() != own.keys():
        others = {name: t for name, t in own.items() if not name.startswith(ENCODER)}
        tensors = _part(tensors, ENCODER) | others
    load_tensors(network, tensors, path)
    return record


def is_row(record: Mapping[str, Any], spec: InstanceSpec) -> bool:
    """Whether a checkpoint's branches are those of a row; a record that names none is believed.

    They do not know the trunk's inner channels.
    """
    theirs = MODELS.get(record.get("name", ""), spec)
    if "row" in record:
        theirs = parse_row(record["row"], "the checkpoint's row")
    return dataclasses.replace(theirs, score=spec.score, inner=spec.inner) == spec


def _part(tensors: Mapping[str, Tensor], start: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name.startswith(start)}


def load_tensors(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Fill a network from a checkpoint's tensors.

    Raises:
        ModelError: they do not fit, or hold values that are not finite.
    """
    if bad := [name for name, t in tensors.items() if not t.isfinite().all()]:
        raise ModelError(f"{path}: tensor {bad[0]} has values that are not finite.")
    own = network.state_dict()
    for name, tensor in tensors.items():
        if name in own and own[name].shape != tensor.shape:
            theirs, ours = ("x".join(map(str, t.shape)) for t in (tensor, own[name]))
            raise ModelError(
                f"{path}: does not fit this network ({name} is {theirs}, not {ours}); its row has "
                "another multiplier, inner, anchors or number of classes."
            )
    missing, unexpected = network.load_state_dict(tensors, strict=False)
    # The counter of batches, which frozen batch norm never uses, is an integer and is not kept.
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ModelError(f"{path}: does not fit this network ({(missing + unexpected)[0]}).")


def save_network(path: Path, network: nn.Module, record: Mapping[str, object]) -> None:
    """Write a trained network in half precision, which costs no accuracy and halves the file."""
    save_checkpoint(path, _halves(network), record)


def save_detector(path: Path, network: SsdIsb, record: Mapping[str, object]) -> None:
    """Write the detector alone, in half precision."""
    save_checkpoint(path, _part(_halves(network), DETECTOR), record)


def save_branches(
    path: Path, network: SsdIsb, record: Mapping[str, object], *, detector: Path
) -> None:
    """Write the branches alone, in half precision, with the name of the detector's file beside."""
    named = {"file": detector.name, "sha256": sha256(detector)}
    tensors = {n: t for n, t in _halves(network).items() if not n.startswith(DETECTOR)}
    save_checkpoint(path, tensors, {**record, "detector": named})


def _halves(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.half() for name, tensor in _floats(network).items()}


def _floats(network: nn.Module) -> dict[str, Tensor]:
    """Without the counters of batches, which are integers."""
    return {name: t for name, t in network.state_dict().items() if t.is_floating_point()}
