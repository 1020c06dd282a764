"""The sections of RESULTS.md on the thesis's chapter 5: our figures beside its own.

Reads `results/instance/` (`python -m encompass.studies.instance`), `results/profile/` (`encompass
profile`) and `results/against_mask_rcnn.json` (`benchmarks/against_mask_rcnn.py`).
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from encompass.studies import published
from encompass.studies.claims import COST_FINDINGS, FINDINGS, MAIN
from encompass.studies.findings import check
from encompass.studies.markdown import cost_findings, machine, points, table

ROWS = (*published.ROWS, "single-branch-anchors", "single-branch-aligned", "mask-rcnn-head")
FIGURES = "docs/figures/instance"  # of `studies.figures`, from the page
BASE = "multi-shape"  # what rows of one's own stand beside
RATIO_TO = "single-branch"  # in tables of costs: the thesis's first row


def chapter5(folder: Path) -> list[str]:
    """The sections of what has been run, as lines."""
    results = load_results(folder)
    records = [r for path in folder.glob("profile/*.json") for r in json.loads(path.read_text())]
    profiles = {
        device: {r["model"]: r for r in records if r["device"] == device and "input_size" in r}
        for device in ("cpu", "cuda")
    }
    parts: list[str] = []
    if results:
        parts += ["## The thesis's instance networks", "", *_setting(results)]
        parts += _detectors(json.loads((folder / "instance" / "detectors.json").read_text()))
        parts += [
            *_scores(results),
            *_subsets(results),
            *_quality(results),
            *_figures(results),
            *_seeds(results),
            *_findings(results),
        ]
        parts += [*_anchors(results), *_row_files(results)]
    for device, measured in profiles.items():
        if RATIO_TO in measured:
            parts += _costs(measured, device)
    peer = folder / "against_mask_rcnn.json"
    if peer.exists():
        parts += _mask_rcnn(json.loads(peer.read_text()))
    return parts


def load_results(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Row -> its results of `results/instance/`, by seed."""
    results: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("instance/*.json")):
        if path.stem != "detectors":
            result = json.loads(path.read_text())
            results.setdefault(result["model"], []).append(result)
    for several in results.values():
        several.sort(key=lambda result: result["seed"])
    return results


def _setting(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    first = next(iter(results.values()))[0]
    branches = first["branches"]
    return [
        f"Every row has one of two fine-tuned detectors at 640x640 and learnt its branches from "
        f"the same maps of {branches['passes']} augmented passes over the same pictures: "
        f"{branches['steps']:,} steps of {branches['batch_size']} crops, learning rate "
        f"{branches['learning_rate']:g}, several branches as one for the first "
        f"{branches['shared_steps']:,}. Scored from the half-precision file on "
        f"`{first['data']}`: {first['num_images']} pictures, {first['num_annotations']} persons "
        f"(`python -m encompass.studies.instance`, {machine(first)}). The thesis trained on 64,116 "
        "pictures and scored on val2017's 2,693: its figures stand in brackets for the order of "
        "rows, not for their height.",
        "",
    ]


def _detectors(record: dict[str, Any]) -> list[str]:
    metrics = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    rows = [
        [f"`{d['file']}`", f"{d['multiplier']:g}", *(points(d["box"][m]) for m in metrics)]
        for d in record["scores"]
    ]
    return [
        "### Detectors before and after fine-tuning",
        "",
        "Boxes at 640x640. The release of depth 1.0 lacks two kernels: block 13's pointwise comes "
        "from ImageNet's MobileNet, the first extra's 3x3 starts at random, and both were learnt "
        "at 320x320 first (docs/training.md). Scores are sigmoids.",
        "",
        table(["file", "depth", *metrics], rows),
        "",
    ]


def _scores(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    rows = []
    for name in filter(results.__contains__, ROWS):
        ours = results[name][0]["mask_at_50"]
        theirs: dict[str, float] = {}
        if name in published.ROWS:
            number, _, row = published.ROWS[name]
            theirs = published.SCORES[number][row]
        cells = [
            f"{points(ours[m])} ({theirs[m]:.1f})" if theirs else points(ours[m])
            for m in published.METRICS
        ]
        rows.append([f"`{name}`", *cells])
    further = []
    for name in filter(results.__contains__, ROWS):
        mask, box = results[name][0]["mask"], results[name][0]["box"]
        further.append([f"`{name}`", *map(points, (mask["AP"], mask["AP75"], box["AP50"]))])
    return [
        "### Masks at IoU 0.50 (Tables 5.4, 5.6 and 5.8)",
        "",
        table(["row", *published.METRICS], rows),
        "",
        "The mean over IoU 0.50 to 0.95, which the thesis leaves out; boxes are the detector's, "
        "equal for all rows of a depth.",
        "",
        table(["row", "mask AP", "mask AP75", "box AP50"], further),
        "",
    ]


def _subsets(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    """The ISB-shape subset (Tables 5.2 and 5.3), by the rows that the thesis has there."""
    parts: list[str] = []
    for ending, number, what in (
        ("-isb", "5.2", "all annotations"),
        ("-isb-matching", "5.3", "matching annotations alone"),
    ):
        rows, counts = [], ""
        for name in filter(results.__contains__, MAIN):
            theirs = published.SCORES[number].get(published.ROWS[name][2])
            ours = next(
                (s for n, s in results[name][0]["subsets"].items() if n.endswith(ending)), None
            )
            if ours is None or theirs is None:
                continue
            counts = f"{ours['num_images']} pictures, {ours['num_annotations']} persons"
            cells = [
                f"{points(ours['mask_at_50'][m])} ({theirs[m]:.1f})" for m in published.METRICS
            ]
            rows.append([f"`{name}`", *cells])
        if rows:
            parts += [
                f"### The ISB-shape subset, {what} (Table {number})",
                "",
                f"{counts} of `encompass data persons`, the thesis's 1,284 pictures in brackets. "
                "Ours learnt from all persons, the thesis's from the subset.",
                "",
                table(["row", *published.METRICS], rows),
                "",
            ]
    return parts


def _seeds(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    def spread(several: list[dict[str, Any]], metric: str) -> str:
        values = [result["mask_at_50"][metric] for result in several]
        return f"{statistics.mean(values):.1f} +- {statistics.stdev(values):.1f}"

    metrics = ("AP", "APs", "APm", "APl", "AR100")
    several = [name for name in MAIN if len(results.get(name, [])) > 1]
    rows = [[f"`{name}`", *(spread(results[name], m) for m in metrics)] for name in several]
    if not rows:
        return []
    return [
        "### Spread over three seeds",
        "",
        "Masks at IoU 0.50, mean and standard deviation; the seed decides initial weights, jitter "
        "and the order of crops.",
        "",
        table(["row", *metrics], rows),
        "",
    ]


def _quality(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    rows = []
    for name in filter(results.__contains__, ROWS):
        quality = results[name][0]["quality"]
        rows.append(
            [
                f"`{name}`",
                *(points(quality[g]["mask_IoU"]) for g in ("all", "small", "medium", "large")),
                points(quality["all"]["IoU_50"]),
                str(quality["all"]["num_without_mask"]),
            ]
        )
    head = ["row", "all", "small", "medium", "large", "IoU of 0.50 or more", "without mask"]
    return [
        "### Masks apart from detection",
        "",
        "Mean IoU of masks when the ground-truth boxes are given, in points, by size of the "
        "person; then the share of persons whose mask reaches 0.50, and how many get none.",
        "",
        table(head, rows),
        "",
    ]


def _figures(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    if not set(MAIN) <= results.keys():
        return []
    return [
        f"![Precision of masks against recall]({FIGURES}/curves.png)",
        "",
        f"![IoU of the masks of given boxes by encompassing shape]({FIGURES}/shapes.png)",
        "",
    ]


def _findings(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    if any(len(results.get(name, [])) < 2 for name in MAIN):  # then nobody knows the spread
        return []
    rows = []
    for finding in FINDINGS:
        if not {finding.better, finding.worse} <= results.keys():
            continue
        done = check(finding, results)
        rows.append(
            [
                finding.claim,
                finding.section,
                finding.figure,
                f"{done.better:.1f}",
                f"{done.worse:.1f}",
                f"{done.margin:+.1f}",
                f"{done.spread:.1f}",
                str(done.seeds),
                done.verdict,
            ]
        )
    head = ["finding", "thesis", "figure", "left", "right", "margin", "spread", "seeds", "here"]
    return [
        "### The thesis's findings, one by one",
        "",
        "Left is the row that the finding puts first. Confirmed when the margin is above the "
        "spread of seeds (`studies/findings.py` defines it), not confirmed when it is as far to "
        "the other side, undecided between. Rows of different depth have different detectors, one "
        "training each: they are compared by the IoU of masks of given boxes. The last two test "
        "what the thesis assumes.",
        "",
        table(head, rows),
        "",
    ]


def _anchors(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    rows = []
    if "single-branch-anchors" not in results:
        return []
    for name in ("single-branch", "single-branch-anchors"):
        result = results[name][0]
        crops = result["crops"]
        rows.append(
            [
                f"`{name}`",
                f"{crops['per_picture']:.1f}",
                f"{crops['megabytes_per_picture']:.0f}",
                points(result["mask_at_50"]["AP"]),
                points(result["quality"]["all"]["mask_IoU"]),
            ]
        )
    head = ["row", "crops a picture", "MB of crops a picture", "mask AP50", "mask IoU, boxes given"]
    return [
        "### Crops from default anchors (Section 3.1.4)",
        "",
        "What a picture costs in training when the branch learns from every anchor that matches a "
        "person, and what comes of it with an equal number of steps. The thesis's training on them "
        "did not converge (AP 0.00) and its memory left little room. Megabytes are the float32 "
        "samples of the crops, before pooling. Both branches are applied to predicted boxes.",
        "",
        table(head, rows),
        "",
    ]


def _row_files(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Rows that are not the zoo's beside the thesis's ten shapes."""
    own = sorted(set(results) - set(ROWS))
    if not own or BASE not in results:
        return []
    rows = []
    for name in (BASE, *own):
        result = results[name][0]
        shapes = " ".join("{}x{}".format(*b["shape"]) for b in result["row"]["branches"])
        figures = [result["mask_at_50"][m] for m in ("AP", "APs", "APm", "APl")]
        rows.append(
            [
                f"`{name}`",
                shapes,
                *map(points, figures),
                points(result["quality"]["all"]["mask_IoU"]),
            ]
        )
    head = ["row", "shapes", "mask AP50", "APs", "APm", "APl", "mask IoU, boxes given"]
    return [
        "### Shapes proposed for the training pictures",
        "",
        "Row files of `encompass data shapes` beside the thesis's ten shapes, trained alike "
        "(docs/data.md has the commands); the first seed of each.",
        "",
        table(head, rows),
        "",
    ]


def _costs(profiles: dict[str, dict[str, Any]], device: str) -> list[str]:
    rows = []
    base = profiles[RATIO_TO]
    about = {**base, "cpu": base["processor"]}
    fps_key = {"cpu": "fps_cpu", "cuda": "fps_gpu"}[device]
    fps_base = getattr(published.COSTS["5.5"]["Single-Branch"], fps_key)
    for name in filter(profiles.__contains__, ROWS):
        profile = profiles[name]
        whole = profile["whole"]
        cells = [
            f"{profile['fps']:.1f}",
            f"{whole['median_ms']:.1f} / {whole['p95_ms']:.1f}",
            f"{profile['fps'] / base['fps']:.2f}",
            f"{whole['macs'] / 1e9:.2f}",
            f"{whole['output_bytes'] / 1e6:.0f}",
            "-" if profile["peak_mb"] is None else f"{profile['peak_mb']:.0f}",
            f"{whole['parameters']:,}",
        ]
        if name in published.ROWS:
            _, number, row = published.ROWS[name]
            theirs = published.COSTS[number][row]
            fps = getattr(theirs, fps_key)
            cells[0] += f" ({fps:.1f})"
            cells[2] += f" ({fps / fps_base:.2f})"
            cells[4] += f" ({theirs.megabytes:.0f})"
            cells[6] += f" ({theirs.parameters:,})"
        rows.append([f"`{name}`", *cells])
    head = [
        *("row", "frames a second", "median / p95 ms", f"over `{RATIO_TO}`", "GMAC"),
        *("output MB", "peak MB", "parameters"),
    ]
    return [
        f"### Speed and memory on the {'CPU' if device == 'cpu' else 'GPU'} (Tables 5.5, 5.7, 5.9)",
        "",
        f"`encompass profile ROW`: {base['runs']} runs of the torch network on {base['threads']} "
        f"threads with {base['people']} people in the picture, {machine(about)}; "
        "in brackets the thesis's i9-9900K or RTX 2080 Ti and TensorFlow, which pad every branch "
        "to its largest number of boxes: this is why its memory follows the shapes and ours the "
        "people (`docs/profile.md` defines the figures).",
        "",
        table(head, rows),
        "",
        *cost_findings(COST_FINDINGS, profiles),
    ]


def _mask_rcnn(record: dict[str, Any]) -> list[str]:
    networks = record["networks"]
    base = next(n for n in networks if n["name"] == BASE)
    rows = []
    for one in networks:
        counted = one["macs"] is not None
        rows.append(
            [
                f"{one['name']}, {one['runtime']}",
                f"{one['parameters']:,}",
                f"{one['macs'] / 1e9:.1f}" if counted else "-",
                f"{one['output_bytes'] / 1e6:.0f}" if counted else "-",
                f"{one['peak_mb']:.0f}",
                f"{one['fps']:.2f}",
                f"{one['median_ms']:.0f} / {one['p95_ms']:.0f}",
                f"{base['median_ms'] / one['median_ms']:.2f}",
            ]
        )
    head = [
        *("network", "parameters", "GMAC", "output MB", "peak MB", "frames a second"),
        *("median / p95 ms", "speed over `multi-shape`"),
    ]
    theirs = published.COSTS["5.5"]
    ratio = theirs["Mask R-CNN"].fps_cpu / theirs["Multi-Shape"].fps_cpu
    score = published.SCORES["5.4"]["Mask R-CNN"]["AP"]
    return [
        "### Mask R-CNN (Tables 5.4 and 5.5)",
        "",
        f"`benchmarks/against_mask_rcnn.py`: {record['timed']}, {record['people']} people, "
        f"{record['runs']} runs in turn, {record['threads']} threads, {record['cpu']}, commit "
        f"`{record['commit']}`. The thesis's Mask R-CNN, of ResNet-101, has {ratio:.2f} times the "
        f"speed of its Multi-Shape on its CPU. Accuracy: {record['accuracy']}, for want of a GPU; "
        f"the thesis reports an AP50 of {score:.1f}.",
        "",
        table(head, rows),
        "",
    ]
