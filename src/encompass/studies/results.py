"""RESULTS.md, docs/tables.md, README's models and the card of weights/ from `results/`.

    python -m encompass.studies.results

Run in the root of the checkout, after `encompass evaluate --out results/NAME.json`, `encompass
benchmark --stages --json > results/benchmark.json`, `benchmarks/per_object.py --json
results/per_object.json`, `python -m encompass.studies.instance`, `encompass profile ROW --json >
results/profile/ROW.json`, `benchmarks/against_mask_rcnn.py --json results/against_mask_rcnn.json`,
`python -m encompass.studies.semantic`, `python -m encompass.studies.person_crops` and `python -m
encompass.studies.ablation`, `.joint` and, `train` and `time`, `.detectors`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import encompass
from encompass.files import replacing, sha256
from encompass.run.catalogue import DEFAULT_MODEL, Entry, entries
from encompass.run.draw import write_picture
from encompass.studies.ablation_table import ablation, detectors, joint
from encompass.studies.box_figures import draw_photos
from encompass.studies.chapter2 import chapter2
from encompass.studies.chapter4 import chapter4
from encompass.studies.chapter5 import FIGURES, chapter5
from encompass.studies.chapter5_costs import chapter5_costs
from encompass.studies.cost_figures import cost_figures, save_cost_figures
from encompass.studies.duration import duration
from encompass.studies.figures import save_figures
from encompass.studies.markdown import machine, points, table
from encompass.studies.pair_figure import draw_pair
from encompass.studies.pareto import PEOPLE, pareto, save_pareto
from encompass.studies.per_object import FIGURES as PLOTS
from encompass.studies.per_object import (
    lines_of,
    load_records,
    per_object,
    ratio,
    save_per_object,
)
from encompass.studies.published import MAIN
from encompass.studies.stored import load_instance
from encompass.studies.tables import tables_page

START, END = "<!-- python -m encompass.studies.results -->", "<!-- end -->"
ENCOMPASSING = Path("docs", "figures", "encompassing.jpg")
PAIR = Path("docs", "figures", "pair.jpg")
PAIR_ROWS = ("multi-shape-mn0.75", DEFAULT_MODEL)
PHOTOS = ("astronaut.jpg", "photographer.jpg")
# README's pictures: photo of examples/ -> the bundled model that is shown on it.
SHOWN = {"astronaut.jpg": DEFAULT_MODEL, "palace.jpg": "refine-mobilenet0.5"}
PEER = "yolo11n-seg, fp32"  # what README compares times with
# In what the pictures of the validation had a say.
CHOSEN = "which also chose `joint.interpolation` ([training](docs/training.md#the-family))"
METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100")


def models_table(folder: Path) -> str:
    """README's tables: one line a bundled model, those of a task together."""
    tables = [_instance_table(folder)]
    if semantic := _bundled("semantic"):
        tables += ["", _semantic_table(folder, semantic)]
    return "\n".join(tables)


def _bundled(task: str) -> dict[str, Entry]:
    return {name: entry for name, entry in entries().items() if entry.card.task == task}


def _instance_table(folder: Path) -> str:
    models = dict(sorted(_bundled("instance").items(), key=lambda m: m[1].card.input_size))
    record = load_records(folder).get("per_object")
    results = {name: _load(folder / f"{name}.json") for name in models}
    lines = lines_of(record) if record else {}
    times = {label: line[PEOPLE] for label, line in lines.items()}
    rows = []
    for name, entry in models.items():
        result, time = results[name], times.get(f"{name}, {entry.card.precision}")
        rows.append(
            [
                f"`{name}`",
                "{} x {}".format(*entry.card.input_size),
                f"{entry.card.parameters:,}",
                f"{entry.size_bytes / 1e6:.1f} MB",
                *(f"{result['mask'][metric]:.1f}" for metric in ("AP50", "AP75", "AP")),
                f"{result['box']['AP50']:.1f}",
                *_time_and_ratio(time, times.get(PEER)),
            ]
        )
    head = ["model", "input", "parameters", "file", "mask AP50", "AP75", "AP", "box AP50"]
    head += ["time", f"over {PEER}"]
    told = [_sizes(results.values())]
    if record:
        told.append(
            f"Time from a decoded 640x480 picture with {PEOPLE} people to their masks, median of "
            f"{record['runs']} runs on {record['threads']} threads of an {record['cpu']}, ONNX "
            f"Runtime {lines[PEER][PEOPLE]['versions']['onnxruntime']}; the last column divides it "
            f"by that of {PEER}, end to end at 640x640 ({times[PEER]['median_ms']:.1f} ms): the "
            "median of the ratios turn by turn."
        )
    return "\n".join([table(head, rows), "", " ".join([*told, "More in [RESULTS](RESULTS.md)."])])


def _time_and_ratio(
    time: Mapping[str, Any] | None, reference: Mapping[str, Any] | None
) -> tuple[str, str]:
    if time is None or reference is None:
        return "-", "-"
    return f"{time['median_ms']:.1f} ms", f"{ratio(time, reference):.2f}"


def _semantic_table(folder: Path, models: dict[str, Entry]) -> str:
    timings = [t for t in _load(folder / "benchmark.json") if t["model"] in models]
    times = {(t["model"], t["stage"], t["height"], t["width"]): t for t in timings}
    sizes = dict.fromkeys((t["height"], t["width"]) for t in timings)
    rows = []
    for name, entry in models.items():
        result = _load(folder / f"{name}.json")
        spent = (times[name, "end to end", *size]["median_ms"] for size in sizes)
        recipe = entry.card.recipe["semantic"]
        loss = "cross-entropy" + (", Lovász" if recipe["iou_weight"] else "")
        rows.append(
            [
                f"`{name}`",
                f"{entry.card.parameters:,}",
                f"{entry.size_bytes / 1e6:.1f} MB",
                f"{recipe['steps']:,}, {loss}",
                points(result["mIoU"]),
                points(result["pixel_accuracy"]),
                *(f"{median:.1f} ms" for median in spent),
                entry.card.licence,
            ]
        )
    head = ["model", "parameters", "file", "steps, loss", "mIoU", "pixels right"]
    head += [f"time, {width}x{height}" for height, width in sizes] + ["licence"]
    first = timings[0]
    return "\n".join(
        [
            table(head, rows),
            "",
            "Accuracy on CamVid's `val`, which also chose the step that is kept; "
            "[RESULTS](RESULTS.md) has all rows at one budget. Time from a decoded picture to its "
            f"label map, median of {first['runs']} runs on {first['threads']} threads, "
            f"{machine(first)}.",
        ]
    )


def weights_tables(folder: Path) -> str:
    """weights/README.md's tables: what the studies trained and is kept."""
    tables = [_branches_table(folder)]
    if rows := _kept_semantic(folder):
        head = ["file", "steps of windows", "seed", "mIoU on `val`", "SHA-256"]
        tables += ["", "The thesis's semantic rows on CamVid:", "", table(head, rows)]
    return "\n".join(tables)


def _kept_semantic(folder: Path) -> list[list[str]]:
    """A line for each result of the semantic study whose weights lie in `weights/`."""
    rows = []
    for path in sorted(folder.glob("semantic/*.json")):
        result = _load(path)
        kept = folder.parent / "weights" / result["file"]["name"]
        if not kept.exists() or sha256(kept) != result["file"]["sha256"]:
            continue
        config = result["recipe"]["semantic"]
        rows.append(
            [
                f"`{kept.name}`",
                f"{config['steps']:,} of {config['batch_size']}",
                str(config["seed"]),
                points(result["mIoU"]),
                f"`{result['file']['sha256']}`",
            ]
        )
    return rows


def _branches_table(folder: Path) -> str:
    results = load_instance(folder)
    rows = []
    for name in filter(results.__contains__, MAIN):
        result = results[name][0]
        branches = result["branches"]
        rows.append(
            [
                f"`{result['file']['name']}`",
                f"{branches['steps']:,} of {branches['batch_size']}",
                str(result["seed"]),
                points(result["mask"]["AP50"]),
                points(result["quality"]["all"]["mask_IoU"]),
                f"`{result['file']['sha256']}`",
            ]
        )
    head = ["file", "steps of crops", "seed", "mask AP50", "mask IoU of given boxes", "SHA-256"]
    return table(head, rows)


def _sizes(results: Iterable[dict[str, Any]]) -> str:
    """On what the accuracies were measured; one set for all models."""
    ((pictures, persons),) = {(r["num_images"], r["num_annotations"]) for r in results}
    return f"Accuracy on {pictures} pictures of COCO val2017 with {persons} persons, {CHOSEN}."


def results_page(folder: Path) -> str:
    """RESULTS.md whole."""
    parts = ["# Results", "", "Made by `python -m encompass.studies.results` from `results/`.", ""]
    parts += ["The thesis's tables number by number: [docs/tables.md](docs/tables.md).", ""]
    parts += ["## Accuracy", ""]
    for name in _bundled("instance"):
        parts += _accuracy(_load(folder / f"{name}.json"))
    for name in _bundled("semantic"):
        parts += _label_accuracy(_load(folder / f"{name}.json"))
    parts += ["## Time of each stage", ""]
    timings = _load(folder / "benchmark.json")
    for name in dict.fromkeys(t["model"] for t in timings):
        parts += _timing([t for t in timings if t["model"] == name])
    parts += [
        *pareto(folder),
        *per_object(folder),
        *ablation(folder),
        *detectors(folder),
        *joint(folder),
        *chapter2(),
        *chapter4(folder),
    ]
    parts += [*chapter5(folder), *chapter5_costs(folder), *cost_figures(folder), *duration(folder)]
    return "\n".join(parts) + "\n"


def _accuracy(result: dict[str, Any]) -> list[str]:
    rows = [[part, *(points(result[part][m]) for m in METRICS)] for part in ("box", "mask")]
    return [
        f"### {result['model']}",
        "",
        f"`{result['file']['name']}` (sha256 `{result['file']['sha256'][:16]}`) on "
        f"`{result['data']}`: {result['num_images']} pictures, {result['num_annotations']} "
        f"persons, {CHOSEN}. COCO's metrics by faster-coco-eval "
        f"{result['versions']['faster-coco-eval']}; commit `{result['commit']}`.",
        "",
        table(["", *METRICS], rows),
        "",
        *_quality(result["quality"]),
    ]


def _quality(quality: Mapping[str, Any]) -> list[str]:
    whole, pairs = quality["all"], quality["pairs"]
    return [
        f"Masks of given boxes: IoU {points(whole['mask_IoU'])}, of their boundaries "
        f"{points(whole['boundary_IoU'])}; of {pairs['num_pairs']} pairs of persons in much the "
        f"same cells {points(pairs['both_IoU_50'])} % have both masks right "
        "([evaluation](docs/evaluation.md#masks-apart-from-the-detector)).",
        "",
    ]


def _label_accuracy(result: dict[str, Any]) -> list[str]:
    rows = [[entry["name"], points(entry["IoU"])] for entry in result["classes"]]
    return [
        f"### {result['model']}",
        "",
        f"`{result['file']['name']}` (sha256 `{result['file']['sha256'][:16]}`) on "
        f"`{result['data']}`: {result['num_images']} pictures, mIoU {points(result['mIoU'])}, "
        f"{points(result['pixel_accuracy'])} % of pixels right; commit `{result['commit']}`.",
        "",
        table(["class", "IoU"], rows),
        "",
    ]


def _timing(timings: list[dict[str, Any]]) -> list[str]:
    """The times of one model: a column for every picture, which its people or its size tell."""
    first = timings[0]
    columns: dict[str, list[dict[str, Any]]] = {}
    for timing in timings:
        columns.setdefault(_picture(timing), []).append(timing)
    of_each = [column[0] for column in columns.values()]
    rows = [
        [stage, *(_pair(t) for t in timings if t["stage"] == stage)]
        for stage in dict.fromkeys(t["stage"] for t in timings)
    ]
    peaks = [f"{t['peak_mb']:.0f}" for t in of_each]
    if "people" in first:
        by, head, ending = (
            "number of people in a 640x480 picture",
            "people",
            f" Peak memory {peaks[0]} MB.",
        )
        rows.insert(0, ["found", *(str(t["found"]) for t in of_each)])
    else:
        by, head, ending = "size of the picture", "size", ""
        rows.append(["peak memory, MB", *peaks])
    return [
        f"### {first['model']}",
        "",
        f"Median / 95th percentile in ms by the {by}, {first['runs']} runs, {first['threads']} "
        f"threads, {machine(first)}.{ending}",
        "",
        table([head, *columns], rows),
        "",
    ]


def _picture(timing: dict[str, Any]) -> str:
    people = timing.get("people")
    return f"{timing['width']}x{timing['height']}" if people is None else str(people)


def _pair(timing: dict[str, Any]) -> str:
    return f"{timing['median_ms']:.1f} / {timing['p95_ms']:.1f}"


def _load(path: Path) -> Any:
    return json.loads(path.read_text())


def main() -> None:
    """Rewrite RESULTS.md, docs/tables.md, two pages between their marks, and all their pictures."""
    folder = Path("results")
    results = load_instance(folder)
    if set(MAIN) <= results.keys():
        save_figures({row: results[row][0] for row in MAIN}, Path(FIGURES))
    save_pareto(folder, Path(PLOTS))
    save_per_object(folder, Path(PLOTS))
    save_cost_figures(folder, Path(PLOTS))
    write_picture(draw_photos([Path("examples", photo) for photo in PHOTOS]), ENCOMPASSING)
    checkpoints = [Path("weights", f"{row}.safetensors") for row in PAIR_ROWS]
    write_picture(draw_pair(Path("examples"), checkpoints), PAIR)
    for photo, name in SHOWN.items():
        write_picture(encompass.load(name)(Path("examples", photo)).plot(), Path("docs", photo))
    with replacing("RESULTS.md") as file:
        file.write(results_page(folder).encode())
    with replacing(Path("docs", "tables.md")) as file:
        file.write(tables_page(folder).encode())
    _put(Path("README.md"), models_table(folder))
    _put(Path("weights", "README.md"), weights_tables(folder))


def _put(path: Path, content: str) -> None:
    """Write a page again with this between its two marks."""
    before, rest = path.read_text().split(START)
    after = rest.split(END)[1]
    with replacing(path) as file:
        file.write(f"{before}{START}\n{content}\n{END}{after}".encode())


if __name__ == "__main__":
    main()
