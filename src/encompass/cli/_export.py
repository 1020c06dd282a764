"""From a checkpoint or an exported file to a file of any format, compared with where it came
from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import operator
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from PIL import Image

import encompass
from encompass.cli._accuracy import accuracy
from encompass.environment import commit
from encompass.errors import UsageError
from encompass.evaluate.network import load_network, network_predictor
from encompass.evaluate.semantic import label_predictor, load_semantic
from encompass.export.card import build_card, read_scores
from encompass.export.onnx import build_onnx
from encompass.export.openvino import save_openvino, to_openvino
from encompass.export.parity import (
    POINTS,
    ROUNDED,
    TOLERANCES,
    check_accuracy,
    check_parity,
    compare,
)
from encompass.export.rewrite import fixed_size, full_weights, half_weights
from encompass.export.semantic_onnx import build_semantic_onnx
from encompass.export.semantic_parity import EQUAL_PIXELS, check_label_parity, compare_labels
from encompass.files import replacing, sha256
from encompass.models.instance import SsdIsb
from encompass.models.semantic import SemanticNetwork
from encompass.models.weights import load_checkpoint
from encompass.pictures import read_picture
from encompass.run.benchmark import PEOPLE, scene
from encompass.run.catalogue import find_model
from encompass.run.predictor import Model, SemanticModel, load
from encompass.run.source import EXAMPLE, expand_sources
from encompass.schema import ANY_SIZE, ModelCard


@dataclass(frozen=True, kw_only=True)
class Form:
    """What is to be written."""

    format: str  # "onnx", "openvino" or "litert"
    precision: str  # "fp32", "fp16", "bf16" or "int8"
    size: tuple[int, int] | None  # (height, width) of its pictures, pixels; None: any
    batch: int  # pictures in one call


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a file is made from."""

    path: Path
    opened: Path | Model  # the path of a checkpoint, else the model
    graph: onnx.ModelProto  # its weights in single precision
    card: ModelCard
    predict: Callable[[Path], Any]  # objects, or labels
    network: SsdIsb | SemanticNetwork | None = None  # where it is a checkpoint


def export(
    model: Path,
    out: Path,
    form: Form,
    *,
    scores: Path | None,
    licence: str | None,
    pictures: Sequence[Path],
    data: Path | None,
    split: str | None,
) -> str:
    """Write the file and its card, and tell what the comparison showed.

    With `data` the two are scored on it as well.

    Raises:
        ParityError: the file does not compute what its source does. Nothing is kept then.
    """
    least = TOLERANCES[form.precision].least
    source = open_source(model, batch=form.batch, least=least, scores=scores, licence=licence)
    card = dataclasses.replace(source.card, precision=form.precision)
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder, out.name)
        files = write(source, card, trial, form)
        exported: Any = load(trial)
        given = expand_sources(pictures)
        if isinstance(exported, SemanticModel):
            photos = _fitted(exported, given or _sizes(Path(folder)), Path(folder))
            gap = compare_labels(source.predict, lambda path: exported(path).labels, photos)
            check_label_parity(gap, EQUAL_PIXELS[form.precision], out)
        else:
            photos = _fitted(exported, given or _groups(Path(folder)), Path(folder))
            tolerance = TOLERANCES[form.precision]
            gap = compare(
                source.predict,
                lambda path: exported(path, score=tolerance.least),
                photos,
                sure=tolerance.least + tolerance.score,
            )
            check_parity(gap, tolerance, out)
        told = str(gap)
        if data:
            told += f"; {_score(source, exported, data, split, out, form.precision)}"
        keep(files, card, out, source=source)
        size = sum(file.stat().st_size for file in files)
    return f"{out}: {size / 1e6:.1f} MB; {told}"


def _score(
    source: Source, exported: Model, data: Path, split: str | None, out: Path, precision: str
) -> str:
    """The scores of both on a dataset. Raises ParityError when they differ."""
    (before, number), (after, _) = (
        accuracy(one, exported.card.task, data, split=split) for one in (source.opened, exported)
    )
    rounded = exported.runtime != "onnxruntime" and exported.card.input_size != ANY_SIZE
    points = POINTS[precision] + (ROUNDED if rounded else 0)
    check_accuracy(before, after, points, out)
    scores = ", ".join(
        f"{metric} {after[metric]:.2f} (was {before[metric]:.2f})" for metric in before
    )
    return f"{scores} on {number} pictures of {data.name}"


def open_source(
    model: Path, *, batch: int, least: float, scores: Path | None, licence: str | None
) -> Source:
    """A checkpoint, or a file or bundled model that was exported from one.

    Args:
        model: its path or name.
        batch: pictures that its graph takes at a time.
        least: score of the objects that it predicts.
        scores: a result of `encompass evaluate`.
        licence: for the card.

    Raises:
        ModelError: the file is neither.
        UsageError: there is no such model.
    """
    if model.suffix == ".safetensors":
        network, record = open_checkpoint(model)
        points, best = read_scores(scores, sha256=sha256(model)) if scores else ({}, None)
        card = build_card(
            network, record, scores=points, best_f1=best, licence=licence, commit=commit()
        )
        if isinstance(network, SemanticNetwork):
            graph, predict = (
                build_semantic_onnx(network, card, batch=batch),
                label_predictor(network),
            )
        else:
            graph = build_onnx(network, card, batch=batch)
            predict = network_predictor(network, names=card.names, score=least)
        return Source(
            path=model, opened=model, graph=graph, card=card, predict=predict, network=network
        )
    if batch > 1:
        raise UsageError(f"--batch {batch}: {model} has its own; give the checkpoint.")
    if scores:
        raise UsageError(f"--scores {scores}: {model} has its own; leave it out.")
    path = find_model(str(model))
    if path.suffix != ".onnx":
        raise UsageError(f"{model}: give a checkpoint (.safetensors), a name or an .onnx file.")
    loaded: Any = load(path)
    if loaded.card.precision == "int8":
        raise UsageError(f"{path}: its weights are rounded to 8 bits; give what it was made from.")
    card = dataclasses.replace(
        loaded.card,
        licence=licence or loaded.card.licence,
        commit=commit(),
        version=encompass.__version__,
    )
    if isinstance(loaded, SemanticModel):
        predict = lambda path: loaded(path).labels  # noqa: E731
    else:
        predict = lambda path: loaded(path, score=least)  # noqa: E731
    graph = full_weights(onnx.load(path))
    return Source(path=path, opened=loaded, graph=graph, card=card, predict=predict)


def open_checkpoint(path: Path) -> tuple[SsdIsb | SemanticNetwork, dict[str, Any]]:
    """A trained checkpoint as a network in evaluation mode, and its record. Raises ModelError."""
    if load_checkpoint(path)[1].get("task") == "semantic":
        network, _, record = load_semantic(path)
        return network, record
    return load_network(path)


def write(source: Source, card: ModelCard, path: Path, form: Form) -> list[Path]:
    """Write a model in a form; gives the files, the one that opens the model first.

    Raises:
        UsageError: there is no such form of this model.
    """
    if form.format == "litert":
        if source.network is None:
            raise UsageError(f"{source.path}: LiteRT files are made from a checkpoint; give that.")
        try:
            from encompass.export.litert import build_litert
        except ImportError:
            raise UsageError(
                "LiteRT, which has this format, is not installed; pip install '.[litert]' in the "
                "checkout."
            ) from None
        if form.batch > 1:
            raise UsageError(f"--batch {form.batch}: LiteRT files take one picture at a time.")
        half = form.precision == "fp16"
        path.write_bytes(build_litert(source.network, card, size=form.size, half=half))
        return [path]
    graph = source.graph
    if form.size:
        graph = fixed_size(graph, form.size)
        limits = card.input_size if card.task == "instance" else form.size
        if form.format == "openvino" and any(map(operator.gt, form.size, limits)):
            raise UsageError(
                f"--size {form.size[0]}x{form.size[1]} is more than the network's input, "
                f"{limits[0]}x{limits[1]}, and OpenVINO does not antialias; give at most that."
            )
    onnx.helper.set_model_props(graph, card.to_metadata())
    if form.format == "openvino":
        save_openvino(to_openvino(graph), path, half=form.precision == "fp16")
        return [path, path.with_suffix(".bin")]
    if form.precision == "fp16":
        graph = half_weights(graph)
    path.write_bytes(graph.SerializeToString())
    return [path]


def keep(files: Sequence[Path], card: ModelCard, out: Path, *, source: Source) -> None:
    """Put what `write` gave, and the card beside it, where it was asked for."""
    # The file that opens the model comes last: without the others it is nothing.
    for file in reversed(files):
        with replacing(out.with_suffix(file.suffix)) as target:
            target.write(file.read_bytes())
    _write_card(card, files, out, source_sha256=sha256(source.path))


def _write_card(card: ModelCard, files: Sequence[Path], out: Path, *, source_sha256: str) -> None:
    """FILE.json beside the file: the card, and what tells this file from others."""
    first, *others = (hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    facts = {
        "sha256": first,
        "size_bytes": sum(file.stat().st_size for file in files),
        "source_sha256": source_sha256,
    }
    if others:
        (facts["weights_sha256"],) = others
    with replacing(out.with_name(f"{out.name}.json")) as target:
        text = json.dumps(dataclasses.asdict(card) | facts, indent=2, sort_keys=True)
        target.write((text + "\n").encode())


def _fitted(exported: Model, photos: Sequence[Path], folder: Path) -> list[Path]:
    """Pictures of which the file sees every pixel; others are made smaller or stretched first.

    What is lost there, the file cannot help; the source then sees the same.
    """
    fitted = []
    for number, path in enumerate(photos):
        picture = read_picture(path)
        shown = exported.fit(picture)
        fitted.append(path)
        if shown is not picture:
            fitted[-1] = folder / f"fitted-{number}.png"
            Image.fromarray(shown).save(fitted[-1], compress_level=1)
    return fitted


def _groups(folder: Path) -> list[Path]:
    """The package's photo as it is, so large that it is reduced first, and many times in one.

    Some noise tells the many from each other: the order of equal scores is nobody's.
    """
    with Image.open(EXAMPLE) as photo:
        made = {"large": photo.resize((photo.width * 6, photo.height * 6))}
    rng = np.random.default_rng(0)
    for people in PEOPLE:
        noisy = scene(people) + rng.normal(scale=4, size=scene(people).shape)
        made[str(people)] = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    return [EXAMPLE, *_save(made, folder)]


def _sizes(folder: Path) -> list[Path]:
    """The package's photo as it is and at sizes that are and are not multiples of a stride."""
    with Image.open(EXAMPLE) as photo:
        made = {str(size): photo.resize(size) for size in ((96, 160), (481, 363), (1025, 770))}
    return [EXAMPLE, *_save(made, folder)]


def _save(made: Mapping[str, Image.Image], folder: Path) -> list[Path]:
    """Pictures by name, as files."""
    paths = []
    for name, picture in made.items():
        paths.append(folder / f"{name}.png")
        picture.save(paths[-1], compress_level=1)
    return paths
