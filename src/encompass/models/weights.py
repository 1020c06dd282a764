"""Initial weights from public releases, and checkpoints of our own. Nothing here can run code.

`load_ssd_tflite` reads Google's quantised SSD-MobileNet-v1 (0.75, COCO): weights are dequantised
and each folded batch norm is re-created so that the float network computes the same function.
"""

# torch types the members of containers as Module, whatever they are.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false, reportOperatorIssue=false

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from encompass.errors import ModelError
from encompass.files import replacing
from encompass.models.coco_ids import COCO_IDS
from encompass.models.instance import SsdIsb
from encompass.models.layers import BATCH_NORM_EPSILON, ConvNormAct
from encompass.models.ssd import SsdMobileNet
from encompass.models.tflite import read_tensors

NUM_SCORES = 91  # of an anchor in the release: background, then COCO's ids
# The file expects (rgb - 128) / 128, the network here rgb / 127.5 - 1: x' = GAIN * x + SHIFT.
GAIN, SHIFT = 127.5 / 128, (127.5 - 128) / 128


def load_ssd_tflite(detector: SsdMobileNet, path: Path, *, names: tuple[str, ...]) -> None:
    """Fill a detector from the quantised COCO release, keeping some of its classes.

    Args:
        detector: at the depth multiplier of the file, with len(names) classes.
        path: the .tflite file.
        names: of the classes, by label; those that are not COCO's keep their random scores.

    Raises:
        ModelError: the file is not a TFLite model, or not of this network.
    """
    tensors = read_tensors(path)
    try:
        _fill_trunk(detector, tensors)
        _fill_predictors(detector, tensors, [COCO_IDS.get(name) for name in names])
    except KeyError as error:
        raise ModelError(f"{path}: has no tensor {error}; it is not this SSD.") from None
    except RuntimeError as error:
        raise ModelError(f"{path}: {error}; is the depth multiplier the file's?") from None


def _fill_trunk(detector: SsdMobileNet, tensors: Mapping[str, np.ndarray]) -> None:
    root = "FeatureExtractor/MobilenetV1/"
    trunk = root + "MobilenetV1/Conv2d_"
    _fill_unit(detector.trunk.stem, tensors, f"{trunk}0", "Conv2D")
    stem = detector.trunk.stem[0].weight.data
    detector.trunk.stem[1].bias.data += SHIFT * stem.sum(dim=(1, 2, 3))
    stem *= GAIN
    for number, block in enumerate(detector.trunk.blocks, start=1):
        _fill_unit(block[0], tensors, f"{trunk}{number}_depthwise", "depthwise")
        _fill_unit(block[1], tensors, f"{trunk}{number}_pointwise", "Conv2D")
    for number, extra in enumerate(detector.extras, start=2):
        narrow, wide = (part[0].out_channels for part in extra)
        name = f"{root}Conv2d_13_pointwise_"
        _fill_unit(extra[0], tensors, f"{name}1_Conv2d_{number}_1x1_{narrow}", "Conv2D")
        _fill_unit(extra[1], tensors, f"{name}2_Conv2d_{number}_3x3_s2_{wide}", "Conv2D")


def _fill_unit(
    unit: ConvNormAct, tensors: Mapping[str, np.ndarray], name: str, operator: str
) -> None:
    """Folded kernel and bias as convolution and batch norm: gamma 1, beta bias, mean 0, std 1."""
    conv, norm = unit[0], unit[1]
    kernel = tensors[f"{name}/weights_quant/FakeQuantWithMinMaxVars"]
    bias = torch.from_numpy(tensors[f"{name}/{operator}_Fold_bias"])
    # TFLite kernels are (out, h, w, in), depthwise ones (1, h, w, channels).
    order = (3, 0, 1, 2) if operator == "depthwise" else (0, 3, 1, 2)
    _copy(conv.weight, torch.from_numpy(kernel.transpose(order).copy()), name)
    _copy(norm.bias, bias, name)
    nn.init.ones_(norm.weight)
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - BATCH_NORM_EPSILON)


def _fill_predictors(
    detector: SsdMobileNet, tensors: Mapping[str, np.ndarray], ids: list[int | None]
) -> None:
    """Offsets whole; scores of background and of each class that COCO has, others as they are."""
    for i, head in enumerate(detector.predictors):
        for conv, part in ((head.offsets, "BoxEncoding"), (head.scores, "Class")):
            name = f"BoxPredictor_{i}/{part}Predictor"
            kernel = tensors[f"{name}/weights_quant/FakeQuantWithMinMaxVars"][:, 0, 0]
            bias = tensors[f"{name}/Conv2D_bias"]
            if part == "Class":
                anchors = conv.out_channels // head.num_scores
                kernel = kernel.reshape(anchors, NUM_SCORES, -1)
                bias = bias.reshape(anchors, NUM_SCORES)
                ours = conv.weight.detach().numpy().reshape(anchors, head.num_scores, -1).copy()
                our_bias = np.zeros((anchors, head.num_scores), np.float32)
                for row, theirs in enumerate([0, *ids]):
                    if theirs is not None:
                        ours[:, row], our_bias[:, row] = kernel[:, theirs], bias[:, theirs]
                kernel, bias = ours.reshape(conv.out_channels, -1), our_bias.reshape(-1)
            _copy(conv.weight, torch.from_numpy(kernel[:, :, None, None].copy()), name)
            _copy(conv.bias, torch.from_numpy(bias.copy()), name)


def _copy(into: Tensor, value: Tensor, name: str) -> None:
    if into.shape != value.shape:
        raise RuntimeError(f"{name} is {tuple(value.shape)}, not {tuple(into.shape)}")
    into.data.copy_(value)


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
    """Fill a network from a file: a COCO release (.tflite, detector only) or a checkpoint.

    Raises:
        ModelError: the file is broken, does not fit the network, or has other classes than `names`.
    """
    if path.suffix == ".tflite":
        load_ssd_tflite(network.detector, path, names=names)
        return
    tensors, record = load_checkpoint(path)
    if tuple(record.get("names", names)) != names:
        raise ModelError(
            f"{path}: has the classes {tuple(record['names'])}, the data has {names}; start from a "
            "checkpoint with the data's classes or from the .tflite release."
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
