"""The sections of RESULTS.md on the thesis's chapter 4: our figures beside its own.

Reads `results/semantic/` (`python -m encompass.studies.semantic`), `results/person_crops/` (`python
-m encompass.studies.person_crops`), `results/profile/` (`encompass profile`) and
`results/against_full_size.json` (`benchmarks/against_full_size.py`).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from encompass.studies import published
from encompass.studies.claims import (
    PERSON_FINDINGS,
    SEMANTIC_COST_FINDINGS,
    SEMANTIC_FINDINGS,
)
from encompass.studies.findings import Results, check
from encompass.studies.markdown import cost_findings, machine, points, spread, table
from encompass.studies.pairs import PairCheck, margins_of
from encompass.studies.stored import (
    Cell,
    Record,
    load_person_crops,
    load_semantic,
    load_semantic_costs,
    read,
)

SIZE = (1024, 2048)  # (height, width) of Table 4.2's pictures
SMALL = (360, 480)


def chapter4(folder: Path) -> list[str]:
    """The sections of what has been run, as lines."""
    parts: list[str] = []
    if results := load_semantic(folder):
        parts += ["## The thesis's semantic networks", "", *_scores(results)]
        parts += [*_classes(results), *_findings(results)]
    for device, sizes in load_semantic_costs(folder).items():
        if {SIZE, SMALL} <= sizes.keys():
            parts += _costs(device, sizes[SIZE], sizes[SMALL])
    for records in read(folder, "against_full_size.json"):
        parts += _label_maps(records)
    if cells := load_person_crops(folder):
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
                spread([r["mIoU"] for r in results[name]]) if results[name][1:] else "",
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
        f"{config['window_width']} a step, SqueezeNet's rows at half the rate (the best of "
        "three on `val`; of MobileNet's two, that of the recipe and its double, 200 steps did not "
        "tell which is better), the thesis's a whole picture "
        f"(`python -m encompass.studies.semantic`, {machine(*every)}). In brackets "
        "the thesis's mIoU over 19 classes of Cityscapes, for the order of rows and not for their "
        "height. Nearly every row was still getting better when its steps ended: the order is that "
        "of a short training, in which features that a decoder must learn anew "
        "(`refine-mobilenet0.5`) come late; the bundled weights of that row learnt eight times as "
        "long. Gridding is how often a cell of the logits is wrong and differs from both "
        "neighbours along an axis, which agree.",
        "",
        table(head, rows),
        "",
    ]


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


def _costs(device: str, large: dict[str, Record], small: dict[str, Record]) -> list[str]:
    """Of one device: records of pictures of `SIZE` and of `SMALL`, by row."""
    names = _ordered(large.keys() & small.keys())
    base = large[names[0]]
    theirs = {
        row: published.COSTS["4.2"][name] for row, (_, name) in published.SEMANTIC_ROWS.items()
    }
    rows = []
    for name in names:
        whole, peak = large[name]["whole"], large[name]["peak_mb"]
        cells = [
            f"{large[name]['fps']:.2f}",
            f"{large[name]['fps'] / base['fps']:.2f}",
            f"{small[name]['fps']:.1f}",
            f"{whole['output_bytes'] / 1e6:.0f}",
            f"{whole['macs'] / 1e9:.1f}",
            "-" if peak is None else f"{peak:.0f}",
            f"{whole['parameters']:,}",
        ]
        if name in theirs:
            fps = theirs[name].fps(device)
            cells[0] += f" ({fps:.2f})"
            cells[1] += f" ({fps / theirs[names[0]].fps(device):.2f})"
            cells[3] += f" ({theirs[name].megabytes:.0f})"
            cells[6] += f" ({theirs[name].parameters:,})"
        rows.append([f"`{name}`", *cells])
    head = [
        *("row", "frames a second, 2048x1024", f"over `{names[0]}`", "480x360", "output MB"),
        *("GMAC", "peak MB", "parameters"),
    ]
    about = [
        {**record, "cpu": record["processor"]} for record in (*large.values(), *small.values())
    ]
    return [
        f"### Speed and memory on the {'CPU' if device == 'cpu' else 'GPU'} (Table 4.2)",
        "",
        f"`python -m encompass.studies.costs --runs {base['runs']}`: the torch networks in "
        f"turn, with logits of every pixel on {base['threads']} threads, "
        f"{base['num_classes']} classes, {machine(*about)}; in brackets the thesis's "
        f"{published.PROCESSORS[device]} and TensorFlow, whose ratios between rows are "
        "what can be compared. Output, multiply-adds and memory at 2048x1024 (`docs/profile.md` "
        "defines them).",
        "",
        table(head, rows),
        "",
        *cost_findings(SEMANTIC_COST_FINDINGS, large),
    ]


def _label_maps(records: Sequence[Record]) -> list[str]:
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


def _person_crops(cells: dict[Cell, Record]) -> list[str]:
    first = next(iter(cells.values()))
    config = first["recipe"]["semantic"]
    parts = [
        "### Crops of one person (Tables 4.3 to 4.6)",
        "",
        f"IoU of the person class on {first['num_images']} crops ({first['data']}), learnt from "
        f"{first['pictures'][0]:,}: {config['steps']} steps of {config['batch_size']} crops each "
        f"(`python -m encompass.studies.person_crops`, {machine(*cells.values())}), scored at "
        "their end, where the thesis takes the best on its `val`. In brackets the thesis's, which "
        "does not say at which of its two sizes.",
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


def _person_findings(cells: dict[Cell, Record]) -> list[str]:
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
        "was trained once, all with one seed, so that what the seed does to a method is not in it.",
        "",
        table(["finding", "pairs", "margin", "from", "spread", "here"], rows),
        "",
    ]


def _person_iou(result: Record | None) -> float | None:
    if result is None:
        return None
    return next(entry["IoU"] for entry in result["classes"] if entry["name"] == "person")


def _beside(ours: Sequence[float | None], theirs: Sequence[float]) -> list[str]:
    return [f"{points(o)} ({t:.1f})" for o, t in zip(ours, theirs, strict=True)]
