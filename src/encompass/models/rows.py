"""Rows of the zoo by name or from a file of one's own: a new combination needs no new code.

A row file is TOML with the fields of `InstanceSpec`, each [[branches]] table with those of
`BranchSpec`; or, where it says task = "semantic", with the fields of `SemanticSpec`:

    name = "mine"
    multiplier = 0.75
    input_size = 640
    crop_blocks = [13, 11, 5]
    [[branches]]
    shape = [9, 4]
    convolutions = 2

    task = "semantic"
    encoder = "mobilenet"
    multiplier = 0.75
    maps = [13, 11]
    output_stride = 32

Files are data: an unknown key, a value of another type or out of range is refused with its name.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_type_hints

import torch

from encompass.errors import UsageError, did_you_mean
from encompass.models.mobilenet import MobileNetV1
from encompass.models.semantic import build_encoder
from encompass.models.zoo import MODELS, SEMANTIC_MODELS, BranchSpec, InstanceSpec, SemanticSpec

# (least, greatest) of each number; what lies beyond is a slip or an attack on the memory.
RANGES = {
    "multiplier": (0.05, 4.0),
    "input_size": (32, 4096),
    "inner": (0.1, 1.0),
    "nms_iou": (0.0, 1.0),
    "max_boxes": (1, 1000),
    "shape": (1, 128),
    "crop_blocks": (1, 13),
    "convolutions": (1, 8),
    "rate": (1, 32),
    "maps": (1, 13),
    "output_stride": (2, 32),
    "last_rate": (1, 32),
    "widths": (8, 1024),
}
MAX_BRANCHES = 100
TASKS = ("instance", "semantic")


def find_row(name_or_path: str) -> tuple[str, InstanceSpec | SemanticSpec]:
    """A row's name and itself: one of the zoo, or that of a .toml file.

    Raises:
        UsageError: no row has this name, or the file is missing or not a row.
    """
    zoo = MODELS | SEMANTIC_MODELS
    if name_or_path in zoo:
        return name_or_path, zoo[name_or_path]
    if not name_or_path.endswith(".toml"):
        hint = did_you_mean(name_or_path, zoo)
        raise UsageError(
            f"No model is called {name_or_path!r}.{hint} Known: {', '.join(zoo)}; or give the "
            "path of a row file (.toml)."
        )
    path = Path(name_or_path)
    try:
        record = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: is not TOML ({error}).") from None
    name = record.pop("name", path.stem)
    if not isinstance(name, str) or not name or name in zoo or "/" in name:
        raise UsageError(f"{path}: name={name!r} must be a text that no row of the zoo has.")
    task = record.pop("task", "instance")
    if task not in TASKS:
        raise UsageError(f"{path}: task={task!r} must be {' or '.join(map(repr, TASKS))}.")
    parse = parse_semantic_row if task == "semantic" else parse_row
    return name, parse(record, str(path))


def find_instance_row(name_or_path: str) -> tuple[str, InstanceSpec]:
    """`find_row` for what instance rows alone can do. Raises UsageError for a semantic one too."""
    name, spec = find_row(name_or_path)
    if not isinstance(spec, InstanceSpec):
        raise UsageError(
            f"{name_or_path} is a semantic row, which has no boxes; choose one of "
            f"{', '.join(MODELS)}."
        )
    return name, spec


def parse_semantic_row(record: Mapping[str, Any], where: str) -> SemanticSpec:
    """A semantic row from plain data, as `dataclasses.asdict` or a file gives it.

    Raises:
        UsageError: names the key and the value that are not a row's.
    """
    spec = SemanticSpec(**_checked(SemanticSpec, record, where))
    if spec.encoder.startswith("squeezenet") and spec.multiplier != 1:
        raise UsageError(
            f"{where}: multiplier={spec.multiplier} is MobileNet's alone; leave it out."
        )
    with torch.device("meta"):  # its strides are wanted, not its weights
        encoder = build_encoder(spec)
    if beyond := [layer for layer in spec.maps if layer not in encoder.strides]:
        raise UsageError(
            f"{where}: maps={list(spec.maps)}: {spec.encoder} has the layers 1 to "
            f"{max(encoder.strides)}, not {beyond[0]}."
        )
    strides = [encoder.strides[layer] for layer in spec.maps]
    if strides[0] != spec.output_stride:
        raise UsageError(
            f"{where}: output_stride={spec.output_stride} is not the stride of the first of "
            f"maps={list(spec.maps)}, which is {strides[0]}."
        )
    if spec.widths and len(spec.widths) != len(spec.maps):
        raise UsageError(
            f"{where}: widths={list(spec.widths)} must be one for each of maps={list(spec.maps)}."
        )
    if any(coarse != finer * 2 for coarse, finer in pairwise(strides)):
        raise UsageError(
            f"{where}: maps={list(spec.maps)} have the strides {strides}; each must be half of the "
            "one before."
        )
    return spec


def parse_row(record: Mapping[str, Any], where: str) -> InstanceSpec:
    """An instance row from plain data, as `dataclasses.asdict` or a file gives it.

    Raises:
        UsageError: names the key and the value that are not a row's.
    """
    values = dict(record)
    branches = values.pop("branches", None)
    if not isinstance(branches, (list, tuple)) or not 1 <= len(branches) <= MAX_BRANCHES:
        raise UsageError(f"{where}: branches must be a list of 1 to {MAX_BRANCHES} tables.")
    built = []
    for number, branch in enumerate(branches):
        if not isinstance(branch, Mapping):
            raise UsageError(f"{where}: branches[{number}]={branch!r} is not a table.")
        built.append(BranchSpec(**_checked(BranchSpec, branch, f"{where}: branches[{number}]")))
    spec = InstanceSpec(branches=tuple(built), **_checked(InstanceSpec, values, where))
    _check_together(spec, where)
    return spec


def _checked(kind: type, record: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values of a table by field, each of the field's type and in its range."""
    hints = get_type_hints(kind)
    values = {}
    for key, value in record.items():
        if key not in hints or key == "branches":
            raise UsageError(
                f"{where}: no setting is called {key!r}.{did_you_mean(key, hints)} "
                f"Known: {', '.join(hints)}."
            )
        values[key] = _value(key, value, hints[key], where)
    required = {
        f.name
        for f in dataclasses.fields(kind)
        if f.default is dataclasses.MISSING and f.name != "branches"
    }
    if missing := sorted(required - set(record)):
        raise UsageError(f"{where}: {missing[0]} is missing.")
    return values


def _value(key: str, value: Any, hint: Any, where: str) -> Any:
    def wrong(what: str) -> UsageError:
        return UsageError(f"{where}: {key}={value!r} must be {what}.")

    if hint is bool:
        if type(value) is not bool:
            raise wrong("true or false")
        return value
    if hint in (int, float):
        return _number(value, hint, key, wrong)
    choices = get_args(hint)
    if choices and isinstance(choices[0], str):
        if value not in choices:
            raise wrong(" or ".join(map(repr, choices)))
        return value
    length = 2 if key == "shape" else None
    empty = not value and key != "widths"
    if not isinstance(value, (list, tuple)) or empty or len(value) != (length or len(value)):
        raise wrong("a list of two numbers" if length else "a list of numbers")
    return tuple(_number(item, int, key, wrong) for item in value)


def _number(value: Any, kind: type, key: str, wrong: Any) -> int | float:
    least, greatest = RANGES[key]
    fits = type(value) is int or (kind is float and type(value) is float and math.isfinite(value))
    if not fits or not least <= value <= greatest:
        raise wrong(f"{'a whole number' if kind is int else 'a number'} from {least} to {greatest}")
    return kind(value)


def _check_together(spec: InstanceSpec, where: str) -> None:
    """What no single field shows: maps that fit each other, and shapes that differ."""
    strides = MobileNetV1.STRIDES
    wanted = [strides[block] for block in spec.crop_blocks]
    if any(finer * 2 != coarse for coarse, finer in pairwise(wanted)):
        raise UsageError(
            f"{where}: crop_blocks={list(spec.crop_blocks)} have the strides {wanted}; each must "
            "be half of the one before."
        )
    if spec.input_size % strides[13]:
        near = round(spec.input_size / strides[13]) * strides[13]
        raise UsageError(
            f"{where}: input_size={spec.input_size} is not a multiple of {strides[13]}; use {near}."
        )
    kinds = [(branch.shape, branch.exact) for branch in spec.branches]
    if doubles := [shape for shape, exact in kinds if kinds.count((shape, exact)) > 1]:
        raise UsageError(f"{where}: the shape {list(doubles[0])} occurs twice among the branches.")
    if spec.head == "mask-rcnn" and any((b.convolutions, b.rate) != (1, 1) for b in spec.branches):
        raise UsageError(
            f"{where}: head='mask-rcnn' has its own convolutions; leave out those of the branches "
            "and their rate."
        )
    if spec.fine_map and spec.anchors != "pixels":
        raise UsageError(f"{where}: fine_map=true needs anchors='pixels'.")
    if spec.train_crops == "anchors" and spec.anchors != "picture":
        raise UsageError(
            f"{where}: train_crops='anchors' is for anchors='picture'; leave one of them out."
        )
    for key in ("box_channels", "refine"):
        if spec.head == "mask-rcnn" and getattr(spec, key):
            raise UsageError(f"{where}: head='mask-rcnn' takes no {key}; leave it out.")
    if spec.routing == "aspect" and any(branch.exact for branch in spec.branches):
        raise UsageError(f"{where}: routing='aspect' resizes every box, so no branch can be exact.")
    if spec.shared and not spec.is_uniform:
        raise UsageError(
            f"{where}: shared=true needs branches of the same convolutions and rate throughout."
        )
    if spec.crop == "box" and any(branch.exact for branch in spec.branches):
        raise UsageError(f"{where}: crop='box' has no whole cells, so no branch can be exact.")
