"""The sections of RESULTS.md on what the thesis's instance networks cost (5.2.3 and 5.2.4).

Reads `results/profile/` (`python -m encompass.studies.costs`) and `results/against_mask_rcnn.json`
(`benchmarks/against_mask_rcnn.py`).
"""

from __future__ import annotations

from pathlib import Path

from encompass.studies import published
from encompass.studies.chapter5 import BASE, ROWS
from encompass.studies.claims import CONTROL, COST_FINDINGS
from encompass.studies.markdown import cost_findings, machine, table
from encompass.studies.stored import Record, load_instance_costs, read

RATIO_TO = "single-branch"  # in tables of rows: the thesis's first one


def chapter5_costs(folder: Path) -> list[str]:
    """The sections of what has been measured, as lines."""
    parts: list[str] = []
    for measured in load_instance_costs(folder).values():
        if RATIO_TO in measured:
            parts += _costs(measured)
    for record in read(folder, "against_mask_rcnn.json"):
        parts += _mask_rcnn(record)
    return parts


def _costs(profiles: dict[str, Record]) -> list[str]:
    rows = []
    base = profiles[RATIO_TO]
    device, padded = base["device"], base["people"] is None
    about = {**base, "cpu": base["processor"]}
    fps_base = published.COSTS["5.5"]["Single-Branch"].fps(device)
    for name in filter(profiles.__contains__, ROWS):
        profile = profiles[name]
        whole = profile["whole"]
        cells = [
            str(sum(stage["boxes"] for stage in profile["stages"] if stage["shape"])),
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
            fps = theirs.fps(device)
            cells[1] += f" ({fps:.1f})"
            cells[3] += f" ({fps / fps_base:.2f})"
            cells[5] += f" ({theirs.megabytes:.0f})"
            cells[7] += f" ({theirs.parameters:,})"
        rows.append([f"`{name}`", *cells])
    head = [
        *("row", "masks", "frames a second", "median / p95 ms", f"over `{RATIO_TO}`", "GMAC"),
        *("output MB", "peak MB", "parameters"),
    ]
    return [
        f"### Speed and memory on the {'CPU' if device == 'cpu' else 'GPU'}, "
        + ("every branch full" if padded else f"{base['people']} people")
        + " (Tables 5.5, 5.7, 5.9)",
        "",
        f"`python -m encompass.studies.costs --runs {base['runs']}`: the torch networks "
        f"in turn on {base['threads']} threads, {machine(about)}; in brackets the thesis's "
        f"{published.PROCESSORS[device]} and TensorFlow"
        + (
            ", whose graphs compute every branch for its largest number of boxes, as here"
            if padded
            else ". A row without a branch for some of the people makes fewer masks; "
            "`single-branch-anchors` is the network of `single-branch`, so their difference in "
            "time is what the machine wavers by from one run to the next"
        )
        + " (`docs/profile.md` defines the figures).",
        "",
        table(head, rows),
        "",
        *cost_findings(COST_FINDINGS, profiles, control=CONTROL),
    ]


def _mask_rcnn(record: Record) -> list[str]:
    networks = record["networks"]
    base = next(n for n in networks if n["name"] == BASE)
    versions = {f"{name} {v}" for one in networks for name, v in one["versions"].items()}
    rows = []
    for one in networks:
        counted = one["macs"] is not None
        rows.append(
            [
                f"{one['name']}, {one['runtime']}",
                str(one["boxes"]),
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
        *("network", "masks", "parameters", "GMAC", "output MB", "peak MB", "frames a second"),
        *("median / p95 ms", "speed over `multi-shape`"),
    ]
    theirs = published.COSTS["5.5"]
    ratio = theirs["Mask R-CNN"].fps_cpu / theirs["Multi-Shape"].fps_cpu
    score = published.SCORES["5.4"]["Mask R-CNN"]["AP"]
    return [
        "### Mask R-CNN (Tables 5.4 and 5.5)",
        "",
        f"`benchmarks/against_mask_rcnn.py`: {record['timed']}, {record['people']} people, "
        f"{record['runs']} runs in turn, {record['threads']} threads, {record['cpu']}, "
        f"{', '.join(sorted(versions))}, commit `{record['commit']}`. The thesis's Mask R-CNN, of "
        f"ResNet-101, has {ratio:.2f} times the speed of its Multi-Shape on its CPU. Accuracy: "
        f"{record['accuracy']}, for want of a GPU; the thesis reports an AP50 of {score:.1f}.",
        "",
        table(head, rows),
        "",
    ]
