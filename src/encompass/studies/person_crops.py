"""Tables 4.3 to 4.6 of the thesis on COCO's persons: crops of one person each.

    python -m encompass.studies.person_crops --data coco-person/person_train.json \\
        --val coco-person/person_val.json --mobilenet mobilenet_v1_0.5_160_quant.tflite \\
        --out runs/person-crops

Four methods, three atrous rates of the last layer, three shares of background and two sizes of
crop are 72 trainings, all with one recipe: that of `train.recipes.SEMANTIC_OURS`, but that crops
are learnt as they are, since what lies around a person is what is studied. The thesis trains each
for 400,000 steps of 4 crops of Cityscapes' persons.

Crops are made once in `--out/crops`. Each training ends in `--out/weights/NAME.safetensors` and
`results/person_crops/NAME.json`; what is there already is not made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import click

from encompass.data.labels import LabelDataset
from encompass.data.person_crops import (
    BACKGROUNDS,
    SIZES,
    people_of_cityscapes,
    people_of_instances,
    write_person_crops,
)
from encompass.data.sources import load_dataset, load_labels
from encompass.studies.published import PERSON_TABLES, RATES
from encompass.studies.semantic import Training, train_and_score
from encompass.train.recipes import find_semantic_recipe

PATH = click.Path(path_type=Path)
METHODS = tuple(PERSON_TABLES)
BUDGET = (
    *("semantic.steps=200", "semantic.interval=200", "semantic.validate_every=1"),
    *("semantic.warmup_steps=40", "semantic.augment=none"),
    # In bfloat16 oneDNN's gradient of a depthwise convolution on a narrow map reads memory that
    # nobody wrote; the last map of a 160x96 crop is 5x3.
    "semantic.precision=32-true",
)
# Section 4.3.2, on top of the recipe `thesis`.
THESIS = ("semantic.steps=400000", "semantic.batch_size=4")


class Cell(NamedTuple):
    """One cell of the four tables, at one size of crop."""

    method: str  # row without a rate
    rate: int
    background: float  # share of the box, on every side
    size: tuple[int, int]  # (height, width) of the crops, pixels

    @property
    def row(self) -> str:
        """The row of the zoo."""
        return self.method if self.rate == 1 else f"{self.method}-rate{self.rate}"

    @property
    def crops(self) -> str:
        """The stem of the folder of its crops."""
        return "{}x{}-{:.0f}".format(*self.size, 100 * self.background)

    @property
    def name(self) -> str:
        """The stem of its files."""
        return f"{self.row}-{self.crops}"


def cells(methods: Sequence[str] = METHODS) -> Iterator[Cell]:
    """All of these methods, the small crops before the large ones."""
    for size, background, method, rate in product(sorted(SIZES), BACKGROUNDS, methods, RATES):
        yield Cell(method, rate, background, size)


def crops_of(source: Path, cell: Cell, folder: Path, *, split: str = "") -> LabelDataset:
    """The crops that a cell learns from or is scored on, made when they are not there.

    Args:
        source: COCO annotations, or Cityscapes' folder.
        cell: it tells the crops' size and background.
        folder: of all crops.
        split: of Cityscapes.
    """
    path = folder / f"{source.stem}{split and f'-{split}'}-{cell.crops}"
    if not path.exists():
        people = (
            people_of_cityscapes(source, split=split)
            if split
            else people_of_instances(load_dataset(source))
        )
        write_person_crops(people, path, size=cell.size, background=cell.background)
    return load_labels(path)


def trainings(
    todo: Iterable[Cell],
    *,
    sources: tuple[tuple[Path, str], tuple[Path, str]],
    mobilenet: Path,
    folder: Path,
    recipe: str,
    settings: Sequence[str],
) -> Iterator[Training]:
    """One training for each cell.

    Args:
        todo: the cells.
        sources: what is learnt from and what is scored on: COCO annotations and "", or Cityscapes'
            folder and a split.
        mobilenet: initial weights.
        folder: of the crops.
        recipe: of semantic rows.
        settings: changes to it, like "semantic.steps=500".
    """
    config = find_semantic_recipe(recipe, settings)
    (learnt, scored), names = sources, [f"{path.name} {split}".strip() for path, split in sources]
    for cell in todo:
        crops = crops_of(learnt[0], cell, folder, split=learnt[1])
        yield Training(
            name=cell.name,
            row=cell.row,
            recipe=recipe,
            config=config,
            start=mobilenet,
            train=crops,
            val=crops_of(scored[0], cell, folder, split=scored[1]),
            gridding=False,
            learnt=f"persons of {names[0]} ({len(crops)} crops)",
            licence=None,
            about={
                "data": "persons of {}, scored on those of {}".format(*names),
                "cell": cell._asdict(),
            },
        )


@click.command()
@click.option("--data", required=True, type=PATH, help="COCO annotations with masks of persons.")
@click.option("--val", required=True, type=PATH)
@click.option("--mobilenet", required=True, type=PATH, help="MobileNet-v1 0.5 of ImageNet.")
@click.option("--out", required=True, type=PATH)
@click.option("--results", default="results/person_crops", type=PATH)
@click.option("--method", "methods", multiple=True, default=METHODS, help="Only this method.")
@click.option("--set", "settings", multiple=True, metavar="semantic.KEY=VALUE")
def main(
    data: Path,
    val: Path,
    mobilenet: Path,
    out: Path,
    results: Path,
    methods: tuple[str, ...],
    settings: tuple[str, ...],
) -> None:
    """Train and score every cell of the person study; go on where a stop left it."""
    todo = trainings(
        cells(methods),
        sources=((data, ""), (val, "")),
        mobilenet=mobilenet,
        folder=out / "crops",
        recipe="ours",
        settings=(*BUDGET, *settings),
    )
    for training in todo:
        train_and_score(training, out, results)


if __name__ == "__main__":
    main()
