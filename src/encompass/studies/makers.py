"""The studies as `encompass reproduce` calls them: what each needs, and how it makes items.

Items are rows of the zoo, or cells of the person study. What is there already, made from the same
data, weights and settings, is not made again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from encompass.data.instances import Dataset, join
from encompass.data.persons import PERSON, build_person_sets, save_coco
from encompass.data.sources import load_dataset
from encompass.models.zoo import MODELS
from encompass.studies import costs, instance, person_counts, person_crops, semantic
from encompass.studies.inputs import Inputs

COCO_2017 = "instances_"  # begins the names of its files


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much of a study is done, and for how long."""

    recipe: str = "ours"  # or "thesis"
    repeated: bool = True  # whether some rows are trained with several seeds
    items: int | None = None  # of each table, the first so many; all when None
    semantic: tuple[str, ...] = ()  # changes to the recipe
    branches: tuple[str, ...] = ()
    profile_runs: int = costs.RUNS
    profile_sizes: tuple[tuple[int, int], ...] = costs.SIZES


@dataclass(frozen=True, kw_only=True)
class Run:
    """One call of the command."""

    inputs: Inputs
    out: Path  # folder of crops, runs, weights and figures
    results: Path
    effort: Effort
    say: Callable[[str], None]

    @property
    def cityscapes(self) -> Path | None:
        """Its folder, if it is among the data: of its persons the thesis made crops."""
        folder = self.inputs.data and self.inputs.data / "cityscapes"
        return folder if folder and folder.is_dir() else None

    def trained(self, study: str, items: Sequence[str]) -> dict[str, Path]:
        """The checkpoints of a study's items, made where no folder of weights has all of them."""
        places = Inputs(None, [*self.inputs.weights, self.out / study / "weights"])
        if any(places.trained(item) is None for item in items):
            STUDIES[study].make(self, items)
        found = {item: path for item in items if (path := places.trained(item))}
        assert len(found) == len(items), f"{study} made no weights of some of {items}"
        return found


@dataclass(frozen=True)
class Study:
    """What makes the results of some items."""

    needs: tuple[str, ...]  # keys of `inputs.NEEDS`
    make: Callable[[Run, Sequence[str]], None]


def _semantic(run: Run, rows: Sequence[str]) -> None:
    files = run.inputs.find(STUDIES["semantic"].needs, "The study of semantic rows")
    effort = run.effort
    if effort.recipe == "thesis":
        todo = [(row, row, "thesis", semantic.SEEDS[0]) for row in rows]
        settings = {"thesis": effort.semantic}
    else:
        todo = list(semantic.runs(rows))
        todo = [each for each in todo if effort.repeated or each[0] in rows]
        settings = {
            recipe: (*budget, *effort.semantic) for recipe, budget in semantic.BUDGET.items()
        }
    for training in semantic.trainings(
        todo,
        streets=files["streets"],
        mobilenet=files["mobilenet"],
        squeezenet=files["squeezenet"],
        settings=settings,
    ):
        semantic.train_and_score(training, run.out / "semantic", run.results / "semantic")


def _person_crops(run: Run, names: Sequence[str]) -> None:
    """On Cityscapes' persons where it is there, as in the thesis; else on those of the pictures."""
    what = "The study of person crops"
    (mobilenet,) = run.inputs.find(["mobilenet"], what).values()
    if streets := run.cityscapes:
        sources = ((streets, "train"), (streets, "val"))
    else:
        people = run.inputs.find(["train", "val"], what)
        sources = ((people["train"], ""), (people["val"], ""))
    by_thesis = run.effort.recipe == "thesis"
    budget = person_crops.THESIS if by_thesis else person_crops.BUDGET
    for training in person_crops.trainings(
        [cell for cell in person_crops.cells() if cell.name in names],
        sources=sources,
        mobilenet=mobilenet,
        folder=run.out / "crops",
        recipe=run.effort.recipe,
        settings=(*budget, *run.effort.semantic),
    ):
        semantic.train_and_score(training, run.out / "person-crops", run.results / "person_crops")


def _instance(run: Run, rows: Sequence[str]) -> None:
    files = run.inputs.find(STUDIES["instance"].needs, "The study of instance rows")
    study = instance.Study(
        instance.find_detectors((files["detector"], files["detector-0.75"])),
        training_people(files["train"], run.out),
        people_of(files["val"], run.out),
        run.out / "instance",
        run.results / "instance",
        subsets={
            f"{files['val'].stem}-{kind}": people_of(files["val"], run.out, kind)
            for kind in ("isb", "isb-matching")
        },
    )
    study.score_detectors({1.0: files["release"], 0.75: files["release-0.75"]})
    by_thesis = run.effort.recipe == "thesis"
    settings = (*(instance.THESIS if by_thesis else ()), *run.effort.branches)
    for row, seed in instance.runs(rows):
        if run.effort.repeated or seed == instance.SEEDS[0]:
            study.run(row, MODELS[row], seed, settings)


def people_of(annotations: Path, out: Path, kind: str = "") -> Dataset:
    """Pictures of a COCO file; of COCO 2017 those with persons alone, as in the thesis (5.1.2).

    Args:
        annotations: of persons.
        out: folder in whose sets/ the datasets of `data.persons` are made.
        kind: "isb" or "isb-matching" for the thesis's subsets.
    """
    images = annotations.parent / "images"
    if annotations.stem.startswith(COCO_2017):
        kind = kind or "persons"
        images = annotations.parents[1] / annotations.stem.removeprefix(COCO_2017)
    if kind:
        sets = out / "sets"
        if not (chosen := sets / f"{annotations.stem}-{kind}.json").exists():
            contents = build_person_sets(annotations).files(annotations.stem)
            save_coco({sets / name: content for name, content in contents.items()})
        annotations = chosen
    return load_dataset(annotations, images=images, classes=(PERSON,))


def training_people(annotations: Path, out: Path) -> Dataset:
    """What instance rows learn from: with this project's small set also Penn-Fudan beside it."""
    beside = annotations.parents[1] / "penn-fudan"
    more = [load_dataset(beside)] if beside.is_dir() else []
    return join([people_of(annotations, out), *more])


def _counts(run: Run, items: Sequence[str]) -> None:
    files = run.inputs.find(STUDIES["counts"].needs, "Table 5.1")
    person_counts.count(files["train"], files["val"], run.out / "sets", run.results)


def _costs(run: Run, rows: Sequence[str]) -> None:
    costs.measure(
        rows,
        run.results,
        runs=run.effort.profile_runs,
        sizes=run.effort.profile_sizes,
        say=run.say,
    )


STUDIES = {
    "semantic": Study(("streets", "mobilenet", "squeezenet"), _semantic),
    "person-crops": Study(("mobilenet",), _person_crops),
    "counts": Study(("train", "val"), _counts),
    "instance": Study(
        ("train", "val", "detector", "detector-0.75", "release", "release-0.75"), _instance
    ),
    "costs": Study((), _costs),
}
