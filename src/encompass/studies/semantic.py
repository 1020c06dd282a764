"""Tables 4.1 and 4.2 of the thesis on CamVid: every architecture with one recipe and one budget.

    python -m encompass.studies.semantic --camvid camvid \\
        --mobilenet mobilenet_v1_0.5_160_quant.tflite --squeezenet squeezenet1_1_imagenet.npz \\
        --out runs/semantic

The thesis trains on Cityscapes for 300,000 steps of one picture. Here each of its eight rows, and
ours beside them, learns from the same windows of CamVid's `train` (`train.recipes.SEMANTIC_OURS`,
shortened to `BUDGET`), and the best on `val` is kept, as in Table 4.1. SqueezeNet, which has no
batch norm, learns at half the rate: of 1e-4, 2e-4 and 4e-4 the first gave it the best mIoU after
200 steps (55.0, 52.6, 31.5; MobileNet-0.5 55.0 at 2e-4 and 55.9 at 4e-4). One row also learns by
the thesis's recipe, from as many pictures; three rows learn with three seeds.

Each training ends in `--out/weights/NAME.safetensors`, the same network as one file,
`--out/onnx/NAME.onnx`, compared with it on pictures of `val`, and `results/semantic/NAME.json`.
What is there already is not made again.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import torch

import encompass
from encompass.data.camvid import TABLE as CAMVID
from encompass.data.labels import IGNORE, LabelDataset
from encompass.data.sources import load_labels
from encompass.environment import commit
from encompass.evaluate.miou import score_labels
from encompass.evaluate.semantic import label_predictor, label_scorer
from encompass.export.card import build_card
from encompass.export.semantic_onnx import build_semantic_onnx
from encompass.export.semantic_parity import EQUAL_PIXELS, check_label_parity, compare_labels
from encompass.files import replacing, sha256, write_json
from encompass.models.semantic import SemanticNetwork
from encompass.models.weights import load_initial_semantic, save_network
from encompass.models.zoo import SEMANTIC_MODELS
from encompass.run.predictor import SemanticModel
from encompass.studies.published import SEMANTIC_ROWS
from encompass.studies.result_file import is_made_from, made_on
from encompass.train.config import SemanticConfig
from encompass.train.fit import LAST
from encompass.train.provenance import hash_dataset
from encompass.train.recipes import find_semantic_recipe
from encompass.train.semantic import fit_semantic, load_best

PATH = click.Path(path_type=Path)
ROWS = tuple(SEMANTIC_ROWS)
OURS = "refine-mobilenet0.5"
BY_THESIS = "fcn16-mobilenet0.5"  # learns by the thesis's recipe too
CAMVID_TERMS = "CC-BY-NC-4.0"  # for non-commercial use
REPEATED = ("squeezenet", "mobilenet0.5", "fcn16-mobilenet0.5")
SEEDS = (0, 1, 2)  # of those; the others have the first
PICTURES = 3200  # of each training: nine times CamVid's 367
BUDGET = {
    "ours": ("semantic.steps=400", "semantic.interval=100", "semantic.validate_every=1"),
    "thesis": ("semantic.steps=3200", "semantic.interval=800"),
}
SQUEEZENET_RATE = "semantic.learning_rate=1e-4"
COMPARED = 8  # pictures on which the exported file must label as the network does


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """One cell of a table: a row, and what it learns from."""

    name: str  # of its files
    row: str
    recipe: str
    config: SemanticConfig
    start: Path  # initial weights
    train: LabelDataset
    val: LabelDataset
    gridding: bool  # whether it is measured
    learnt: str  # the data, for the checkpoint
    licence: str | None  # of the weights, as the data's terms ask
    about: dict[str, Any]  # of the data, for the result


def train_and_score(training: Training, out: Path, results: Path) -> None:
    """Train one cell and score its best network, unless its result is there."""
    path = results / f"{training.name}.json"
    weights = out / "weights" / f"{training.name}.safetensors"
    spec, names = SEMANTIC_MODELS[training.row], training.train.table.names
    made_from = {
        "row": dataclasses.asdict(spec),
        "recipe": {"name": training.recipe, "semantic": dataclasses.asdict(training.config)},
        "start": sha256(training.start),
        "pictures": [len(training.train), len(training.val)],
        "train": hash_dataset(training.train),
        "val": hash_dataset(training.val),
        **training.about,
    }
    if is_made_from(path, made_from):
        click.echo(f"{training.name}: done before.")
        return
    torch.manual_seed(training.config.seed)
    network = SemanticNetwork(spec, num_classes=len(names))
    load_initial_semantic(network, training.start, names=names)
    folder = out / training.name
    resumed, start = (folder / LAST).exists(), time.perf_counter()
    config = training.config
    # Where the end alone would be scored, that is done below.
    once = config.interval * config.validate_every >= config.steps
    validate = None if once else label_scorer(training.val)
    fit_semantic(network, training.train, config, folder, val=training.val, validate=validate)
    minutes = (time.perf_counter() - start) / 60
    best = load_best(network, folder) or {"step": config.steps}
    record = {
        "name": training.row,
        "row": dataclasses.asdict(spec),
        "task": "semantic",
        "names": list(names),
        "colours": list(training.train.table.colours),
        "data": [training.learnt],
        "licence": training.licence,
        "stage": "all",
        "start": training.start.name,
        "recipe": made_from["recipe"],
        "best": best,
    }
    save_network(weights, network, record)
    # What is scored is what is kept: half precision, from the file.
    load_initial_semantic(network, weights, names=names)
    scores = score_labels(training.val, label_predictor(network.eval()))
    del scores["images"]  # their paths are this machine's
    result = {
        "model": training.row,
        "file": {"name": weights.name, "sha256": sha256(weights)},
        "best_step": best["step"],
        **scores,
        "exported": export(network, record, out / "onnx" / f"{training.name}.onnx", training.val),
        "minutes": None if resumed else round(minutes, 2),  # only the last part's are known
        **made_from,
        **made_on("numpy", "torch"),
    }
    if training.gridding:
        result["gridding"] = gridding(network, training.val)
    write_json(path, result)
    shutil.rmtree(folder)  # checkpoints of a run that has ended
    click.echo(f"{training.name}: mIoU {result['mIoU']:.1f}")


def export(
    network: SemanticNetwork, record: dict[str, Any], path: Path, dataset: LabelDataset
) -> dict[str, Any]:
    """Write a network as one file and compare the two on pictures of a dataset.

    Returns what stands in the result. Raises ParityError when they label too much differently.
    """
    card = build_card(network, record, scores={}, commit=commit())
    data = build_semantic_onnx(network, card).SerializeToString()
    with replacing(path) as file:
        file.write(data)
    model = encompass.load(path)
    assert isinstance(model, SemanticModel)
    gap = compare_labels(
        label_predictor(network),
        lambda picture: model(picture).labels,
        [sample.path for sample in dataset.samples[:COMPARED]],
    )
    if gap.classes > 1:  # a cell that learnt nothing has its place in the table too
        check_label_parity(gap, EQUAL_PIXELS["fp32"], path)
    return {"name": path.name, "size_bytes": len(data), **dataclasses.asdict(gap)}


@torch.no_grad()
def gridding(network: SemanticNetwork, dataset: LabelDataset) -> float:
    """How often cells alternate where they are wrong, in points of all labelled cells.

    Dilated layers compute neighbouring cells from pixels that they do not share (thesis 4.2.3: "in
    the smaller patches of incorrect predictions"). So what is counted are cells that differ from
    the truth, and from both neighbours along an axis, which agree: thin objects that are there do
    not count. Compare rows of one stride.
    """
    odd = total = 0
    stride = network.stride
    for sample in dataset.samples:
        picture, labels = sample.read()
        pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
        truth = labels[::stride, ::stride]  # a cell begins at its number times the stride
        cells = network(pixels)[0].argmax(dim=0).numpy()[: truth.shape[0], : truth.shape[1]]
        for along, true in ((cells, truth), (cells.T, truth.T)):
            before, middle, after = along[:-2], along[1:-1], along[2:]
            wrong = (middle != true[1:-1]) & (true[1:-1] != IGNORE)
            odd += int(((before == after) & (before != middle) & wrong).sum())
            total += int((true[1:-1] != IGNORE).sum())
    return 100 * odd / total


def runs(rows: Iterable[str]) -> Iterator[tuple[str, str, str, int]]:
    """(name, row, recipe, seed) of every training, the first seed of all rows before others."""
    rows = tuple(rows)
    yield from ((row, row, "ours", SEEDS[0]) for row in rows)
    if BY_THESIS in rows:
        yield f"{BY_THESIS}-thesis", BY_THESIS, "thesis", SEEDS[0]
    for seed in SEEDS[1:]:
        yield from ((f"{row}-seed{seed}", row, "ours", seed) for row in REPEATED if row in rows)


def trainings(
    todo: Iterable[tuple[str, str, str, int]],
    *,
    streets: Path,
    mobilenet: Path,
    squeezenet: Path,
    settings: Mapping[str, Sequence[str]],
) -> Iterator[Training]:
    """The trainings of `runs` on one dataset.

    Args:
        todo: (name, row, recipe, seed) of each.
        streets: a semantic dataset with the splits train and val.
        mobilenet: initial weights of rows with that encoder.
        squeezenet: of the others.
        settings: changes to each recipe, like "semantic.steps=500".
    """
    train, val = (load_labels(streets, split=split) for split in ("train", "val"))
    for name, row, recipe, seed in todo:
        slower = (SQUEEZENET_RATE,) if "squeezenet" in row and recipe == "ours" else ()
        yield Training(
            name=name,
            row=row,
            recipe=recipe,
            config=find_semantic_recipe(
                recipe, (*slower, f"semantic.seed={seed}", *settings[recipe])
            ),
            start=squeezenet if "squeezenet" in row else mobilenet,
            train=train,
            val=val,
            gridding=True,
            learnt=f"{streets.name} train ({len(train)} pictures)",
            licence=CAMVID_TERMS if train.table == CAMVID else None,
            about={"data": f"{streets.name} train, scored on val"},
        )


@click.command()
@click.option("--camvid", required=True, type=PATH, help="Folder with the splits train and val.")
@click.option("--mobilenet", required=True, type=PATH, help="MobileNet-v1 0.5 of ImageNet.")
@click.option("--squeezenet", required=True, type=PATH, help="SqueezeNet 1.1 of ImageNet.")
@click.option("--out", required=True, type=PATH)
@click.option("--results", default="results/semantic", type=PATH)
@click.option("--row", "rows", multiple=True, default=(*ROWS, OURS), help="Only this row.")
@click.option("--set", "settings", multiple=True, metavar="semantic.KEY=VALUE")
def main(
    camvid: Path,
    mobilenet: Path,
    squeezenet: Path,
    out: Path,
    results: Path,
    rows: tuple[str, ...],
    settings: tuple[str, ...],
) -> None:
    """Train and score the thesis's semantic rows on CamVid; go on where a stop left it."""
    todo = trainings(
        runs(rows),
        streets=camvid,
        mobilenet=mobilenet,
        squeezenet=squeezenet,
        settings={recipe: (*BUDGET[recipe], *settings) for recipe in BUDGET},
    )
    for training in todo:
        train_and_score(training, out, results)


if __name__ == "__main__":
    main()
