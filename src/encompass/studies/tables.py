"""Every table of results as the thesis prints it, with ours below and the difference.

Reads what the studies wrote into a folder of results, and nothing else. A table may have several of
ours: two recipes, two sizes of crop, or the two ways in which branches are filled. Of rows with
several seeds the first is shown; RESULTS.md has their spread, and the findings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from encompass.environment import origin
from encompass.studies import published
from encompass.studies.chapter2 import trunk_costs
from encompass.studies.markdown import table

Cells = Mapping[str, Sequence[float | None]]  # row as it is printed -> values of its columns
Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Ours:
    """Our figures for one table, or one kind of them."""

    label: str  # what stands in the place of "thesis" on their lines
    cells: Cells
    about: str  # command, then machine, versions, commit and date where they are known


def compare(number: str, folder: Path) -> tuple[list[str], list[list[str]], list[str]]:
    """Head and rows of a table, lines of the thesis before ours, and what ours are from.

    Args:
        number: of a table in `published.TABLES`.
        folder: of the results.
    """
    several = [ours for ours in SOURCES[number](number, folder) if ours.cells]
    columns, theirs = published.TABLES[number].columns, printed(number)
    rows = []
    for name, cells in theirs.items():
        rows.append([name, "thesis", *map(_show, cells)])
        for ours in several:
            own = ours.cells.get(name, [None] * len(columns))
            gaps = [_gap(*pair) for pair in zip(own, cells, strict=True)]
            if any(value is not None for value in own):
                rows.append(["", ours.label, *map(_show, own)])
                rows.append(["", "difference", *(_show(gap, sign="+") for gap in gaps)])
    about = [f"{ours.label}: {ours.about}" for ours in several]
    return ["row", "", *columns], rows, about


def printed(number: str) -> dict[str, list[float | None]]:
    """Row -> cells that ours can be compared with: those of a table, shares of all in Table 5.1."""
    rows = published.TABLES[number].rows
    if number == "5.1":
        return {name: shares([cell or 0 for cell in cells]) for name, cells in rows.items()}
    return {name: list(cells) for name, cells in rows.items()}


def shares(counts: Sequence[float]) -> list[float | None]:
    """Counts in percent of their sum."""
    return [100 * count / max(sum(counts), 1) for count in counts]


def section(number: str, folder: Path) -> list[str]:
    """One table with its heading, as lines of Markdown."""
    head, rows, about = compare(number, folder)
    share = ", in percent of all annotations" if number == "5.1" else ""
    command = f"`encompass reproduce --table {number}`"
    return [
        f"## Table {number}: {published.TABLES[number].title}{share}",
        "",
        *([f"- {line}" for line in about] or [f"Nothing of ours yet ({command})."]),
        "",
        table(head, rows),
        "",
    ]


def tables_page(folder: Path, numbers: Iterable[str] = tuple(published.TABLES)) -> str:
    """All tables as a page."""
    parts = [
        "# The thesis's tables and ours",
        "",
        "Made by `encompass reproduce` and `python -m encompass.studies.results`. Ours are from "
        "other pictures and shorter trainings (the docstrings of `studies/` say which): compare "
        "the order of rows and their ratios, not heights. Spread over seeds, and which findings "
        "hold: [RESULTS](../RESULTS.md). Where each part of the thesis is here: "
        "[guide](thesis.md).",
        "",
    ]
    for number in numbers:
        parts += section(number, folder)
    return "\n".join(parts)


def _gap(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or theirs is None else ours - theirs


def _show(value: float | None, sign: str = "") -> str:
    if value is None:
        return "-"
    whole = isinstance(value, int) or abs(value) >= 1000
    return format(value, f"{sign},.0f" if whole else f"{sign}.2f")


def _read(folder: Path, pattern: str) -> list[Any]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob(pattern))]


def _about(command: str, records: Sequence[Record]) -> str:
    """What figures of one command were measured on; commits and dates of all its records."""
    first = records[0]
    commits = " ".join(sorted({record["commit"] for record in records}))
    dates = sorted({record["date"] for record in records if "date" in record})
    processor = first.get("cpu") or first["processor"]
    return ", ".join([f"`{command}`", origin(processor, first["versions"], commits), *dates])


def _trunks(number: str, folder: Path) -> list[Ours]:
    million = {
        n: (None, c.macs / 1e6, c.parameters / 1e6) for n, c in trunk_costs()[number].items()
    }
    return [Ours(label="ours", cells=million, about="computed whenever this page is made")]


def _mean_ious(number: str, folder: Path) -> list[Ours]:
    columns = published.TABLES[number].columns
    several = []
    for recipe in ("ours", "thesis"):
        results = {
            result["model"]: result
            for result in _read(folder, "semantic/*.json")
            if result["recipe"]["name"] == recipe and not result["recipe"]["semantic"]["seed"]
        }
        cells: dict[str, list[float | None]] = {}
        for row, places in _places_of_4_1().items():
            for stride, column in places if row in results else ():
                line = cells.setdefault(stride, [None] * len(columns))
                line[columns.index(column)] = results[row]["mIoU"]
        if results:
            first = next(iter(results.values()))
            about = _about("python -m encompass.studies.semantic", list(results.values()))
            label = f"recipe {recipe}"
            several.append(Ours(label=label, cells=cells, about=f"{about}; {first['data']}"))
    return several


def _places_of_4_1() -> dict[str, list[tuple[str, str]]]:
    """Row of the zoo -> cells of Table 4.1; what has neither skips nor dilation has two."""
    return {
        row: [
            (stride, column),
            *([(stride, column.replace("FCN", "Atrous"))] if name.endswith("-Base") else ()),
        ]
        for row, (stride, column, name) in published.SEMANTIC_CELLS.items()
    }


def _person_ious(number: str, folder: Path) -> list[Ours]:
    method = next(m for m, table in published.PERSON_TABLES.items() if table == number)
    sizes: dict[tuple[int, int], list[Record]] = {}
    for result in _read(folder, "person_crops/*.json"):
        if result["cell"]["method"] == method:
            sizes.setdefault(tuple(result["cell"]["size"]), []).append(result)
    several = []
    for (height, width), results in sorted(sizes.items()):
        cells: dict[str, list[float | None]] = {}
        for result in results:
            background, rate = (result["cell"][key] for key in ("background", "rate"))
            line = cells.setdefault(f"{background:.2f}", [None] * len(published.RATES))
            person = next(c for c in result["classes"] if c["name"] == "person")
            line[published.RATES.index(rate)] = person["IoU"]
        about = f"{_about('python -m encompass.studies.person_crops', results)}; "
        label = f"{height}x{width}"
        several.append(Ours(label=label, cells=cells, about=about + results[0]["data"]))
    return several


def _shapes(number: str, folder: Path) -> list[Ours]:
    path = folder / "person_counts.json"
    if not path.exists():
        return []
    record = json.loads(path.read_text())
    cells = {
        name: shares([*part["shapes"], part["other"]]) for name, part in record["parts"].items()
    }
    pictures = ", ".join(
        f"{part['data']} {sum(part['shapes']) + part['other']:,} annotations in "
        f"{part['person_images']:,} pictures, {part['isb_images']:,} of them with such a shape"
        for part in record["parts"].values()
    )
    command = "`encompass reproduce --table 5.1`"
    about = f"{command}: {pictures}, commit {record['commit']}, {record['date']}"
    return [Ours(label="ours", cells=cells, about=about)]


def _scores(number: str, folder: Path) -> list[Ours]:
    results = {
        result["model"]: result
        for path in sorted(folder.glob("instance/*.json"))
        if path.stem != "detectors" and not (result := json.loads(path.read_text()))["seed"]
    }
    named = {
        name: results[row] for name, row in published.TABLE_ROWS[number].items() if row in results
    }
    ending = {"5.2": "-isb", "5.3": "-isb-matching"}.get(number)
    cells = {}
    for name, result in named.items():
        scores: Mapping[str, Any] = result["mask_at_50"]
        if ending:
            subsets = (s for n, s in result["subsets"].items() if n.endswith(ending))
            scores = next(subsets, {"mask_at_50": {}})["mask_at_50"]
        if scores:
            cells[name] = [scores[metric] for metric in published.METRICS]
    if not cells:
        return []
    about = _about("python -m encompass.studies.instance", list(named.values()))
    first = next(iter(named.values()))
    return [Ours(label="ours", cells=cells, about=f"{about}; {first['data']}")]


def _costs(number: str, folder: Path) -> list[Ours]:
    """Frames per second on GPU and CPU, output megabytes and parameters."""
    records = [record for content in _read(folder, "profile/*.json") for record in content]
    if number == "4.2":
        kinds = {
            "2048x1024": [r for r in records if (r.get("height"), r.get("width")) == (1024, 2048)]
        }
    else:
        fresh = [r for r in records if r.get("input_size") and r["weights"] == "fresh"]
        kinds = {
            "some people": [r for r in fresh if r["people"] is not None],
            "branches full": [r for r in fresh if r["people"] is None],
        }
    several = []
    for label, kind in kinds.items():
        cells, used = {}, []
        for name, row in published.TABLE_ROWS[number].items():
            by_device = {r["device"]: r for r in kind if r["model"] == row}
            if by_device:
                used += by_device.values()
                whole = next(iter(by_device.values()))["whole"]
                fps = (by_device.get(device, {}).get("fps") for device in ("cuda", "cpu"))
                cells[name] = [*fps, whole["output_bytes"] / 1e6, whole["parameters"]]
        if used:
            command = f"python -m encompass.studies.costs --runs {used[0]['runs']}"
            several.append(Ours(label=label, cells=cells, about=_about(command, used)))
    return several


SOURCES: dict[str, Callable[[str, Path], list[Ours]]] = {
    **dict.fromkeys(("2.6", "2.7"), _trunks),
    "4.1": _mean_ious,
    **dict.fromkeys(published.PERSON_TABLES.values(), _person_ious),
    "5.1": _shapes,
    **dict.fromkeys(published.SCORES, _scores),
    **dict.fromkeys(published.COSTS, _costs),
}
