"""Training of a semantic row."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click
import torch

from encompass.data.labels import join_labels
from encompass.data.sources import load_labels, load_labels_of
from encompass.evaluate.semantic import label_scorer
from encompass.files import describe_data
from encompass.models.semantic import SemanticNetwork
from encompass.models.weights import load_initial_semantic, save_network
from encompass.models.zoo import SemanticSpec
from encompass.train.recipes import find_semantic_recipe
from encompass.train.semantic import fit_semantic, load_best


def train_semantic(
    name: str,
    spec: SemanticSpec,
    *,
    data: tuple[Path, ...],
    splits: tuple[str, ...],
    images: Path | None,
    classes: tuple[str, ...],
    val: Path | None,
    val_split: str | None,
    weights: Path,
    out: Path,
    recipe: str,
    settings: tuple[str, ...],
    licence: str | None,
    device: str,
) -> Path:
    """What `encompass train` does with a semantic row; returns the checkpoint's path."""
    config = find_semantic_recipe(recipe, settings)
    parts = [(path, split) for path in data for split in splits or (None,)]
    sets = [load_labels(p, split=split, images=images, classes=classes) for p, split in parts]
    dataset = join_labels(sets)
    table = dataset.table
    scored = load_labels_of(table.names, val, split=val_split, images=images) if val else None
    torch.manual_seed(config.seed)
    network = SemanticNetwork(spec, num_classes=len(table))
    start = load_initial_semantic(network, weights, names=table.names)
    click.echo(f"{name}: {config.steps} steps on {len(dataset)} pictures.", err=True)
    folder = out / "semantic"
    fit_semantic(
        network,
        dataset,
        config,
        folder,
        val=scored,
        validate=label_scorer(scored) if scored else None,
        device=device,
    )
    described = [
        f"{describe_data(*part)} ({len(loaded)} pictures)"
        for part, loaded in zip(parts, sets, strict=True)
    ]
    record = {
        "name": name,
        "row": dataclasses.asdict(spec),
        "task": "semantic",
        "names": list(table.names),
        "colours": list(table.colours),
        "data": list(dict.fromkeys([*start.get("data", []), *described])),
        "licence": licence or start.get("licence"),
        "stage": "all",
        "start": weights.name,
        "recipe": {"name": recipe, "semantic": dataclasses.asdict(config)},
    }
    path = out / f"{name}.safetensors"
    if val is not None:
        save_network(out / f"{name}-last.safetensors", network, record)
        record["best"] = {"data": describe_data(val, val_split), **load_best(network, folder)}
    save_network(path, network, record)
    return path
