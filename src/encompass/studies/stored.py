"""What the studies stored in a folder of results, by what it is of: all that pages are made from.

A record is the content of one JSON file as its study writes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Record = dict[str, Any]
Cell = tuple[str, int, float, tuple[int, int]]  # method, rate, background, (height, width)

THESIS = "-thesis"  # ends the name of a row that learnt by the thesis's recipe


def read(folder: Path, pattern: str) -> list[Any]:
    """The contents of the files that fit, in the order of their names."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob(pattern))]


def load_instance(folder: Path) -> dict[str, list[Record]]:
    """Row -> its results of `instance/`, by seed."""
    results = [r for r in read(folder, "instance/*.json") if "seed" in r]  # not the detectors'
    return _by_seed(results, lambda result: result["model"], lambda result: result["seed"])


def load_semantic(folder: Path) -> dict[str, list[Record]]:
    """Row -> its results of `semantic/`, by seed; `THESIS` is added to a row for its recipe."""

    def name(result: Record) -> str:
        return result["model"] + (THESIS if result["recipe"]["name"] == "thesis" else "")

    results = read(folder, "semantic/*.json")
    return _by_seed(results, name, lambda result: result["recipe"]["semantic"]["seed"])


def _by_seed(
    results: list[Record], name: Callable[[Record], str], seed: Callable[[Record], int]
) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for result in sorted(results, key=seed):
        found.setdefault(name(result), []).append(result)
    return found


def load_person_crops(folder: Path) -> dict[Cell, Record]:
    """Cell -> its result of `person_crops/`."""
    cells = {}
    for result in read(folder, "person_crops/*.json"):
        of = result["cell"]
        cells[of["method"], of["rate"], of["background"], tuple(of["size"])] = result
    return cells


def load_instance_costs(folder: Path) -> dict[tuple[str, bool], dict[str, Record]]:
    """(device, whether every branch is full) -> row -> its record of `profile/`."""
    found: dict[tuple[str, bool], dict[str, Record]] = {}
    for record in _profiles(folder):
        if "input_size" in record and record["weights"] == "fresh":  # not a checkpoint's
            kind = record["device"], record["people"] is None
            found.setdefault(kind, {})[record["model"]] = record
    return found


def load_semantic_costs(folder: Path) -> dict[str, dict[tuple[int, int], dict[str, Record]]]:
    """Device -> (height, width) of the picture -> row -> its record of `profile/`."""
    found: dict[str, dict[tuple[int, int], dict[str, Record]]] = {}
    for record in _profiles(folder):
        if "height" in record:
            sizes = found.setdefault(record["device"], {})
            size = record["height"], record["width"]
            sizes.setdefault(size, {})[record["model"]] = record
    return found


def _profiles(folder: Path) -> list[Record]:
    return [record for content in read(folder, "profile/*.json") for record in content]
