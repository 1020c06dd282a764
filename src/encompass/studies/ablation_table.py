"""RESULTS's tables of what each change past the thesis is worth: of the branches, from
`results/ablation/`, of the boxes, from `results/detectors/`, and of the training together, from
`results/joint/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from encompass.models.rows import parse_row
from encompass.studies.ablation import ROWS, VARIANTS
from encompass.studies.detectors import ROWS as DETECTOR_ROWS
from encompass.studies.detectors import STARTS
from encompass.studies.instance import result_name
from encompass.studies.joint import DISTILLED, PRUNED_START, START
from encompass.studies.joint import VARIANTS as JOINT_VARIANTS
from encompass.studies.markdown import machine, points, spread, table
from encompass.studies.stored import read

Column = Callable[[dict[str, Any]], float | None]
COLUMNS: dict[str, Column] = {
    "mask AP50": lambda result: result["mask"]["AP50"],
    "mask AP": lambda result: result["mask"]["AP"],
    "small AP50": lambda result: result["mask_at_50"]["APs"],
    "mask IoU": lambda result: result["quality"]["all"]["mask_IoU"],
    "small IoU": lambda result: result["quality"]["small"]["mask_IoU"],
    "boundary IoU": lambda result: result["quality"]["all"]["boundary_IoU"],
    "pairs": lambda result: result["quality"]["pairs"]["both_IoU_50"],
    "equal pairs": lambda result: result["quality"]["equal_pairs"]["both_IoU_50"],
}

BOX_COLUMNS: dict[str, Column] = {
    "box AP50": lambda result: result["box"]["AP50"],
    "box AP": lambda result: result["box"]["AP"],
    "small AP50": lambda result: result["box_at_50"]["APs"],
    "medium AP50": lambda result: result["box_at_50"]["APm"],
    "large AP50": lambda result: result["box_at_50"]["APl"],
}


def ablation(folder: Path) -> list[str]:
    """The lines of the section; none before there is a result.

    `folder` is that of all results.
    """
    found = _found(folder / "ablation", (*ROWS, *VARIANTS))
    if not found:
        return []
    first = next(iter(found.values()))[0]
    quality = first["quality"]
    return [
        "## Past the thesis",
        "",
        "`python -m encompass.studies.ablation`: what each change of the branches is worth "
        "([network](docs/network.md#past-the-thesis)), on one detector at 320x320 and one set of "
        f"maps, {first['branches']['steps']:,} steps of {first['branches']['batch_size']} crops "
        f"each. Scored on `{first['data']}`, mean and standard deviation over the seeds. The IoUs "
        "of masks and of boundaries are those of given boxes; the last two columns are the "
        f"shares of the {quality['pairs']['num_pairs']} pairs of persons in much the same cells "
        f"and of the {quality['equal_pairs']['num_pairs']} in just the same of whom both masks are "
        f"right ([evaluation](docs/evaluation.md#masks-apart-from-the-detector)). "
        f"{machine(*(r for results in found.values() for r in results))}.",
        "",
        _table(found, COLUMNS),
        "",
    ]


def detectors(folder: Path) -> list[str]:
    """The lines of the section; none before there is a result."""
    found = _found(folder / "detectors", (*STARTS, *DETECTOR_ROWS))
    trained = [results[0] for name, results in found.items() if name in DETECTOR_ROWS]
    if not trained:
        return []
    config = trained[0]["detector"]
    steps = {result["row"]["input_size"]: result["detector"]["steps"] for result in trained}
    budget = " and ".join(f"{count:,} steps at {size}x{size}" for size, count in steps.items())
    return [
        "### Anchors in pixels, and boxes of stride 8",
        "",
        "`python -m encompass.studies.detectors train`: what they are worth to the boxes "
        "([network](docs/network.md#larger-inputs)). All start from one release and learn for "
        f"{budget}, of {config['batch_size'] * config['accumulate']} pictures at a rate of "
        f"{config['learning_rate']:g}, longer where there is a row whose finer map begins at "
        "random: `picture` with the thesis's anchors, `pixels` with those that keep the release's "
        "size in pixels, `fine` with a map of stride 8 beside them. What ends in `-start` is the "
        "release's weights with these anchors. "
        f"Scored on `{trained[0]['data']}`, mean and standard deviation over the seeds. "
        f"{machine(*(r for results in found.values() for r in results))}.",
        "",
        _table(found, BOX_COLUMNS),
        "",
        *detector_times(folder),
    ]


def detector_times(folder: Path) -> list[str]:
    """What the rows of `detectors` cost; nothing of a row that is another one by now."""
    found = read(folder, "detectors_times.json")
    if not found:
        return []
    (measured,) = found
    ms = {
        row["model"]: row["median_ms"]
        for row in measured["rows"]
        if parse_row(row["row"], row["model"]) == DETECTOR_ROWS.get(row["model"])
    }
    rows = []
    for name, time in ms.items():
        first = ms[f"picture-{DETECTOR_ROWS[name].input_size}"]
        rows.append([f"`{name}`", f"{time:.1f}", f"{time / first:.2f}"])
    return [
        "A decoded picture of 640x480 with nobody in it, exported (`python -m "
        f"encompass.studies.detectors time`): the median of {measured['runs']} runs in turn, "
        f"{measured['threads']} threads. {machine(measured)}.",
        "",
        table(["row", "ms", "to `picture`"], rows),
        "",
    ]


def joint(folder: Path) -> list[str]:
    """The lines of the section; none before there is a result."""
    found = _found(folder / "joint", (START, PRUNED_START, *JOINT_VARIANTS, DISTILLED))
    trained = [results[0] for name, results in found.items() if name in JOINT_VARIANTS]
    if not trained:
        return []
    config = trained[0]["joint"]
    return [
        "### Detector and branches together",
        "",
        "`python -m encompass.studies.joint`: what each part of that training is worth "
        f"([how](docs/training.md#the-family)), from one checkpoint, `{START}`, whose branches "
        f"learnt from a detector that stood still; {config['steps']:,} steps of "
        f"{config['batch_size'] * config['accumulate']} pictures each, all but one setting alike: "
        f"interpolation {config['interpolation']:g}, a running mean of {config['ema']:g}, Dice "
        f"{config['dice_weight']:g}, edges {config['edge_weight']:g}. `{PRUNED_START}` is the "
        "checkpoint with two thirds of the trunk's inner channels "
        "([how](docs/network.md#past-the-thesis)) before it learns again, `pruned` after it, to be "
        "compared with `last-weights`. Of `distilled` the detector alone learns, by its own recipe "
        "([how](docs/training.md#training)), from as many pictures without their labels. "
        f"Scored on `{trained[0]['data']}`, mean and standard deviation over the seeds. "
        f"{machine(*(r for results in found.values() for r in results))}.",
        "",
        _table(found, {"box AP50": lambda result: result["box"]["AP50"], **COLUMNS}),
        "",
    ]


def _found(folder: Path, names: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    found = {name: _seeds(folder, name) for name in names}
    return {name: results for name, results in found.items() if results}


def _table(found: dict[str, list[dict[str, Any]]], columns: dict[str, Column]) -> str:
    rows = [
        [f"`{name}`", str(len(results)), *(_spread(map(of, results)) for of in columns.values())]
        for name, results in found.items()
    ]
    return table(["row", "seeds", *columns], rows)


def _seeds(folder: Path, row: str) -> list[dict[str, Any]]:
    """The results of a row, seed by seed, up to the first that is missing."""
    results: list[dict[str, Any]] = []
    while found := read(folder, f"{result_name(row, len(results))}.json"):
        results += found
    return results


def _spread(values: Any) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    return points(known[0]) if len(known) == 1 else spread(known)
