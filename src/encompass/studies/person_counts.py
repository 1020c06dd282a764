"""Table 5.1 of the thesis, and the person datasets of sections 5.1.2 and 5.2.1.

    encompass reproduce --table 5.1

The thesis counts the encompassing shapes of all persons of COCO 2017 and keeps the pictures in
which one has a branch's shape. The same is counted here of whatever pictures there are (why these
must be the thesis's rules: `data.persons`). Shares are what can be compared on fewer pictures.

Writes the datasets as `encompass data persons` does, and `results/person_counts.json`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from encompass.data.persons import build_person_sets, save_coco
from encompass.environment import commit, today
from encompass.files import write_json


def count(train: Path, val: Path, sets: Path, results: Path) -> None:
    """Count two COCO instances files and write their datasets.

    Args:
        train: the first row of the table.
        val: the second.
        sets: folder of the datasets.
        results: folder of the counts.

    Raises as `build_person_sets`.
    """
    parts = {}
    for name, path in (("Train", train), ("Val", val)):
        built = build_person_sets(path)
        save_coco({sets / file: content for file, content in built.files(path.stem).items()})
        parts[name] = {"data": path.name, **dataclasses.asdict(built.counts)}
    write_json(
        results / "person_counts.json", {"parts": parts, "commit": commit(), "date": today()}
    )
