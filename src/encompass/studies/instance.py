"""Chapter 5 of the thesis on our data: every row on the same two detectors, with the same budget.

    python -m encompass.studies.instance --detector FULL.safetensors --detector THIN.safetensors \\
        --release ssd_mobilenet_v1_1.0_coco_fp16.npz \\
        --release-0.75 ssd_mobilenet_v1_0.75_coco_quant.tflite \\
        --data coco-person/person_train.json --data penn-fudan --val coco-person/person_val.json \\
        --subset sets/person_val-isb.json --subset sets/person_val-isb-matching.json \\
        --out runs/instance

The thesis trains detector and branches together for each row, on 64,116 pictures and a GPU. No
gradient passes the crop, so here each depth multiplier has one fine-tuned detector, whose maps of
augmented pictures are computed once; all rows of that multiplier learn their branches from them,
with the same crops, steps and seed (`train.recipes.BRANCHES_640`). Differences between rows are
then those of the branches alone. `THESIS` has the thesis's own schedule, for all of COCO's persons
and a machine to match (`encompass reproduce --recipe thesis`). The four main rows are trained with
three seeds. A row file given with --row is trained and scored in the same way, e.g. one that
`encompass data shapes` proposed.

Each row ends in `--out/weights/ROW.safetensors` (the branches, with their detector's file beside
them) and `results/instance/ROW.json`; what is there already is not made again.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from encompass.data.instances import Dataset, join
from encompass.data.sources import load_dataset
from encompass.environment import commit, versions
from encompass.errors import ModelError, UsageError
from encompass.evaluate.coco import score_instances
from encompass.evaluate.masks import score_masks
from encompass.evaluate.network import Observe, mask_predictor, network_predictor, observer
from encompass.evaluate.shapes import Grid
from encompass.files import describe_data, sha256, write_json
from encompass.models.instance import SsdIsb
from encompass.models.rows import find_instance_row
from encompass.models.weights import (
    load_checkpoint,
    load_initial,
    save_branches,
    save_detector,
)
from encompass.models.zoo import MODELS, InstanceSpec
from encompass.studies.published import MAIN
from encompass.studies.result_file import is_made_from, made_on
from encompass.train.branches import CropDataset, fit_branches, matched_anchors
from encompass.train.config import BranchConfig
from encompass.train.features import FEATURES, cache_maps, load_features
from encompass.train.provenance import hash_dataset
from encompass.train.recipes import find_recipe

PATH = click.Path(path_type=Path)
INPUT_SIZE = 640  # pixels, of all rows here
OTHERS = tuple(n for n, spec in MODELS.items() if spec.input_size == INPUT_SIZE and n not in MAIN)
ROWS = (*MAIN, *OTHERS)
SEEDS = (0, 1, 2)  # of the main rows; the others have the first
# The thesis's schedule (3.2.1) on top of the recipe: 24 pictures a step, each with some four
# persons, and its decay for all person pictures. It does not say how many steps; here four decays.
THESIS = (
    *("branches.steps=60000", "branches.interval=1000", "branches.learning_rate=4e-5"),
    *("branches.batch_size=24", "branches.accumulate=4", "branches.decay_steps=15000"),
    *("branches.passes=1", "branches.box_jitter=0", "branches.shared_steps=0"),
    "branches.maps_precision=32-true",
)


def runs(rows: Iterable[str] = ROWS) -> Iterator[tuple[str, int]]:
    """(row, seed) of every training, the first seed of all rows before further ones."""
    rows = tuple(rows)
    yield from ((name, SEEDS[0]) for name in rows)
    yield from ((name, seed) for seed in SEEDS[1:] for name in MAIN if name in rows)


def result_name(row: str, seed: int) -> str:
    """The stem of a run's files."""
    return row if seed == SEEDS[0] else f"{row}-seed{seed}"


class Study:
    """The rows of one study, trained and scored one after the other."""

    def __init__(
        self,
        detectors: dict[float, Path],
        train: Dataset,
        val: Dataset,
        out: Path,
        results: Path,
        *,
        subsets: dict[str, Dataset],
        rows: Iterable[str] = ROWS,
    ) -> None:
        """Args:
        detectors: depth multiplier -> its fine-tuned detector.
        train: pictures with masks.
        val: what rows are scored on.
        out: folder of maps, runs and weights.
        results: folder of the scores.
        subsets: of `val`, on which rows are scored too, by name.
        rows: whose detectors they are; the first of each multiplier crops all maps that are kept.
        """
        self.bases = bases(rows)
        self.subsets = subsets
        self.train, self.val, self.out, self.results = train, val, out, results
        self.names = train.classes.names
        self.sources = [describe_data(source) for source in train.sources]
        self.detectors = {m: self._keep(m, path) for m, path in detectors.items()}

    def _keep(self, multiplier: float, path: Path) -> Path:
        """The detector of a checkpoint as a file of its own, beside the branches that name it."""
        size = self.bases[multiplier].input_size
        kept = self.out / "weights" / f"ssd-mobilenet-v1-{multiplier}-{size}.safetensors"
        _, record = load_checkpoint(path)
        network = self._network(multiplier)
        load_initial(network, path, names=self.names)
        record = {key: value for key, value in record.items() if key != "detector"}
        save_detector(kept, network, record | {"stage": "detector"})
        return kept

    def run(self, row: str, spec: InstanceSpec, seed: int, settings: tuple[str, ...]) -> None:
        """Train and score one row, unless its result is there."""
        name = result_name(row, seed)
        path = self.results / f"{name}.json"
        weights = self.out / "weights" / f"{name}.safetensors"
        recipe = find_recipe(spec, (*settings, f"branches.seed={seed}"))
        torch.manual_seed(seed)
        network = SsdIsb(spec, num_classes=len(self.names))
        detector = self.detectors[spec.multiplier]
        made_from = {
            "detector": sha256(detector),
            "row": dataclasses.asdict(spec),
            "branches": dataclasses.asdict(recipe.branches),
            "pictures": len(self.train),
            "train": hash_dataset(self.train),
            "val": hash_dataset(self.val),
            "subset_data": {name: hash_dataset(subset) for name, subset in self.subsets.items()},
        }
        kinds = {"row": InstanceSpec, "branches": BranchConfig}
        if is_made_from(path, made_from, kinds=kinds):
            click.echo(f"{name}: done before.")
            return
        learnt = load_initial(network, detector, names=self.names)
        maps = self.out / f"maps-{spec.multiplier}"
        shared = dataclasses.replace(recipe.branches, seed=SEEDS[0])  # one cache for all seeds
        blocks = self.bases[spec.multiplier].crop_blocks
        cache_maps(network, self.train, shared, maps, blocks=blocks, progress=_say_maps)
        start = time.perf_counter()
        fit_branches(network, self.train, recipe.branches, self.out / name, maps=maps)
        minutes = (time.perf_counter() - start) / 60
        gc.collect()  # the trainer's cycles hold gigabytes of crops
        record = {
            "name": row,
            "row": dataclasses.asdict(spec),
            "names": list(self.names),
            "category_ids": list(self.train.classes.category_ids),
            "data": list(dict.fromkeys([*learnt["data"], *self.sources])),
            "stage": "branches",
            "recipe": {
                "detector": learnt["recipe"]["detector"],
                "branches": dataclasses.asdict(recipe.branches),
            },
        }
        save_branches(weights, network, record, detector=detector)
        # What is scored is what is kept: half precision, from the file.
        load_initial(network, weights, names=self.names)
        result = {
            "model": row,
            "seed": seed,
            "file": {"name": weights.name, "sha256": sha256(weights)},
            "data": describe_data(self.val.sources[0]),
            **self.score(network.eval(), subsets=row in MAIN and seed == SEEDS[0]),
            "crops": self._crops(network, maps),
            "minutes": round(minutes, 2),
            **made_from,
            **made_on("numpy", "torch", "faster-coco-eval"),
        }
        write_json(path, result)
        shutil.rmtree(self.out / name)  # checkpoints of a run that has ended
        click.echo(
            f"{name}: mask AP50 {result['mask']['AP50']:.1f}, mask IoU of given boxes "
            f"{result['quality']['all']['mask_IoU']:.1f}, {minutes:.1f} minutes"
        )

    def score_detectors(self, releases: dict[float, Path]) -> None:
        """Box scores of each detector before its fine-tuning and after, unless they are there."""
        path = self.results / "detectors.json"
        made_from = {
            "detectors": {str(m): sha256(p) for m, p in self.detectors.items()},
            "releases": {str(m): sha256(p) for m, p in releases.items()},
            "val": hash_dataset(self.val),
        }
        if is_made_from(path, made_from):
            return
        rows = []
        for multiplier, fitted in sorted(self.detectors.items()):
            for file in (releases[multiplier], fitted):
                network = self._network(multiplier)
                load_initial(network, file, names=self.names)
                predict = network_predictor(network.eval(), names=self.names, with_masks=False)
                box = score_instances(self.val, predict)["box"]
                rows.append({"multiplier": multiplier, "file": file.name, "box": box})
                size = network.spec.input_size
                click.echo(f"{file.name} at {size}: box AP50 {box['AP50']:.1f}")
        result = {"scores": rows, **made_from, "commit": commit(), "versions": versions("torch")}
        write_json(path, result)

    def _network(self, multiplier: float) -> SsdIsb:
        """A network with this detector, whatever its branches."""
        torch.manual_seed(SEEDS[0])
        return SsdIsb(self.bases[multiplier], num_classes=len(self.names))

    def _crops(self, network: SsdIsb, maps: Path) -> dict[str, float]:
        """What the row learns from: crops a picture, and the memory of their samples."""
        cache = load_features(maps / FEATURES)
        crops = CropDataset(cache, network, box_jitter=0.0, seed=0, kept_bytes=0)
        trunk, spec = network.detector.trunk, network.spec
        numbers = np.asarray([len(members) for members in crops.members])
        if spec.train_crops == "anchors":  # of which the branch learns from a part
            numbers = np.asarray([len(matched_anchors(cache, network)[0])])
        samples = [
            sum(
                trunk.channels[block]
                * branch.shape[0]
                * branch.shape[1]
                * zoom**2
                * (1 if branch.pool == "none" else 4)
                for block, zoom in zip(spec.crop_blocks, network.head(i).zooms, strict=True)
            )
            for i, branch in enumerate(spec.branches)
        ]
        pictures = len(crops.cache.sizes)
        return {
            "per_picture": round(float(numbers.sum() / pictures), 2),
            "megabytes_per_picture": round(float(numbers @ samples) * 4 / 1e6 / pictures, 2),
        }

    def score(self, network: SsdIsb, *, subsets: bool) -> dict[str, Any]:
        """Boxes, masks, curves, shapes, and the quality of masks apart from detection."""
        look = self._look(network.spec.multiplier)
        size = network.spec.input_size
        grid = Grid((size, size), network.stride)
        predict = network_predictor(network, names=self.names, observe=look)
        paths = [sample.path for sample in self.val.samples]
        # Crops are many small products: a picture for each thread beats a product for all.
        with _one_each(torch.get_num_threads()) as pool:
            found = dict(zip(paths, pool.map(predict, paths), strict=True)).__getitem__
            masks = mask_predictor(network, observe=look)
            quality = pool.submit(score_masks, self.val, masks, grid).result()
        scores = score_instances(self.val, found, grid=grid)
        parts = {}
        for name, subset in self.subsets.items() if subsets else ():
            part = score_instances(subset, found)
            kept = ("mask_at_50", "box_at_50", "num_images", "num_annotations")
            parts[name] = {key: part[key] for key in kept}
        return {**scores, "quality": quality, "subsets": parts}

    @functools.cache  # noqa: B019 (one study a process)
    def _look(self, multiplier: float) -> Observe:
        """What a detector sees in each picture, remembered: rows differ only after it."""
        network = self._network(multiplier)
        load_initial(network, self.detectors[multiplier], names=self.names)
        network.eval().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        return functools.cache(observer(network))


def _one_each(threads: int) -> ThreadPoolExecutor:
    """Threads in which torch uses one each."""
    return ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))


def _say_maps(done: int, total: int) -> None:
    if done % 500 == 0:
        click.echo(f"maps: {done} of {total}")


def bases(rows: Iterable[str] = ROWS) -> dict[float, InstanceSpec]:
    """The first row of each depth multiplier."""
    first: dict[float, InstanceSpec] = {}
    for spec in (MODELS[row] for row in rows):
        first.setdefault(spec.multiplier, spec)
    return first


def find_detectors(paths: tuple[Path, ...], rows: Iterable[str] = ROWS) -> dict[float, Path]:
    """Each file by the depth multiplier of its row; one is needed for every multiplier of `rows`.

    Raises:
        ModelError: a file is not a checkpoint.
        UsageError: a multiplier has none.
    """
    wanted = bases(rows)
    found: dict[float, Path] = {}
    for path in paths:
        _, record = load_checkpoint(path)
        known = MODELS.get(record.get("name", ""))
        spec = record.get("row") or (dataclasses.asdict(known) if known else None)
        if spec is None:
            raise ModelError(f"{path}: is not of a row; give a checkpoint of `encompass train`.")
        for base in wanted.values():
            if spec["input_size"] != base.input_size:
                raise ModelError(
                    f"{path}: is of a {spec['input_size']}-pixel input; give one of "
                    f"{base.input_size}."
                )
        found[spec["multiplier"]] = path
    if missing := sorted(set(wanted) - set(found)):
        raise UsageError(f"No --detector has the depth multiplier {missing[0]}; give one that has.")
    return found


def check_row(name: str, spec: InstanceSpec, rows: Iterable[str] = ROWS) -> None:
    """Raises UsageError for a row that could not learn from the maps of the study's detectors."""
    known_rows = bases(rows)
    sizes = {base.input_size for base in known_rows.values()}
    blocks = {base.crop_blocks[:n] for base in known_rows.values() for n in (1, 2, 3)}
    for key, value, known in (
        ("multiplier", spec.multiplier, sorted(known_rows)),
        ("input_size", spec.input_size, sorted(sizes)),
        ("crop_blocks", spec.crop_blocks, sorted(blocks)),
        ("inner", spec.inner, [1.0]),
    ):
        if value not in known:
            raise UsageError(
                f"{name} has {key}={value}; the study's rows have {' or '.join(map(str, known))}."
            )


def row_option(rows: Sequence[str]) -> Callable[[Any], Any]:
    """The option of a study of branches that chooses among its rows."""
    return click.option(
        "--row",
        "rows",
        multiple=True,
        default=rows,
        help="Only this row, of the zoo or a row file (.toml); may be repeated.",
    )


def start_options(results: str) -> Callable[[Any], Any]:
    """START and the options of a study whose rows all learn from it, each with some seeds."""

    def decorate(command: Any) -> Any:
        for option in (
            click.option("--seeds", default=len(SEEDS), type=click.IntRange(1), help="How many."),
            click.option("--results", default=results, type=PATH),
            click.option("--out", required=True, type=PATH),
            click.option("--val", required=True, type=PATH),
            click.option("--data", multiple=True, required=True, type=PATH),
            click.argument("start", type=PATH),
        ):
            command = option(command)
        return command

    return decorate


@click.command()
@click.option("--detector", "detectors", multiple=True, required=True, type=PATH)
@click.option("--release", "full", required=True, type=PATH, help="What depth 1.0 started from.")
@click.option("--release-0.75", "thin", required=True, type=PATH, help="What depth 0.75 did.")
@click.option("--data", multiple=True, required=True, type=PATH)
@click.option("--val", required=True, type=PATH)
@click.option(
    "--subset",
    "subsets",
    multiple=True,
    type=PATH,
    help="Further annotations of --val's pictures, as `encompass data persons` writes them.",
)
@click.option("--out", required=True, type=PATH)
@click.option("--results", default="results/instance", type=PATH)
@row_option(ROWS)
@click.option("--set", "settings", multiple=True, metavar="branches.KEY=VALUE")
def main(
    detectors: tuple[Path, ...],
    full: Path,
    thin: Path,
    data: tuple[Path, ...],
    val: Path,
    subsets: tuple[Path, ...],
    out: Path,
    results: Path,
    rows: tuple[str, ...],
    settings: tuple[str, ...],
) -> None:
    """Train and score every instance row of the thesis; go on where a stop left it."""
    specs = dict(map(find_instance_row, rows))
    for name, spec in specs.items():
        check_row(name, spec)
    study = Study(
        find_detectors(detectors),
        join(load_dataset(path) for path in data),
        load_dataset(val),
        out,
        results,
        subsets={p.stem: load_dataset(p, images=val.parent / "images") for p in subsets},
    )
    study.score_detectors({1.0: full, 0.75: thin})
    for row, seed in runs(specs):
        study.run(row, specs[row], seed, settings)


if __name__ == "__main__":
    main()
