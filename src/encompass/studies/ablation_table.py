"""RESULTS's table of what each change of the branches is worth, from `results/ablation/`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from encompass.studies.ablation import ROWS, VARIANTS
from encompass.studies.instance import result_name
from encompass.studies.markdown import machine, points, spread, table
from encompass.studies.stored import read

COLUMNS: dict[str, Callable[[dict[str, Any]], float | None]] = {
    "mask AP50": lambda result: result["mask"]["AP50"],
    "mask AP": lambda result: result["mask"]["AP"],
    "mask IoU": lambda result: result["quality"]["all"]["mask_IoU"],
    "small": lambda result: result["quality"]["small"]["mask_IoU"],
    "boundary IoU": lambda result: result["quality"]["all"]["boundary_IoU"],
    "pairs": lambda result: result["quality"]["pairs"]["both_IoU_50"],
    "equal pairs": lambda result: result["quality"]["equal_pairs"]["both_IoU_50"],
}


def ablation(folder: Path) -> list[str]:
    """The lines of the section; none before there is a result.

    `folder` is that of all results.
    """
    names = [*ROWS, *(f"{ROWS[-1]}-{variant}" for variant in VARIANTS)]
    found = {row: _seeds(folder / "ablation", row) for row in names}
    found = {row: results for row, results in found.items() if results}
    if not found:
        return []
    first = next(iter(found.values()))[0]
    quality = first["quality"]
    rows = [
        [f"`{row}`", str(len(results)), *(_spread(map(of, results)) for of in COLUMNS.values())]
        for row, results in found.items()
    ]
    return [
        "## Past the thesis",
        "",
        "`python -m encompass.studies.ablation`: what each change of the branches is worth "
        "([network](docs/network.md#past-the-thesis)), on one detector at 320x320 and one set of "
        f"maps, {first['branches']['steps']:,} steps of {first['branches']['batch_size']} crops "
        f"each. Scored on `{first['data']}`, mean and standard deviation over the seeds. Mask IoU "
        "(all and small persons) and boundary IoU are of given boxes; the last two columns are the "
        f"shares of the {quality['pairs']['num_pairs']} pairs of persons in much the same cells "
        f"and of the {quality['equal_pairs']['num_pairs']} in just the same of whom both masks are "
        f"right ([evaluation](docs/evaluation.md#masks-apart-from-the-detector)). "
        f"{machine(*(r for results in found.values() for r in results))}.",
        "",
        table(["row", "seeds", *COLUMNS], rows),
        "",
    ]


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
