"""What a picture costs by the number of people in it: a section of RESULTS.md and its pictures.

Reads `results/per_object*.json` (`benchmarks/per_object.py`), one file for each runtime.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from itertools import pairwise, product
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from encompass.evaluate.plots import PALE, plain, save_figure
from encompass.studies.markdown import machine, table

FIGURES = "docs/figures"
RUNTIMES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
# Okabe and Ito's; who has the colour of another has another marker. Peers are dashed.
COLOURS = ("#0072B2", "#E69F00", "#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#000000", "#999999")
STYLES = tuple(product("os^", COLOURS))

GRAPHS = ("network", "boxes")  # kinds of rows: an exported file's graph alone, and without masks

Line = dict[int, Mapping[str, Any]]  # people -> the row of one model in one precision


def load_records(folder: Path) -> dict[str, dict[str, Any]]:
    """What was measured, by the stem of its file."""
    paths = sorted(folder.glob("per_object*.json"))
    return {path.stem: json.loads(path.read_text()) for path in paths}


def lines_of(record: Mapping[str, Any]) -> dict[str, Line]:
    """Rows by model and precision ("NAME, PRECISION"), in their order, but graphs alone."""
    lines: dict[str, Line] = {}
    for row in record["rows"]:
        if row["kind"] not in GRAPHS:
            lines.setdefault(f"{row['name']}, {row['precision']}", {})[row["people"]] = row
    return lines


def ratio(row: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """Of two times that were measured in turn: the median over the turns."""
    pairs = zip(row["turns_ms"], other["turns_ms"], strict=True)
    return statistics.median(one / two for one, two in pairs)


def crossing(ours: Line, theirs: Line) -> float | None:
    """From how many people on ours costs more, on the line between two that were measured.

    0 when it does from the start, None when it never does.
    """
    gaps = {n: ratio(ours[n], theirs[n]) - 1 for n in sorted(ours)}
    if gaps[min(gaps)] > 0:
        return 0.0
    for (few, below), (many, above) in pairwise(gaps.items()):
        if above > 0:
            return few + (many - few) * -below / (above - below)
    return None


def per_object(folder: Path) -> list[str]:
    """The section, as lines; none when nothing was measured."""
    parts: list[str] = []
    for stem, record in load_records(folder).items():
        parts += _section(stem, record)
    return ["## What a picture costs by the number of people", "", *parts] if parts else []


def _section(stem: str, record: Mapping[str, Any]) -> list[str]:
    lines = lines_of(record)
    kinds = {name: next(iter(line.values()))["kind"] for name, line in lines.items()}
    peers = [name for name, kind in kinds.items() if kind == "peer"]
    numbers = sorted(lines[peers[0]])
    rows = [
        [name, *(_beside(line[n], lines[peers[0]][n]) for n in numbers)]
        for name, line in lines.items()
    ]
    crossings = [
        [name, *(_from(crossing(line, lines[peer]), numbers[-1]) for peer in peers)]
        for name, line in lines.items()
        if kinds[name] == "ours"
    ]
    versions = {k: v for row in record["rows"] for k, v in row["versions"].items()}
    return [
        f"### {RUNTIMES[lines[peers[0]][numbers[0]]['runtime']]}",
        "",
        f"{record['timed'][0].upper()}{record['timed'][1:]}, end to end on both sides, by the "
        f"number of people: median ms of {record['runs']} runs in turn on {record['threads']} "
        f"threads, in brackets the ratio to {peers[0]}, a median over turns "
        f"(`benchmarks/per_object.py` says what is timed; where scores of the drawn pictures are "
        "equal, other than so many objects are found, as is told; "
        f"{machine({**record, 'versions': versions})}).",
        "",
        f"![Time by the number of people]({FIGURES}/{stem}.png)",
        "",
        table(["", *map(str, numbers)], rows),
        "",
        "From how many people on ours costs more:",
        "",
        table(["", *peers], crossings),
        "",
        *_nobody(record),
    ]


def _nobody(record: Mapping[str, Any]) -> list[str]:
    """What masks cost where nobody is, by the files whose graphs were timed."""
    graphs: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in record["rows"]:
        if row["kind"] in GRAPHS:
            graphs.setdefault(f"{row['name']}, {row['precision']}", {})[row["kind"]] = row
    if not graphs:
        return []
    rows = []
    for name, kinds in graphs.items():
        whole, boxes = (kinds[kind] for kind in GRAPHS)
        more = 100 * (ratio(whole, boxes) - 1)
        rows.append([name, f"{whole['median_ms']:.1f}", f"{boxes['median_ms']:.1f}", f"{more:.1f}"])
    return [
        "With nobody in the picture, the network alone, and the same without its masks:",
        "",
        table(["", "ms", "without masks, ms", "masks cost, %"], rows),
        "",
    ]


def _beside(row: Mapping[str, Any], reference: Mapping[str, Any]) -> str:
    found = "" if row["found"] == row["people"] else f", {row['found']} found"
    return f"{row['median_ms']:.1f} ({ratio(row, reference):.2f}{found})"


def _from(people: float | None, most: int) -> str:
    return f"not up to {most}" if people is None else f"{people:.0f}"


def save_per_object(folder: Path, figures: Path) -> list[Path]:
    """Draw what was measured, each file into a PNG of its name."""
    return [
        save_figure(draw(record), figures / f"{stem}.png", dpi=120)
        for stem, record in load_records(folder).items()
    ]


def draw(record: Mapping[str, Any]) -> Figure:
    """Time against people, a line for each model; what was measured stands on the axis."""
    figure = Figure(figsize=(8.8, 5.2), layout="constrained")
    axes = figure.subplots()
    shown = lines_of(record)
    numbers = sorted({row["people"] for row in record["rows"]})
    for (name, line), (marker, colour) in zip(shown.items(), STYLES, strict=False):
        axes.plot(
            range(len(numbers)),
            [line[n]["median_ms"] for n in numbers],
            color=colour,
            linewidth=2,
            linestyle="--" if line[numbers[0]]["kind"] == "peer" else "-",
            marker=marker,
            markersize=4,
            label=name,
        )
    axes.set_xticks(range(len(numbers)), [str(n) for n in numbers])
    axes.set(xlabel="people in the picture", ylabel="median ms, end to end")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    plain(axes)
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
