"""Training of an instance row: the detector, the branches, or both together."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.progress import Progress

from encompass.data.instances import join
from encompass.data.sources import load_dataset
from encompass.errors import UsageError
from encompass.evaluate.coco import score_instances
from encompass.evaluate.network import network_predictor
from encompass.files import describe_data
from encompass.models.instance import SsdIsb
from encompass.models.weights import (
    BRANCHED,
    is_row,
    load_initial,
    save_detector,
    save_network,
)
from encompass.models.zoo import InstanceSpec
from encompass.train.branches import fit_branches
from encompass.train.detector import fit_detector
from encompass.train.features import cache_maps
from encompass.train.joint import fit_joint
from encompass.train.recipes import STAGES, find_recipe


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
    sets = {path: load_dataset(path, images=images, classes=classes) for path in data}
    dataset = join(sets.values())
    val_dataset = load_dataset(val, images=images, classes=classes) if val else None
    if val_dataset:
        join([dataset, val_dataset])  # refuses other classes
    names = dataset.classes.names
    torch.manual_seed(recipe.branches.seed)
    network = SsdIsb(spec, num_classes=len(names))
    start = load_initial(network, weights, names=names)
    stages = recipe.stages if stage == "all" else (stage,)
    used = {} if "detector" in stages else start  # whose detector is kept as it is, or goes on
    theirs = used.get("row", {}).get("score", "sigmoid" if used == {} else spec.score)
    if "detector" not in stages and theirs != spec.score:
        raise UsageError(f"{weights} has {theirs} scores; add --set detector.score={theirs}.")
    branched = start.get("stage") in BRANCHED and is_row(start, spec)
    if stage == "joint" and not branched:
        raise UsageError(
            f"{weights} has no trained branches of {name}; give a checkpoint that has, or train "
            "with --stage all."
        )
    for setting in settings:  # the score is the row's too
        if setting.split(".")[0] not in stages and not setting.startswith("detector.score="):
            raise UsageError(f"--set {setting}: there is no such training in --stage {stage}.")

    def validate(part: str, *, with_masks: bool):
        if val_dataset is None:
            return None
        scored = val_dataset

        def score(trained: SsdIsb) -> dict[str, float]:
            predict = network_predictor(trained, names=names, with_masks=with_masks)
            points = score_instances(scored, predict).get(part, {})
            chosen = {f"{part} {key}": points.get(key) for key in ("AP", "AP50", "AP75")}
            return {key: value for key, value in chosen.items() if value is not None}

        return score

    if "detector" in stages:
        click.echo(f"Detector: {recipe.detector.steps} steps on {len(dataset)} pictures.", err=True)
        fit_detector(
            network,
            dataset,
            recipe.detector,
            out / "detector",
            validate=validate("box", with_masks=False),
            device=device,
        )
    if "branches" in stages:
        click.echo(f"Branches: {recipe.branches.steps} steps.", err=True)
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("caching features")
            cache_maps(
                network,
                dataset,
                recipe.branches,
                out / "maps",
                device=device,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        fit_branches(
            network,
            dataset,
            recipe.branches,
            out / "branches",
            maps=out / "maps",
            validate=validate("mask", with_masks=True),
            device=device,
        )
    if "joint" in stages:
        click.echo(f"Together: {recipe.joint.steps} steps on {len(dataset)} pictures.", err=True)
        fit_joint(
            network,
            dataset,
            recipe.joint,
            out / "joint",
            validate=validate("mask", with_masks=True),
            device=device,
        )
    suffix = "-detector" if stage == "detector" else ""
    path = out / f"{name}{suffix}.safetensors"
    described = [f"{describe_data(p)} ({len(d)} pictures)" for p, d in sets.items()]
    parts = dict.fromkeys(STAGES)  # a release had no training of ours
    inherited = used.get("recipe", {})
    parts |= {p: s for p, s in inherited.items() if branched or p == "detector"}
    parts |= {part: dataclasses.asdict(getattr(recipe, part)) for part in stages}
    record = {
        "name": name,
        "row": dataclasses.asdict(spec),
        "names": list(names),
        "category_ids": list(dataset.classes.category_ids),
        "data": list(dict.fromkeys([*used.get("data", []), *described])),
        "licence": licence or start.get("licence"),
        "stage": stage,
        "start": weights.name,
        "recipe": parts,
    }
    save = save_detector if stage == "detector" else save_network
    save(path, network, record)
    return path
