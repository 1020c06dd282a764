"""The sections of RESULTS.md on the thesis's chapter 4: our figures beside its own.

Reads `results/semantic/` (`python -m encompass.studies.semantic`), `results/person_crops/` (`python
-m encompass.studies.person_crops`), `results/profile/` (`encompass profile`) and
`results/against_full_size.json` (`benchmarks/against_full_size.py`).
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from encompass.studies import published
from encompass.studies.claims import (
    PERSON_FINDINGS,
    SEMANTIC_COST_FINDINGS,
    SEMANTIC_FINDINGS,
)
from encompass.studies.findings import Results, check
from encompass.studies.markdown import cost_findings, machine, points, table
from encompass.studies.pairs import PairCheck, margins_of

Cell = tuple[str, int, float, tuple[int, int]]  # method, rate, background, (height, width)

THESIS = "-thesis"  # ends the name of a row that learnt by the thesis's recipe
SIZE = (1024, 2048)  # (height, width) of Table 4.2's pictures
SMALL = (360, 480)


def chapter4(folder: Path) -> list[str]:
    """The sections of what has been run, as lines."""
    results: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("semantic/*.json")):
        result = json.loads(path.read_text())
        name = result["model"] + (THESIS if result["recipe"]["name"] == "thesis" else "")
        results.setdefault(name, []).append(result)
    for several in results.values():
        several.sort(key=lambda result: result["recipe"]["semantic"]["seed"])
    profiles = {
        (record["model"], record["height"], record["width"]): record
        for path in folder.glob("profile/*.json")
        for record in json.loads(path.read_text())
        if "height" in record and record["device"] == "cpu"
    }
    cells = {}
    for path in sorted(folder.glob("person_crops/*.json")):
        result = json.loads(path.read_text())
        of = result["cell"]
        cells[of["method"], of["rate"], of["background"], tuple(of["size"])] = result
    parts: list[str] = []
    if results:
        parts += ["## The thesis's semantic networks", "", *_scores(results)]
        parts += [*_classes(results), *_findings(results)]
    if profiles:
        parts += _costs(profiles)
    if (path := folder / "against_full_size.json").exists():
        parts += _label_maps(json.loads(path.read_text()))
    if cells:
        parts += _person_crops(cells)
    return parts


def _ordered(names: Iterable[str]) -> list[str]:
    """The thesis's rows in its order, then the others."""
    names = set(names)
    first = [name for name in published.SEMANTIC_ROWS if name in names]
    return [*first, *sorted(names - set(first))]


def _scores(results: Results) -> list[str]:
    every = [result for several in results.values() for result in several]
    first = next((r for r in every if r["recipe"]["name"] == "ours"), every[0])
    config = first["recipe"]["semantic"]
    rows = []
    for name in _ordered(results):
        result = results[name][0]
        theirs = published.SEMANTIC_ROWS.get(name)
        rows.append(
            [
                f"`{result['model']}`",
                result["recipe"]["name"],
                f"{result['recipe']['semantic']['steps']:,}",
                points(result["mIoU"]) + (f" ({theirs[0]:.1f})" if theirs else ""),
                _spread([other["mIoU"] for other in results[name]]),
                points(result["pixel_accuracy"]),
                f"{result['gridding']:.2f}",
                str(result["best_step"]),
            ]
        )
    head = [
        *("row", "recipe", "steps", "mIoU", "mean of seeds", "pixels right", "gridding, %"),
        "best step",
    ]
    return [
        "### CamVid (Table 4.1)",
        "",
        f"`{first['data']}`: mIoU over its 11 classes on {first['num_images']} pictures at their "
        f"own size, the best of the training as in the thesis, which `val` thus chose. Recipe "
        f"`ours` takes {config['batch_size']} windows of {config['window_height']}x"
        f"{config['window_width']} a step, SqueezeNet's rows at half the rate, the thesis's a "
        f"whole picture (`python -m encompass.studies.semantic`, {machine(*every)}). In brackets "
        "the thesis's mIoU over 19 classes of Cityscapes, for the order of rows and not for their "
        "height. "
        "Gridding is how often a cell of the logits differs from both neighbours along an axis, "
        "which agree.",
        "",
        table(head, rows),
        "",
    ]


def _spread(values: Sequence[float]) -> str:
    if len(values) < 2:
        return ""
    return f"{statistics.mean(values):.1f} +- {statistics.stdev(values):.1f}"


def _classes(results: Results) -> list[str]:
    names = [entry["name"] for entry in next(iter(results.values()))[0]["classes"]]
    rows = [
        [f"`{name}`", *(points(entry["IoU"]) for entry in results[name][0]["classes"])]
        for name in _ordered(results)
    ]
    return ["IoU of each class:", "", table(["row", *names], rows), ""]


def _findings(results: Results) -> list[str]:
    if not any(len(several) > 1 for several in results.values()):  # then nobody knows the spread
        return []
    rows = []
    for finding in SEMANTIC_FINDINGS:
        if not {finding.better, finding.worse} <= results.keys():
            continue
        done = check(finding, results)
        rows.append(
            [
                finding.claim,
                finding.figure,
                *(f"{value:.1f}" for value in (done.better, done.worse)),
                f"{done.margin:+.1f}",
                f"{done.spread:.1f}",
                done.verdict,
            ]
        )
    head = ["finding", "figure", "left", "right", "margin", "spread", "here"]
    return [
        "### Findings of section 4.2.3, one by one",
        "",
        "Left is the row that the finding puts first; `studies/findings.py` defines the spread.",
        "",
        table(head, rows),
        "",
    ]


def _costs(profiles: dict[tuple[str, int, int], dict[str, Any]]) -> list[str]:
    rows = []
    for name in _ordered(name for name, *_ in profiles):
        if (name, *SIZE) not in profiles or (name, *SMALL) not in profiles:
            continue
        large, small = profiles[name, *SIZE], profiles[name, *SMALL]
        cells = [
            f"{large['fps']:.2f}",
            f"{small['fps']:.1f}",
            f"{large['whole']['output_bytes'] / 1e6:.0f}",
            f"{large['whole']['macs'] / 1e9:.1f}",
            f"{large['peak_mb']:.0f}",
            f"{large['whole']['parameters']:,}",
        ]
        if name in published.SEMANTIC_ROWS:
            theirs = published.COSTS["4.2"][published.SEMANTIC_ROWS[name][1]]
            cells[0] += f" ({theirs.fps_cpu:.2f})"
            cells[2] += f" ({theirs.megabytes:.0f})"
            cells[5] += f" ({theirs.parameters:,})"
        rows.append([f"`{name}`", *cells])
    if not rows:
        return []
    base = profiles[rows[0][0].strip("`"), *SIZE]
    about = [{**record, "cpu": record["processor"]} for record in profiles.values()]
    head = [
        *("row", "frames a second, 2048x1024", "480x360", "output MB", "GMAC", "peak MB"),
        "parameters",
    ]
    large = {name: p for (name, *size), p in profiles.items() if tuple(size) == SIZE}
    return [
        "### Speed and memory (Table 4.2)",
        "",
        f"`python -m encompass.studies.costs`: {base['runs']} runs in turn of the torch networks "
        f"with logits of every pixel on {base['threads']} threads, {base['num_classes']} classes, "
        f"{machine(*about)}; in brackets the thesis's i9-9900K and TensorFlow. Output, "
        "multiply-adds and memory at 2048x1024 (`docs/profile.md` defines them).",
        "",
        table(head, rows),
        "",
        *cost_findings(SEMANTIC_COST_FINDINGS, large),
    ]


def _label_maps(records: Sequence[dict[str, Any]]) -> list[str]:
    first = records[0]
    rows = [
        [
            f"`{r['model']}`",
            r["picture"],
            form,
            f"{figures['median_ms']:.0f} / {figures['p95_ms']:.0f}",
            f"{r['forms']['ours']['median_ms'] / figures['median_ms']:.2f}",
            f"{figures['peak_mb']:.0f}",
            f"{r['forms']['ours']['peak_mb'] / figures['peak_mb']:.2f}",
            f"{100 * figures['equal_pixels']:.3f}",
        ]
        for r in records
        for form, figures in r["forms"].items()
    ]
    head = [
        *("model", "picture", "form", "median / p95 ms", "ours over it", "peak MB"),
        *("ours over it", "labels as ours, %"),
    ]
    return [
        "### Label maps without logits of every pixel",
        "",
        f"Decoded {first['width']}x{first['height']} picture to label map of {first['classes']} "
        f"classes, {first['runs']} runs in turn on {first['threads']} threads, beside the same "
        "file with full-size logits, of which the largest is taken in the graph or by numpy "
        f"(`benchmarks/against_full_size.py` says what and on which pictures; "
        f"{machine(*records)}).",
        "",
        table(head, rows),
        "",
    ]


def _person_crops(cells: dict[Cell, dict[str, Any]]) -> list[str]:
    first = next(iter(cells.values()))
    config = first["recipe"]["semantic"]
    parts = [
        "### Crops of one person (Tables 4.3 to 4.6)",
        "",
        f"IoU of the person class on {first['num_images']} crops ({first['data']}), learnt from "
        f"{first['pictures'][0]:,}: {config['steps']} steps of {config['batch_size']} crops each "
        f"(`python -m encompass.studies.person_crops`, {machine(*cells.values())}). In brackets "
        "the thesis's, which does not say at which of its two sizes.",
        "",
    ]
    for size in sorted({size for *_, size in cells}):
        rows = []
        for method, number in published.PERSON_TABLES.items():
            for background, theirs in published.PERSON_IOUS[number].items():
                row = [cells.get((method, rate, background, size)) for rate in published.RATES]
                if any(row):
                    shown = _beside([_person_iou(result) for result in row], theirs)
                    rows.append([f"`{method}`", number, f"{100 * background:.0f} %", *shown])
        head = ["method", "Table", "background", *(f"rate {rate}" for rate in published.RATES)]
        parts += ["Crops of {}x{}:".format(*size), "", table(head, rows), ""]
    return parts + _person_findings(cells)


def _person_findings(cells: dict[Cell, dict[str, Any]]) -> list[str]:
    ours = {cell: iou for cell, result in cells.items() if (iou := _person_iou(result)) is not None}
    thesis = {
        (method, rate, background, None): iou
        for method, number in published.PERSON_TABLES.items()
        for background, ious in published.PERSON_IOUS[number].items()
        for rate, iou in zip(published.RATES, ious, strict=True)
    }
    rows = []
    for finding in PERSON_FINDINGS:
        if len(margins := margins_of(finding, ours)) < 2:
            continue
        done, theirs = PairCheck(margins), statistics.mean(margins_of(finding, thesis))
        rows.append(
            [
                finding.claim,
                str(len(done.margins)),
                f"{done.mean:+.1f} ({theirs:+.1f})",
                f"{min(done.margins):+.1f} to {max(done.margins):+.1f}",
                f"{done.spread:.1f}",
                done.verdict,
            ]
        )
    if not rows:
        return []
    return [
        "### Findings of section 4.3.3, one by one",
        "",
        "Margins in points of IoU between cells that differ in nothing else, in brackets the mean "
        "of the thesis's; `studies/pairs.py` defines the spread, which is over pairs: each cell "
        "was trained once.",
        "",
        table(["finding", "pairs", "margin", "from", "spread", "here"], rows),
        "",
    ]


def _person_iou(result: dict[str, Any] | None) -> float | None:
    if result is None:
        return None
    return next(entry["IoU"] for entry in result["classes"] if entry["name"] == "person")


def _beside(ours: Sequence[float | None], theirs: Sequence[float]) -> list[str]:
    return [f"{points(o)} ({t:.1f})" for o, t in zip(ours, theirs, strict=True)]
