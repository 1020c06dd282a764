"""Past the thesis: what each change of the branches is worth, on one detector with one budget.

    python -m encompass.studies.ablation --detector weights/multi-shape-mn0.75-320.safetensors \\
        --data coco-person/person_train.json --data penn-fudan --val coco-person/person_val.json \\
        --out runs/ablation

Each row of `ROWS` differs from another in one thing, and each of `VARIANTS` from the last row. All
learn from the same cached maps of the
320x320 detector, as `studies.instance` has it, with three seeds. What the result of a row says
beside its scores: `quality` has mask IoU and boundary IoU of given boxes, by size, and the share of
pairs of people in much the same cells of whom both masks are right. Each row ends in
`--out/weights/ROW.safetensors` and `results/ablation/ROW.json`; what is there already is not made
again. `--out/pair.png` has two people in one encompassing box (thesis, Figure 3.7), and what each
row makes of them.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from encompass.data.instances import join
from encompass.data.sources import load_dataset
from encompass.evaluate.network import load_network, mask_predictor
from encompass.models.rows import find_instance_row
from encompass.models.zoo import InstanceSpec
from encompass.run.draw import write_picture
from encompass.studies.box_figures import figure_3_7
from encompass.studies.instance import PATH, SEEDS, Study, check_row, find_detectors, row_option

ROWS = (
    "multi-shape-mn0.75-320",
    "multi-shape-box-320",
    "multi-shape-shared-320",
    "multi-shape-shared-box-320",
    "large-shape-320",
    "large-shape-box-320",
    "aspect-shared-box-320",
    "large-shape-aligned-320",
    "large-shape-aligned-fcn16-320",
    "large-shape-aligned-refine-320",
)
# What differs in the training or in the score: changes of the spec, and settings.
VARIANTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    f"{ROWS[-1]}-dice": ({}, ("branches.dice_weight=1",)),
    f"{ROWS[-1]}-edge": ({}, ("branches.edge_weight=1",)),
    f"{ROWS[-1]}-box-score": ({"mask_confidence": False}, ()),
}
# A part of the recipe's steps: with three seeds the rows take two cores some hours.
BUDGET = (
    *("branches.steps=1000", "branches.interval=500", "branches.decay_steps=84"),
    "branches.shared_steps=188",  # of no effect where weights are shared for good
)

PAIR = "pair.png"  # under --out: two people in one encompassing box, a line of masks a row


@click.command()
@click.option("--detector", required=True, type=PATH, help="A checkpoint of the 320x320 detector.")
@click.option("--data", multiple=True, required=True, type=PATH)
@click.option("--val", required=True, type=PATH)
@click.option("--out", required=True, type=PATH)
@click.option("--results", default="results/ablation", type=PATH)
@row_option(ROWS)
@click.option("--seeds", default=len(SEEDS), type=click.IntRange(1), help="How many a row.")
@click.option("--set", "settings", multiple=True, metavar="branches.KEY=VALUE")
def main(
    detector: Path,
    data: tuple[Path, ...],
    val: Path,
    out: Path,
    results: Path,
    rows: tuple[str, ...],
    seeds: int,
    settings: tuple[str, ...],
) -> None:
    """Train and score each row, the first seed of all before further ones.

    The variants come with the last row.
    """
    specs = dict(map(find_instance_row, rows))
    for name, spec in specs.items():
        check_row(name, spec, ROWS)
    study = Study(
        find_detectors((detector,), ROWS),
        join(load_dataset(path) for path in data),
        load_dataset(val),
        out,
        results,
        subsets={},
        rows=ROWS,
    )
    runs: dict[str, tuple[InstanceSpec, tuple[str, ...]]] = {
        name: (spec, ()) for name, spec in specs.items()
    }
    if ROWS[-1] in specs:
        for name, (changes, own) in VARIANTS.items():
            runs[name] = dataclasses.replace(specs[ROWS[-1]], **changes), own
    for seed in range(seeds):
        for name, (spec, own) in runs.items():
            study.run(name, spec, seed, (*BUDGET, *own, *settings))
    files = [out / "weights" / f"{name}.safetensors" for name in specs]
    predictors = [mask_predictor(load_network(file)[0]) for file in files if file.exists()]
    write_picture(figure_3_7(study.val, *predictors), out / PAIR)


if __name__ == "__main__":
    main()
