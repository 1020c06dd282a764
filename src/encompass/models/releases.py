"""Public releases as initial weights: SSD-MobileNet-v1 (COCO) of a detector, MobileNet-v1 and
SqueezeNet 1.1 (ImageNet) of an encoder.

Of the SSD two files hold the same network in two ways: Google's quantised 0.75 (.tflite) and its
1.0 in half precision (.npz, with two kernels missing). MobileNets are Google's quantised ones
(.tflite). All have batch norm folded into the convolutions; each folded pair becomes a convolution
and a batch norm that compute the same function. Its statistics (mean 0, variance 1) are not those
of its input, so training must keep them as they are (`layers.freeze_batch_norm`) or first give it
those (`layers.renew_statistics`). SqueezeNet 1.1 is Gluon's (.npz), without batch norm, in float32.
"""

# torch types the members of containers as Module, whatever they are.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false, reportOperatorIssue=false

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from encompass.errors import ModelError
from encompass.models.coco_ids import COCO_IDS
from encompass.models.layers import BATCH_NORM_EPSILON, ConvNormAct
from encompass.models.mobilenet import MobileNetV1
from encompass.models.squeezenet import Fire, SqueezeNet
from encompass.models.ssd import PRIOR_LOGIT, SsdMobileNet
from encompass.models.tflite import read_tensors

SUFFIXES = (".tflite", ".npz")
NUM_SCORES = 91  # of an anchor in a release: background, then COCO's ids
# The .tflite expects (rgb - 128) / 128, the network here rgb / 127.5 - 1: x' = GAIN * x + SHIFT.
GAIN, SHIFT = 127.5 / 128, (127.5 - 128) / 128
# Gluon's networks expect (rgb / 255 - mean) / deviation of each channel.
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# The .npz lacks two kernels. Block 13's pointwise comes from ImageNet's MobileNet, whose file lies
# beside it; the first extra's 3x3 keeps its random start.
IMAGENET_FILE = "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite"
MISSING_POINTWISE, MISSING_EXTRA = "Conv2d_13_pointwise", "2_Conv2d_2_3x3_s2_512"


@dataclass(frozen=True)
class Release:
    """Folded kernels (torch's order) and biases by layer: "Conv2d_0", "Conv2d_1_depthwise", ...,
    "1_Conv2d_2_1x1_256", ..., "BoxPredictor_0/BoxEncoding", "BoxPredictor_0/Class"."""

    kernels: Mapping[str, np.ndarray]
    biases: Mapping[str, np.ndarray]
    centred: bool  # the input is rgb / 127.5 - 1 as here; else (rgb - 128) / 128
    left_out: frozenset[str] = frozenset()  # layers whose kernel stays random


def load_release(detector: SsdMobileNet, path: Path, *, names: tuple[str, ...]) -> None:
    """Fill a detector from a COCO release, keeping some of its classes.

    Args:
        detector: at the depth multiplier of the file, with len(names) classes.
        path: the .tflite or .npz file; beside an .npz lies `IMAGENET_FILE`.
        names: of the classes, by label; those that are not COCO's score 0.01 everywhere.

    Raises:
        ModelError: the file is not such a release, or not of this network.
    """
    release = _read_npz(path) if path.suffix == ".npz" else _read_tflite(path)
    try:
        _fill_mobilenet(detector.trunk, release)
        _fill_extras(detector, release)
        _fill_predictors(detector, release, [COCO_IDS.get(name) for name in names])
    except KeyError as error:
        raise ModelError(f"{path}: has no layer {error}; it is not this SSD.") from None
    except RuntimeError as error:
        raise ModelError(f"{path}: {error}; is the depth multiplier the file's?") from None


def load_imagenet(encoder: MobileNetV1 | SqueezeNet, path: Path) -> None:
    """Fill an encoder, of any output stride, from an ImageNet release.

    Args:
        encoder: MobileNet at the depth multiplier of the file, or SqueezeNet 1.1.
        path: MobileNet's .tflite or SqueezeNet's .npz.

    Raises:
        ModelError: the file is not such a release, or not of this encoder.
    """
    try:
        if isinstance(encoder, SqueezeNet):
            _fill_squeezenet(encoder, _read_arrays(path))
        else:
            _fill_mobilenet(encoder, _read_tflite(path))
    except KeyError as error:
        raise ModelError(f"{path}: has no layer {error}; it is not this encoder's.") from None
    except RuntimeError as error:
        raise ModelError(f"{path}: {error}; is it the encoder's version and multiplier?") from None


def _read_tflite(path: Path) -> Release:
    kernels, biases = {}, {}
    for name, value in read_tensors(path).items():
        layer = _layer(name)
        if name.endswith("weights_quant/FakeQuantWithMinMaxVars"):
            kernels[layer] = _torch_order(value, layer)
        elif name.endswith(("Fold_bias", "Fold/bias", "Conv2D_bias")):
            biases[layer] = value
    return Release(kernels, biases, centred=False)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name].astype(np.float32) for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: is not an .npz of arrays ({error}).") from None


def _read_npz(path: Path) -> Release:
    kernels, biases = {}, {}
    for name, value in _read_arrays(path).items():
        if value.ndim == 4:
            kernels[_layer(name)] = _torch_order(value, _layer(name))
        else:
            biases[_layer(name)] = value
    imagenet = path.with_name(IMAGENET_FILE)
    if not imagenet.is_file():
        raise ModelError(
            f"{imagenet}: no such file; {path.name} has no kernel of {MISSING_POINTWISE}, which "
            "comes from there."
        )
    # Bias and kernel belong together: COCO's bias on ImageNet's kernel costs 3 points of box AP.
    donor = _read_tflite(imagenet)
    kernels[MISSING_POINTWISE] = donor.kernels[MISSING_POINTWISE]
    biases[MISSING_POINTWISE] = donor.biases[MISSING_POINTWISE]
    return Release(kernels, biases, centred=True, left_out=frozenset({MISSING_EXTRA}))


def _layer(name: str) -> str:
    """The layer of a tensor, however its file spells it."""
    if found := re.search(r"BoxPredictor_(\d)[/_](BoxEncoding|Class)Predictor", name):
        return f"BoxPredictor_{found[1]}/{found[2]}"
    if found := re.search(r"Conv2d_13_pointwise_([12]_Conv2d_\d_[13]x[13](?:_s2)?_\d+)", name):
        return found[1]
    found = re.search(r"Conv2d_\d+(?:_depthwise|_pointwise)?", name)
    return found[0] if found else name


def _torch_order(kernel: np.ndarray, layer: str) -> np.ndarray:
    """TensorFlow Lite's (out, h, w, in), depthwise (1, h, w, channels), to (out, in, h, w)."""
    return kernel.transpose((3, 0, 1, 2) if layer.endswith("depthwise") else (0, 3, 1, 2))


def _fill_mobilenet(trunk: MobileNetV1, release: Release) -> None:
    _fill_unit(trunk.stem, release, "Conv2d_0")
    if not release.centred:
        stem = trunk.stem[0].weight.data
        trunk.stem[1].bias.data += SHIFT * stem.sum(dim=(1, 2, 3))
        stem *= GAIN
    for number, block in enumerate(trunk.blocks, start=1):
        _fill_unit(block[0], release, f"Conv2d_{number}_depthwise")
        _fill_unit(block[1], release, f"Conv2d_{number}_pointwise")


def _fill_extras(detector: SsdMobileNet, release: Release) -> None:
    for number, extra in enumerate(detector.extras, start=2):
        narrow, wide = (part[0].out_channels for part in extra)
        _fill_unit(extra[0], release, f"1_Conv2d_{number}_1x1_{narrow}")
        _fill_unit(extra[1], release, f"2_Conv2d_{number}_3x3_s2_{wide}")


def _fill_squeezenet(trunk: SqueezeNet, arrays: Mapping[str, np.ndarray]) -> None:
    """Convolutions in the order of the pass; the stem takes in the difference of the inputs."""
    fires = (layer for layer in trunk.layers if isinstance(layer, Fire))
    units = [trunk.stem, *(u for fire in fires for u in (fire.squeeze, fire.expand1, fire.expand3))]
    for number, conv in enumerate(units):
        for part in ("weight", "bias"):
            name = f"squeezenet0_conv{number}_{part}"
            _copy(getattr(conv, part), arrays[name], name)
    mean, deviation = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    stem = trunk.stem.state_dict()
    stem["bias"] += (stem["weight"] * (0.5 - mean) / deviation).sum(dim=(1, 2, 3))
    stem["weight"] *= 0.5 / deviation


def _fill_unit(unit: ConvNormAct, release: Release, layer: str) -> None:
    """Folded kernel and bias as convolution and batch norm: gamma 1, beta bias, mean 0, std 1."""
    conv, norm = unit[0], unit[1]
    if layer in release.left_out:
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    else:
        _copy(conv.weight, release.kernels[layer], layer)
    _copy(norm.bias, release.biases[layer], layer)
    nn.init.ones_(norm.weight)
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - BATCH_NORM_EPSILON)


def _fill_predictors(detector: SsdMobileNet, release: Release, ids: list[int | None]) -> None:
    """Offsets whole; scores of background and of each class that COCO has, no say for others.

    Where a map has its anchors twice, both begin alike.
    """
    for i, head in enumerate(detector.predictors):
        layer = f"BoxPredictor_{i}/BoxEncoding"
        kernel, bias = release.kernels[layer], release.biases[layer]
        times = max(head.offsets.out_channels // len(kernel), 1)
        _copy(head.offsets.weight, np.concatenate([kernel] * times), layer)
        _copy(head.offsets.bias, np.concatenate([bias] * times), layer)
        layer = f"BoxPredictor_{i}/Class"
        anchors = head.scores.out_channels // head.num_scores // times
        kernel = release.kernels[layer].reshape(anchors, NUM_SCORES, -1)
        bias = release.biases[layer].reshape(anchors, NUM_SCORES)
        shape = (times, anchors, head.num_scores, -1)
        ours = np.zeros_like(head.scores.weight.detach().numpy()).reshape(shape)
        our_bias = np.full(shape[:3], PRIOR_LOGIT, np.float32)
        for row, theirs in enumerate([0, *ids]):
            if theirs is not None:
                ours[:, :, row], our_bias[:, :, row] = kernel[:, theirs], bias[:, theirs]
        _copy(head.scores.weight, ours.reshape(head.scores.weight.shape[0], -1, 1, 1), layer)
        _copy(head.scores.bias, our_bias.reshape(-1), layer)


def _copy(into: Tensor, value: np.ndarray, name: str) -> None:
    if into.shape != value.shape:
        raise RuntimeError(f"{name} is {value.shape}, not {tuple(into.shape)}")
    into.data.copy_(torch.from_numpy(np.ascontiguousarray(value)))
