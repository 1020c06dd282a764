"""Training of an instance row: the detector, the branches, or both together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import torch
from rich.console import Console
from rich.progress import Progress

from encompass.data.instances import Dataset, join
from encompass.data.sources import load_dataset
from encompass.errors import UsageError
from encompass.evaluate.coco import score_instances
from encompass.evaluate.network import network_predictor
from encompass.files import describe_data
from encompass.models.instance import SsdIsb
from encompass.models.weights import (
    BRANCHED,
    UNBRANCHED,
    is_row,
    save_detector,
    save_network,
)
from encompass.models.zoo import InstanceSpec
from encompass.train.branches import fit_branches
from encompass.train.detector import fit_detector
from encompass.train.distillation import fit_distillation
from encompass.train.features import cache_maps
from encompass.train.joint import fit_joint
from encompass.train.pictures import Validate
from encompass.train.recipes import STAGES, Recipe, find_recipe
from encompass.train.start import load_start


def train_instance(
    name: str,
    spec: InstanceSpec,
    *,
    data: tuple[Path, ...],
    images: Path | None,
    classes: tuple[str, ...],
    val: Path | None,
    weights: Path,
    out: Path,
    stage: str,
    settings: tuple[str, ...],
    licence: str | None,
    device: str,
) -> Path:
    """What `encompass train` does with an instance row; returns the checkpoint's path."""
    recipe = find_recipe(spec, settings)
    spec = dataclasses.replace(spec, score=recipe.detector.score)  # type: ignore[arg-type]
    stages = recipe.stages if stage == "all" else (stage,)
    for setting in settings:  # the score is the row's too
        if setting.split(".")[0] not in stages and not setting.startswith("detector.score="):
            raise UsageError(f"--set {setting}: there is no such training in --stage {stage}.")
    sets = {path: load_dataset(path, images=images, classes=classes) for path in data}
    dataset = join(sets.values())
    val_dataset = load_dataset(val, images=images, classes=classes) if val else None
    if val_dataset:
        join([dataset, val_dataset])  # refuses other classes
    torch.manual_seed(recipe.branches.seed)
    network = SsdIsb(spec, num_classes=len(dataset.classes.names))
    start, wide = load_start(network, weights, dataset, out)
    if wide is None and "distillation" in stages:
        stages = _without_distillation(stages, name, stage, settings, weights)
    branched = start.get("stage") in BRANCHED and is_row(start, spec)
    used = {} if "detector" in stages else start  # whose detector is kept as it is, or goes on
    if "detector" not in stages:
        _check_scores(spec, used, weights)
    if stage == "joint" and not branched:
        raise UsageError(
            f"{weights} has no trained branches of {name}; give a checkpoint that has, or train "
            "with --stage all."
        )
    for part in stages:
        _fit(part, network, wide, dataset, recipe, out, val=val_dataset, device=device)
    described = [f"{describe_data(p)} ({len(d)} pictures)" for p, d in sets.items()]
    parts = dict.fromkeys(STAGES)  # a release had no training of ours
    inherited = used.get("recipe", {})
    parts |= {p: s for p, s in inherited.items() if branched or p in UNBRANCHED}
    parts |= {part: dataclasses.asdict(getattr(recipe, part)) for part in stages}
    record = {
        "name": name,
        "row": dataclasses.asdict(spec),
        "names": list(dataset.classes.names),
        "category_ids": list(dataset.classes.category_ids),
        "data": list(dict.fromkeys([*used.get("data", []), *described])),
        "licence": licence or start.get("licence"),
        "stage": stage,
        "start": weights.name,
        "recipe": parts,
    }
    alone = stage in UNBRANCHED
    path = out / f"{name}{'-detector' if alone else ''}.safetensors"
    save = save_detector if alone else save_network
    save(path, network, record)
    return path


def _without_distillation(
    stages: tuple[str, ...], name: str, stage: str, settings: tuple[str, ...], weights: Path
) -> tuple[str, ...]:
    """Raises UsageError where it was asked for, by stage or settings."""
    if stage == "distillation" or any(s.startswith("distillation.") for s in settings):
        raise UsageError(
            f"{weights}: its trunk is not wider than that of {name}, so there is nothing to "
            "distil; give the checkpoint or release that it is to be pruned from."
        )
    return tuple(part for part in stages if part != "distillation")


def _check_scores(spec: InstanceSpec, used: Mapping[str, Any], weights: Path) -> None:
    """Raises UsageError where a detector that is kept has other scores than the row's."""
    theirs = used.get("row", {}).get("score", spec.score if used else "sigmoid")
    if theirs != spec.score:
        raise UsageError(f"{weights} has {theirs} scores; add --set detector.score={theirs}.")


def _fit(
    part: str,
    network: SsdIsb,
    wide: SsdIsb | None,
    dataset: Dataset,
    recipe: Recipe,
    out: Path,
    *,
    val: Dataset | None,
    device: str,
) -> None:
    """One of the trainings of a row, in its folder below `out`; ends with the scores, if wanted."""
    validate = _validation("box" if part in UNBRANCHED else "mask", val)
    options = {"validate": validate, "device": device}
    if part == "distillation" and wide:
        click.echo(f"Distillation: {recipe.distillation.steps} steps.", err=True)
        fit_distillation(network, wide, dataset, recipe.distillation, out / part, **options)
    elif part == "detector":
        click.echo(f"Detector: {recipe.detector.steps} steps on {len(dataset)} pictures.", err=True)
        fit_detector(network, dataset, recipe.detector, out / part, **options)
    elif part == "branches":
        click.echo(f"Branches: {recipe.branches.steps} steps.", err=True)
        maps = out / "maps"
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("caching features")
            cache_maps(
                network,
                dataset,
                recipe.branches,
                maps,
                device=device,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        fit_branches(network, dataset, recipe.branches, out / part, maps=maps, **options)
    else:
        click.echo(f"Together: {recipe.joint.steps} steps on {len(dataset)} pictures.", err=True)
        fit_joint(network, dataset, recipe.joint, out / part, **options)


def _validation(metric: str, val: Dataset | None) -> Validate | None:
    """The COCO scores of boxes or masks on a dataset, by name; None without one."""
    if val is None:
        return None
    names = val.classes.names

    def score(trained: SsdIsb) -> dict[str, float]:
        predict = network_predictor(trained, names=names, with_masks=metric == "mask")
        points = score_instances(val, predict).get(metric, {})
        chosen = {f"{metric} {key}": points.get(key) for key in ("AP", "AP50", "AP75")}
        return {key: value for key, value in chosen.items() if value is not None}

    return score
