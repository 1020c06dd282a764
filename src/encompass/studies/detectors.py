"""Past the thesis: what anchors in pixels and boxes of stride 8 are worth, of the boxes alone.

    python -m encompass.studies.detectors train ssd_mobilenet_v1_0.75_coco_quant.tflite \\
        --data coco-person/person_train.json --data coco-person-boxes/person_boxes.json \\
        --data penn-fudan --val coco-person/person_val.json --out runs/detectors
    python -m encompass.studies.detectors time

Detectors of one input size start from one release and learn alike, with three seeds: with the
thesis's anchors, a part of the picture; with those in pixels; and, at the smaller size, with a
finer map beside them (`ROWS`). What they are before they learn is scored as well, without the finer
map. Each ends in `results/detectors/NAME.json`; what is there already is not made again. `time`
writes what a picture with nobody in it costs each of them, exported and in turn, to
`results/detectors_times.json`.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import click
import onnx
import torch

from encompass.data.instances import Dataset, join
from encompass.data.sources import load_dataset
from encompass.environment import commit, cpu_name, versions
from encompass.evaluate.coco import score_instances
from encompass.evaluate.network import network_predictor
from encompass.export.card import build_card
from encompass.export.onnx import build_onnx
from encompass.files import sha256, write_json
from encompass.models.instance import SsdIsb
from encompass.models.weights import load_initial
from encompass.models.zoo import MODELS, InstanceSpec
from encompass.run.benchmark import PACKAGES, scene, summary
from encompass.run.comparison import take_turns
from encompass.run.predictor import load
from encompass.studies.instance import PATH, SEEDS, result_name, start_options
from encompass.studies.result_file import is_made_from, write_scores
from encompass.train.config import DetectorConfig
from encompass.train.detector import fit_detector
from encompass.train.provenance import hash_dataset
from encompass.train.recipes import DETECTOR_640

FINE = dataclasses.replace(MODELS["encompass-s"], input_size=352)
PIXELS = dataclasses.replace(FINE, fine_map=False)
PICTURE = dataclasses.replace(PIXELS, anchors="picture")
ROWS: dict[str, InstanceSpec] = {
    "picture-512": dataclasses.replace(PICTURE, input_size=512),
    "pixels-512": dataclasses.replace(PIXELS, input_size=512),
    "picture-352": PICTURE,
    "pixels-352": PIXELS,
    "fine-352": FINE,
}
STARTS = {f"{name}-start": name for name, spec in ROWS.items() if not spec.fine_map}
# Trainings of minutes on two cores, at a rate that the thesis's anchors need: at 512x512 the people
# in them are larger in pixels than what the release learnt. A finer map begins at random, and takes
# longer.
CONFIG = dataclasses.replace(DETECTOR_640, interval=100, batch_size=12, accumulate=1, new_rate=10.0)
STEPS = {512: 300, 352: 900}  # by size of the input
DECAYS = 12  # in a training


def run(
    start: Path, name: str, seed: int, train: Dataset, val: Dataset, out: Path, results: Path
) -> None:
    """Train and score one row, unless its result is there; a start is scored alone."""
    path = results / f"{result_name(name, seed)}.json"
    spec = ROWS[STARTS.get(name, name)]
    steps = STEPS[spec.input_size]
    decay = -(-steps // DECAYS)
    config = dataclasses.replace(
        CONFIG, steps=steps, decay_steps=decay, seed=seed, score=spec.score
    )
    made_from = {
        "start": sha256(start),
        "row": dataclasses.asdict(spec),
        "detector": dataclasses.asdict(config) if name in ROWS else None,
        "train": hash_dataset(train),
        "val": hash_dataset(val),
    }
    kinds = {"row": InstanceSpec, "detector": DetectorConfig}
    if is_made_from(path, made_from, kinds=kinds):
        click.echo(f"{path.stem}: done before.")
        return
    names = train.classes.names
    torch.manual_seed(seed)
    network = SsdIsb(spec, num_classes=len(names))
    load_initial(network, start, names=names)
    if name in ROWS:
        fit_detector(network, train, config, out / path.stem)
        network.half().float()  # what is scored is what would be kept
    predict = network_predictor(network.eval(), names=names, with_masks=False)
    scores = score_instances(val, predict)
    scores = {key: scores[key] for key in ("box", "box_at_50")}
    write_scores(
        path, model=name, seed=seed, train=train, val=val, scores=scores, made_from=made_from
    )
    shutil.rmtree(out / path.stem, ignore_errors=True)  # checkpoints of a run that has ended
    click.echo(
        f"{path.stem}: box AP50 {scores['box']['AP50']:.1f}, of small people "
        f"{scores['box_at_50']['APs']:.1f}"
    )


def measure(runs: int, threads: int) -> dict[str, Any]:
    """What each row takes for a picture with nobody in it, exported, with random weights."""
    picture, models = scene(0), []
    with tempfile.TemporaryDirectory() as folder:
        for name, spec in ROWS.items():
            network = SsdIsb(spec, num_classes=1).eval()
            record = {"names": ["person"], "category_ids": [1], "data": [], "recipe": {}}
            card = build_card(network, {"name": name, **record}, scores={}, commit=commit())
            path = Path(folder, f"{name}.onnx")
            onnx.save(build_onnx(network, card), path)
            models.append(load(path, threads=threads))
        times = take_turns([partial(model, picture, score=1.0) for model in models], runs)
    medians = map(summary, times)
    return {
        "rows": [
            {"model": name, "row": dataclasses.asdict(spec), "median_ms": median, "p95_ms": p95}
            for (name, spec), (median, p95) in zip(ROWS.items(), medians, strict=True)
        ],
        "runs": runs,
        "threads": threads,
        "cpu": cpu_name(),
        "versions": versions(*PACKAGES, "onnxruntime"),
        "commit": commit(),
    }


@click.group()
def main() -> None:
    """What anchors in pixels and boxes of stride 8 are worth, and what they cost."""


@main.command("train")
@start_options("results/detectors")
def train_rows(
    start: Path, data: tuple[Path, ...], val: Path, out: Path, results: Path, seeds: int
) -> None:
    """Train each row from START and score it, the first seed of all before further ones."""
    train, scored = join(load_dataset(path) for path in data), load_dataset(val)
    for name in STARTS:
        run(start, name, SEEDS[0], train, scored, out, results)
    for seed in range(seeds):
        for name in ROWS:
            run(start, name, seed, train, scored, out, results)


@main.command("time")
@click.option("--results", default="results/detectors_times.json", type=PATH)
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1))
@click.option("--runs", default=50, show_default=True, type=click.IntRange(1))
def time_rows(results: Path, threads: int, runs: int) -> None:
    """Time each row on a picture with nobody in it, in turn; nothing else should run."""
    measured = measure(runs, threads)
    for row in measured["rows"]:
        click.echo(f"{row['model']}: {row['median_ms']:.1f} ms")
    write_json(results, measured)


if __name__ == "__main__":
    main()
