"""What the thesis reports, from `published.toml`, which says what each figure was measured on.

`TABLES` has every table as it is printed. The other names give the same numbers by what they are
here: rows of the zoo and metrics of `evaluate.coco`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from encompass.data.persons import PersonCounts
from encompass.geometry.grid import ISB_SHAPES

PROCESSORS = {"cpu": "i9-9900K", "cuda": "RTX 2080 Ti"}  # what costs were measured on
METRICS = ("AP", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


@dataclass(frozen=True)
class Table:
    """A table of results as it is printed, without the heading of its first column."""

    title: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[float | None, ...]]  # by the first column; None where a cell is empty


class Cost(NamedTuple):
    """One row of Tables 4.2, 5.5, 5.7 and 5.9."""

    fps_gpu: float
    fps_cpu: float
    megabytes: float  # all operators' output bytes
    parameters: int

    def fps(self, device: str) -> float:
        """On a kind of `PROCESSORS`."""
        return self.fps_cpu if device == "cpu" else self.fps_gpu


def _number(cell: float | str) -> float | None:
    return cell if isinstance(cell, (int, float)) else None


_CONTENT = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
# Sections 4.3.2, 5.2.1 and 5.2.2: what is counted -> pictures of training and validation.
PICTURES: dict[str, tuple[int, int]] = {
    name: (train, val) for name, (train, val) in _CONTENT.pop("pictures").items()
}
TABLES: dict[str, Table] = {
    number: Table(
        content["title"],
        tuple(content["columns"]),
        {name: tuple(map(_number, cells)) for name, cells in content["rows"].items()},
    )
    for number, content in _CONTENT.items()
}

# Table -> row as it is printed there -> metric -> points.
SCORES: dict[str, dict[str, dict[str, float]]] = {
    number: {
        name: dict(zip(METRICS, (c for c in cells if c is not None), strict=True))
        for name, cells in TABLES[number].rows.items()
    }
    for number in ("5.2", "5.3", "5.4", "5.6", "5.8")
}


def _costs(table: Table) -> dict[str, Cost]:
    rows = {}
    for name, (fps_gpu, fps_cpu, megabytes, parameters) in table.rows.items():
        assert fps_gpu and fps_cpu and megabytes and parameters
        rows[name] = Cost(fps_gpu, fps_cpu, megabytes, int(parameters))
    return rows


COSTS: dict[str, dict[str, Cost]] = {
    number: _costs(TABLES[number]) for number in ("4.2", "5.5", "5.7", "5.9")
}

# Semantic row of the zoo -> where Table 4.1 has it (stride, column), and its name in Table 4.2.
SEMANTIC_CELLS: dict[str, tuple[str, str, str]] = {
    "squeezenet": ("16", "SqueezeNet FCN", "SqzNet-Base"),
    "fcn8-squeezenet": ("8", "SqueezeNet FCN", "SqzNet-FCN8"),
    "stride8-squeezenet": ("8", "SqueezeNet Atrous", "SqzNet-Stride8"),
    "mobilenet0.5": ("32", "MobileNet FCN", "MN-Base"),
    "fcn16-mobilenet0.5": ("16", "MobileNet FCN", "MN-FCN16"),
    "fcn8-mobilenet0.5": ("8", "MobileNet FCN", "MN-FCN8"),
    "stride16-mobilenet0.5": ("16", "MobileNet Atrous", "MN-Stride16"),
    "stride8-mobilenet0.5": ("8", "MobileNet Atrous", "MN-Stride8"),
}


def _mean_iou(stride: str, column: str) -> float:
    table = TABLES["4.1"]
    iou = table.rows[stride][table.columns.index(column)]
    assert iou is not None
    return iou


# Semantic row of the zoo -> (mIoU of Table 4.1, name in Table 4.2).
SEMANTIC_ROWS: dict[str, tuple[float, str]] = {
    row: (_mean_iou(stride, column), name) for row, (stride, column, name) in SEMANTIC_CELLS.items()
}

# Tables 4.3 to 4.6, by their row without a rate: background -> IoU of persons at the last layer's
# atrous rates 1, 3 and 5.
PERSON_TABLES = {
    "mobilenet0.5": "4.3",
    "fcn8-mobilenet0.5": "4.4",
    "fcn16-mobilenet0.5": "4.5",
    "stride8-mobilenet0.5": "4.6",
}
RATES = (1, 3, 5)
PERSON_IOUS: dict[str, dict[float, tuple[float, ...]]] = {
    number: {
        float(background): tuple(c for c in cells if c is not None)
        for background, cells in TABLES[number].rows.items()
    }
    for number in PERSON_TABLES.values()
}

# Table 5.1: the annotations of the last column have another shape than `ISB_SHAPES`.
PERSON_COUNTS: dict[str, PersonCounts] = {
    name: PersonCounts(
        shapes=tuple(int(count or 0) for count in TABLES["5.1"].rows[row][: len(ISB_SHAPES)]),
        other=int(TABLES["5.1"].rows[row][-1] or 0),
        person_images=PICTURES["persons"][part],
        isb_images=PICTURES["ISB shapes"][part],
    )
    for part, (name, row) in enumerate((("train2017", "Train"), ("val2017", "Val")))
}

# Row of the zoo -> where the thesis reports it: (table of scores, table of costs, name there).
ROWS: dict[str, tuple[str, str, str]] = {
    "single-branch": ("5.4", "5.5", "Single-Branch"),
    "single-shape": ("5.4", "5.5", "Single-Shape"),
    "single-shape-plus": ("5.4", "5.5", "Single-Shape+"),
    "multi-shape": ("5.4", "5.5", "Multi-Shape"),
    "single-branch-mn0.75": ("5.6", "5.7", "SB-MN0.75"),
    "single-branch-fcn16": ("5.6", "5.7", "SB-FCN16"),
    "multi-shape-mn0.75": ("5.8", "5.9", "MS-MN0.75"),
    "multi-shape-fcn16": ("5.8", "5.9", "MS-FCN16"),
    "multi-shape-new-shapes": ("5.8", "5.9", "MS-NewShapes"),
    "multi-shape-small-shapes": ("5.8", "5.9", "MS-SmallShapes"),
}


def _table_rows() -> dict[str, dict[str, str]]:
    named = {"5.6": ("SB-Default", "single-branch"), "5.8": ("MS-Default", "multi-shape")}
    found: dict[str, dict[str, str]] = {number: dict([first]) for number, first in named.items()}
    for row, (scores, costs, name) in ROWS.items():
        found.setdefault(scores, {})[name] = row
        found[costs] = found[scores]
    for number in ("5.2", "5.3"):
        found[number] = {name: found["5.4"][name] for name in TABLES[number].rows}
    found["4.2"] = {name: row for row, (_, name) in SEMANTIC_ROWS.items()}
    return found


# Table -> name as it is printed there -> row of the zoo.
TABLE_ROWS: dict[str, dict[str, str]] = _table_rows()

# The instance rows that the thesis's tables have in common.
MAIN = tuple(row for row in TABLE_ROWS["5.4"].values())
