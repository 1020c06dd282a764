"""Past the thesis: what each part of the training of detector and branches together is worth.

    python -m encompass.studies.joint weights/large-shape-aligned-refine-320.safetensors \\
        --data coco-person/person_train.json --data coco-person-boxes/person_boxes.json \\
        --data penn-fudan --val coco-person/person_val.json --out runs/joint

All start from one checkpoint, whose branches learnt from a detector that stood still, and learn
alike but for one setting of `train.recipes.JOINT` as `BASE` has it, with three seeds; `pruned` is
`last-weights` with two thirds of the trunk's inner channels. Of `distilled`, which has as many, the
detector alone learns, by the recipe of that training: what it said before it was pruned, of as many
pictures. The checkpoint itself is scored too, as it is and pruned. Each ends in
`results/joint/NAME.json`; what is there already is not made again.
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import click

from encompass.data.instances import Dataset, join
from encompass.data.sources import load_dataset
from encompass.evaluate.coco import score_instances
from encompass.evaluate.masks import score_masks
from encompass.evaluate.network import load_network, mask_predictor, network_predictor
from encompass.evaluate.shapes import Grid
from encompass.files import sha256
from encompass.models.instance import SsdIsb
from encompass.studies.instance import SEEDS, result_name, start_options
from encompass.studies.result_file import is_made_from, write_scores
from encompass.train.distillation import fit_distillation
from encompass.train.joint import fit_joint
from encompass.train.provenance import hash_dataset
from encompass.train.recipes import find_recipe
from encompass.train.start import load_start

START = "start"  # the checkpoint as it is
PRUNED_START = "pruned-start"  # and with fewer inner channels, before it learns again
# What all have in common beside the recipe: a training that two cores do in minutes.
BASE = (
    "joint.steps=100",
    "joint.interval=50",
    "joint.accumulate=2",
    "joint.decay_steps=9",
    "joint.ema=0.98",
    "joint.interpolation=0.5",
    "joint.dice_weight=0",
    "joint.edge_weight=0",
)
# In what each differs from that.
VARIANTS: dict[str, tuple[str, ...]] = {
    "joint": (),
    "gradient-stopped": ("joint.crop_gradient=0",),
    "no-copy-paste": ("joint.copy_paste=0",),
    "no-mosaic": ("joint.mosaic=0",),
    "no-mean": ("joint.ema=0",),
    "staircase": ("joint.schedule=staircase",),
    "last-weights": ("joint.interpolation=1",),
    "dice": ("joint.dice_weight=1",),
    "pruned": ("joint.interpolation=1",),
}
DISTILLED = "distilled"
DISTILLATION = ("distillation.steps=150", "distillation.interval=50")  # of 16 pictures
# Of their rows; others have the start's.
INNER: dict[str, float] = dict.fromkeys((PRUNED_START, "pruned", DISTILLED), 2 / 3)


def run(
    start: Path, name: str, seed: int, train: Dataset, val: Dataset, out: Path, results: Path
) -> None:
    """Train and score one variant, unless its result is there; a start is scored alone."""
    path = results / f"{result_name(name, seed)}.json"
    network, record = load_network(start)
    spec = dataclasses.replace(network.spec, inner=INNER.get(name, network.spec.inner))
    seeds = (f"joint.seed={seed}", f"distillation.seed={seed}")
    recipe = find_recipe(spec, (*BASE, *VARIANTS.get(name, ()), *DISTILLATION, *seeds))
    made_from = {
        "start": sha256(start),
        "joint": dataclasses.asdict(recipe.joint) if name in VARIANTS else None,
        "train": hash_dataset(train),
        "val": hash_dataset(val),
    }
    if name in INNER:
        made_from["inner"] = spec.inner
    if name == DISTILLED:
        made_from["distillation"] = dataclasses.asdict(recipe.distillation)
    if is_made_from(path, made_from):
        click.echo(f"{path.stem}: done before.")
        return
    wide = None
    if name in INNER:
        network = SsdIsb(spec, num_classes=len(record["names"]))
        wide = load_start(network, start, train, out).wide
    if name in VARIANTS:
        fit_joint(network, train, recipe.joint, out / path.stem)
    if name == DISTILLED:
        assert wide is not None
        fit_distillation(network, wide, train, recipe.distillation, out / path.stem)
    if name not in (START, PRUNED_START):
        network.half().float()  # what is scored is what would be kept
    scores = score(network.eval(), val, tuple(record["names"]))
    write_scores(
        path, model=name, seed=seed, train=train, val=val, scores=scores, made_from=made_from
    )
    shutil.rmtree(out / path.stem, ignore_errors=True)  # checkpoints of a run that has ended
    click.echo(
        f"{path.stem}: box AP50 {scores['box']['AP50']:.1f}, mask AP50 "
        f"{scores['mask']['AP50']:.1f}, mask IoU of given boxes "
        f"{scores['quality']['all']['mask_IoU']:.1f}"
    )


def score(network: SsdIsb, val: Dataset, names: tuple[str, ...]) -> dict[str, Any]:
    """Boxes and masks, and the masks of given boxes."""
    size = network.spec.input_size
    scores = score_instances(val, network_predictor(network, names=names))
    grid = Grid((size, size), network.stride)
    quality = score_masks(val, mask_predictor(network), grid)
    return {key: scores[key] for key in ("box", "mask", "mask_at_50")} | {"quality": quality}


@click.command()
@start_options("results/joint")
def main(
    start: Path, data: tuple[Path, ...], val: Path, out: Path, results: Path, seeds: int
) -> None:
    """Train each variant from START and score it, the first seed of all before further ones."""
    train, scored = join(load_dataset(path) for path in data), load_dataset(val)
    for name in (START, PRUNED_START):
        run(start, name, SEEDS[0], train, scored, out, results)
    for seed in range(seeds):
        for name in (*VARIANTS, DISTILLED):
            run(start, name, seed, train, scored, out, results)


if __name__ == "__main__":
    main()
