"""The sections of RESULTS.md on the thesis's chapter 5: our scores beside its own.

Reads `results/instance/` (`python -m encompass.studies.instance`); what rows cost is the next
sections' (`chapter5_costs`).
"""

from __future__ import annotations

from pathlib import Path

from encompass.studies import published
from encompass.studies.claims import FINDINGS
from encompass.studies.findings import check
from encompass.studies.markdown import machine, points, spread, table
from encompass.studies.published import MAIN
from encompass.studies.stored import Record, load_instance, read
from encompass.train.branches import MOST_ANCHORS

ROWS = (*published.ROWS, "single-branch-anchors", "single-branch-aligned", "mask-rcnn-head")
FIGURES = "docs/figures/instance"  # of `studies.figures`, from the page
LONGER = "multi-shape-mn0.75"  # a row whose weights also learnt for longer: `weights/`
BASE = "multi-shape"  # what Mask R-CNN and rows of one's own stand beside


def chapter5(folder: Path) -> list[str]:
    """The sections of what has been run, as lines."""
    parts: list[str] = []
    if results := load_instance(folder):
        parts += ["## The thesis's instance networks", "", *_setting(results, folder)]
        parts += _detectors(*read(folder, "instance/detectors.json"))
        parts += [
            *_scores(results),
            *_subsets(results),
            *_quality(results),
            *_figures(results),
            *_seeds(results),
            *_findings(results),
        ]
        parts += [*_anchors(results), *_row_files(results)]
    return parts


def _setting(results: dict[str, list[Record]], folder: Path) -> list[str]:
    every = [result for several in results.values() for result in several]
    first = max(every, key=lambda result: len(result["row"]["branches"]))
    for result in every:
        for key in ("data", "num_images", "num_annotations", "pictures", "cpu", "versions"):
            assert result[key] == first[key], f"{result['file']['name']} has another {key}"
    branches = first["branches"]
    return [
        f"Every row has one of two fine-tuned detectors at 640x640 and learnt its branches from "
        f"the same maps of {branches['passes']} augmented passes over the same "
        f"{first['pictures']:,} pictures: {branches['steps']:,} steps of {branches['batch_size']} "
        f"crops, learning rate {branches['learning_rate']:g}, several branches as one for the "
        f"first {branches['shared_steps']:,}, so that afterwards ten branches share "
        f"{branches['steps'] - branches['shared_steps']:,} steps. The loss of the masks has the "
        "thesis's weights, 30 for one branch and 150 for several; RMSProp takes no notice of "
        f"them, the clip of gradients at a norm of {branches['clip']:g} does. Scored from the "
        f"half-precision file on `{first['data']}`: {first['num_images']} pictures, "
        f"{first['num_annotations']} persons (`python -m encompass.studies.instance`, "
        f"{machine(*every)}). The thesis trained on 64,116 pictures and "
        "scored on val2017's 2,693: its figures stand in brackets for the order of rows, not for "
        "their height.",
        "",
        *_budget(results, folder),
    ]


def _budget(results: dict[str, list[Record]], folder: Path) -> list[str]:
    """The weights that learnt longer beside the study's row of the same name."""
    longer = read(folder, f"{LONGER}.json")
    if LONGER not in results or not longer:
        return []
    here = results[LONGER][0]
    return [
        "The budget does not reach what the networks can learn: "
        f"`weights/{longer[0]['file']['name']}` is the same row on the same detector after more "
        f"steps ([weights](weights/README.md)) and has a mask AP50 of "
        f"{points(longer[0]['mask']['AP50'])}, here {points(here['mask']['AP50'])}.",
        "",
    ]


def _detectors(record: Record) -> list[str]:
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


def _scores(results: dict[str, list[Record]]) -> list[str]:
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
    peer = published.SCORES["5.4"]["Mask R-CNN"]
    rows.append(["Mask R-CNN", *(f"- ({peer[m]:.1f})" for m in published.METRICS)])
    further = []
    for name in filter(results.__contains__, ROWS):
        mask, box = results[name][0]["mask"], results[name][0]["box"]
        further.append([f"`{name}`", *map(points, (mask["AP"], mask["AP75"], box["AP50"]))])
    return [
        "### Masks at IoU 0.50 (Tables 5.4, 5.6 and 5.8)",
        "",
        "The first seed of each row. Mask R-CNN was not trained here, for want of a GPU: its row "
        "has the thesis's figures alone.",
        "",
        table(["row", *published.METRICS], rows),
        "",
        "The mean over IoU 0.50 to 0.95, which the thesis leaves out; boxes are the detector's, "
        "equal for all rows of a depth.",
        "",
        table(["row", "mask AP", "mask AP75", "box AP50"], further),
        "",
    ]


def _subsets(results: dict[str, list[Record]]) -> list[str]:
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


def _seeds(results: dict[str, list[Record]]) -> list[str]:
    metrics = ("AP", "APs", "APm", "APl", "AR100")
    several = [name for name in MAIN if len(results.get(name, [])) > 1]
    rows = [
        [f"`{name}`", *(spread([r["mask_at_50"][m] for r in results[name]]) for m in metrics)]
        for name in several
    ]
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


def _quality(results: dict[str, list[Record]]) -> list[str]:
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


def _figures(results: dict[str, list[Record]]) -> list[str]:
    if not set(MAIN) <= results.keys():
        return []
    return [
        f"![Precision of masks against recall]({FIGURES}/curves.png)",
        "",
        f"![IoU of the masks of given boxes by encompassing shape]({FIGURES}/shapes.png)",
        "",
    ]


def _findings(results: dict[str, list[Record]]) -> list[str]:
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
                " and ".join(dict.fromkeys(finding.figures)),
                f"{done.better:.1f}" + (f" x {finding.share}" if finding.share != 1 else ""),
                f"{done.worse:.1f}",
                f"{done.margin:+.1f}",
                f"{done.spread:.1f}",
                "{}, {}".format(*done.seeds),
                done.verdict,
            ]
        )
    head = ["finding", "thesis", "figure", "left", "right", "margin", "spread", "seeds", "here"]
    return [
        "### The thesis's findings, one by one",
        "",
        "Left is the row that the finding puts first; figures are means over the seeds. Confirmed "
        "when the margin is above the spread of seeds (`studies/findings.py` defines it), not "
        "confirmed when it is as far to the other side, undecided between. Rows of different "
        "depth have different detectors, one training each, which may be all that differs: not "
        "testable here. The verdicts hold for this budget and these pictures: other pictures are "
        "not in the spread, and one finding in twenty is decided by chance. Those "
        "of section 3.1 test what the thesis assumes.",
        "",
        table(head, rows),
        "",
    ]


def _anchors(results: dict[str, list[Record]]) -> list[str]:
    rows = []
    if "single-branch-anchors" not in results:
        return []
    drawn = results["single-branch-anchors"][0]["branches"]
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
        "What a picture would cost in training if the branch learnt from every anchor that matches "
        "a person, and what comes of it with an equal number of steps. So many crops exceed the "
        f"memory: it learns from a random {MOST_ANCHORS:,} of them, while its steps draw "
        f"{drawn['steps'] * drawn['batch_size']:,}. The thesis's training on them did not converge "
        "(AP 0.00) and its memory left little room. "
        "Megabytes are the float32 samples of the crops, before pooling. Both branches are applied "
        "to predicted boxes.",
        "",
        table(head, rows),
        "",
    ]


def _row_files(results: dict[str, list[Record]]) -> list[str]:
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
        f"### Row files beside `{BASE}`",
        "",
        "Trained alike, the first seed of each; [docs/data.md](docs/data.md) tells how these came "
        "about.",
        "",
        table(head, rows),
        "",
    ]
