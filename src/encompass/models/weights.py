"""Checkpoints of our own, and where a network's weights come from. Nothing here can run code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from encompass.errors import ModelError
from encompass.files import replacing
from encompass.models.instance import SsdIsb
from encompass.models.releases import SUFFIXES, load_release

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
            record = json.loads((file.metadata() or {})["encompass"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"{path}: not a checkpoint of encompass ({error}).") from None
    return tensors, record


def load_initial(network: SsdIsb, path: Path, *, names: tuple[str, ...]) -> None:
    """Fill a network from a file: a COCO release (.tflite or .npz, detector only) or a checkpoint.

    Raises:
        ModelError: the file is broken, does not fit the network, or has other classes than `names`.
    """
    if path.suffix in SUFFIXES:
        load_release(network.detector, path, names=names)
        return
    tensors, record = load_checkpoint(path)
    if tuple(record.get("names", names)) != names:
        raise ModelError(
            f"{path}: has the classes {tuple(record['names'])}, the data has {names}; start from a "
            "checkpoint with the data's classes or from a COCO release."
        )
    load_tensors(network, tensors, path)


def load_tensors(network: SsdIsb, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Fill a network from a checkpoint's tensors.

    Raises:
        ModelError: they do not fit, or hold values that are not finite.
    """
    if bad := [name for name, t in tensors.items() if not t.isfinite().all()]:
        raise ModelError(f"{path}: tensor {bad[0]} has values that are not finite.")
    try:
        missing, unexpected = network.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise ModelError(f"{path}: does not fit this network ({error}).") from None
    # The counter of batches, which frozen batch norm never uses, is an integer and is not kept.
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ModelError(f"{path}: does not fit this network ({(missing + unexpected)[0]}).")


def save_network(path: Path, network: SsdIsb, record: Mapping[str, object]) -> None:
    """Write a trained network in half precision, which costs no accuracy and halves the file."""
    tensors = {name: t.half() for name, t in network.state_dict().items() if t.is_floating_point()}
    save_checkpoint(path, tensors, record)
