"""How long `encompass reproduce --all` takes on the small data: a section of RESULTS.md.

Trainings record their minutes in their results. A study that is not complete, or was stopped
between, is taken to go on at the mean of what is recorded.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path

from encompass.studies import costs, instance, person_crops, published, semantic
from encompass.studies.markdown import table
from encompass.studies.stored import read

PASSES = 2  # of one run of a row that is measured: the whole, and stage by stage


def trainings() -> Iterator[tuple[str, str, list[str]]]:
    """What is trained, the folder of its results, and the stems of their files; alike in time."""
    names = [name for name, *_ in semantic.runs(semantic.ROWS)]
    yield "semantic rows (Table 4.1)", "semantic", names
    for size in person_crops.SIZES:
        names = [cell.name for cell in person_crops.cells() if cell.size == size]
        yield "crops of {}x{} (Tables 4.3 to 4.6)".format(*size), "person_crops", names
    rows = dict.fromkeys(r for n in published.SCORES for r in published.TABLE_ROWS[n].values())
    names = [instance.result_name(row, seed) for row, seed in instance.runs(rows)]
    yield "instance rows (Tables 5.2, 5.3, 5.4, 5.6 and 5.8)", "instance", names


def duration(folder: Path) -> list[str]:
    """The section, as lines; none when no minutes are recorded."""
    rows, total = [], 0.0
    for title, study, names in trainings():
        recorded = _minutes(folder / study, names)
        whole = statistics.mean(recorded) * len(names) if recorded else 0.0
        total += whole
        cells = (len(names), len(recorded), round(sum(recorded)), round(whole))
        rows.append([title, *map(str, cells)])
    if not total:
        return []
    measured = _costs(folder)
    rows.append(["costs (Tables 4.2, 5.5, 5.7 and 5.9)", "-", "-", "-", f"{measured:.0f}"])
    head = ["what", "trainings", "with minutes", "minutes of these", "minutes of all"]
    return [
        "## How long it takes",
        "",
        f"`encompass reproduce --all` on the small data, two cores: {(total + measured) / 60:.1f} "
        "hours of training and measuring. Minutes are those that the results in `results/` record, "
        "of all trainings at the mean of these; of costs the mean time of a pass, "
        f"{PASSES * costs.RUNS} passes a row. Not recorded, and not in it: the maps of the two "
        "detectors that instance rows learn from, the crops, scoring, and the figures. What is "
        "there already is not made again.",
        "",
        table(head, rows),
        "",
    ]


def _minutes(folder: Path, names: Iterable[str]) -> list[float]:
    """Of the trainings that have a result which tells them: one that was stopped does not."""
    paths = (folder / f"{name}.json" for name in names)
    results = (result for path in paths for result in read(folder, path.name))
    return [result["minutes"] for result in results if result["minutes"] is not None]


def _costs(folder: Path) -> float:
    """Minutes of measuring the rows of the tables as often as the thesis does."""
    rows = {row for number in published.COSTS for row in published.TABLE_ROWS[number].values()}
    records = (record for content in read(folder, "profile/*.json") for record in content)
    ms = sum(r["whole"]["mean_ms"] for r in records if r["model"] in rows)
    return PASSES * costs.RUNS * ms / 60e3
