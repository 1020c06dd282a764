"""`encompass export`: a trained checkpoint to one ONNX file, proved against the network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from PIL import Image

    from encompass.models.instance import SsdIsb
    from encompass.models.semantic import SemanticNetwork
    from encompass.run.predictor import InstanceModel, SemanticModel


@click.command(name="export")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The .onnx file to write."
)
@click.option(
    "--storage",
    type=click.Choice(["fp32", "fp16"]),
    default="fp32",
    show_default=True,
    help="How weights lie in the file; computing is always in float32. fp16 halves the file.",
)
@click.option(
    "--scores",
    type=click.Path(path_type=Path),
    help="Result of `encompass evaluate`, for the model's card.",
)
@click.option(
    "--licence",
    default="Apache-2.0",
    show_default=True,
    metavar="SPDX",
    help="Of the weights, for the model's card: the data's terms may reach them.",
)
@click.option(
    "--pictures",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Photos or folders on which file and network are compared; by default a photo of this "
    "package, at several sizes or in groups of up to twenty.",
)
def command(
    checkpoint: Path,
    out: Path,
    storage: str,
    scores: Path | None,
    licence: str,
    pictures: tuple[Path, ...],
) -> None:
    """Export CHECKPOINT (.safetensors, from a training) and compare the file with the network.

    Writes the model's card (.json) beside the file. When the two disagree nothing is kept and the
    exit code is 1.
    """
    import dataclasses
    import hashlib
    import json
    import tempfile

    from encompass.environment import commit
    from encompass.errors import UsageError
    from encompass.export.card import build_card, read_scores
    from encompass.export.onnx import build_onnx
    from encompass.export.semantic_onnx import build_semantic_onnx
    from encompass.files import replacing, sha256
    from encompass.models.semantic import SemanticNetwork
    from encompass.run.predictor import load
    from encompass.run.source import expand_sources

    if out.suffix != ".onnx":
        raise UsageError(f"--out {out}: the file's name must end in .onnx.")
    network, record = open_checkpoint(checkpoint)
    source = sha256(checkpoint)
    points = read_scores(scores, sha256=source) if scores else {}
    card = build_card(network, record, scores=points, licence=licence, commit=commit())
    if isinstance(network, SemanticNetwork):
        graph = build_semantic_onnx(network, card, storage=storage)  # type: ignore[arg-type]
    else:
        graph = build_onnx(network, card, storage=storage)  # type: ignore[arg-type]
    data = graph.SerializeToString()
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder, out.name)
        trial.write_bytes(data)
        exported: Any = load(trial)  # of the network's kind
        given = expand_sources(pictures)
        if isinstance(network, SemanticNetwork):
            photos = given or _sizes(Path(folder))
            proof = _compare_labels(network, exported, photos, storage, out)
        else:
            photos = given or _groups(Path(folder))
            proof = _compare_objects(network, exported, photos, storage, out)
    with replacing(out) as file:
        file.write(data)
    facts = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_bytes": len(data),
        "checkpoint_sha256": source,
    }
    with replacing(out.with_suffix(".json")) as file:
        text = json.dumps(dataclasses.asdict(card) | facts, indent=2, sort_keys=True)
        file.write((text + "\n").encode())
    click.echo(f"{out}: {len(data) / 1e6:.1f} MB; {proof}")


def open_checkpoint(path: Path) -> tuple[SsdIsb | SemanticNetwork, dict[str, Any]]:
    """A trained checkpoint as a network in evaluation mode, and its record. Raises ModelError."""
    from encompass.evaluate.network import load_network
    from encompass.evaluate.semantic import load_semantic
    from encompass.models.weights import load_checkpoint

    if load_checkpoint(path)[1].get("task") == "semantic":
        network, _, record = load_semantic(path)
        return network, record
    return load_network(path)


def _compare_objects(
    network: SsdIsb, exported: InstanceModel, photos: list[Path], storage: str, out: Path
) -> str:
    """What the comparison showed, for the user. Raises ParityError."""
    from encompass.evaluate.network import network_predictor
    from encompass.export.parity import SCORE, TOLERANCES, check_parity, compare

    reference = network_predictor(network, names=exported.names, score=SCORE)
    gap = compare(reference, lambda path: exported(path, score=SCORE), photos)
    check_parity(gap, TOLERANCES[storage], out)
    return (
        f"{gap.objects} objects in {gap.pictures} pictures, {gap.unmatched} unmatched, boxes "
        f"within {gap.box:.2%} of their size, scores within {gap.score:.5f}, "
        f"{gap.equal_pixels:.3%} of mask pixels equal"
    )


def _compare_labels(
    network: SemanticNetwork, exported: SemanticModel, photos: list[Path], storage: str, out: Path
) -> str:
    """What the comparison showed, for the user. Raises ParityError."""
    from encompass.evaluate.semantic import label_predictor
    from encompass.export.semantic_parity import EQUAL_PIXELS, check_label_parity, compare_labels

    gap = compare_labels(label_predictor(network), lambda path: exported(path).labels, photos)
    check_label_parity(gap, EQUAL_PIXELS[storage], out)
    return (
        f"{gap.classes} classes in {gap.pictures} pictures, {gap.equal_pixels:.3%} of labels equal"
    )


def _groups(folder: Path) -> list[Path]:
    """The package's photo as it is, so large that it is reduced first, and many times in one."""
    from PIL import Image

    from encompass.run.benchmark import PEOPLE, scene
    from encompass.run.source import EXAMPLE

    with Image.open(EXAMPLE) as photo:
        made = {"large": photo.resize((photo.width * 6, photo.height * 6))}
    made |= {str(people): Image.fromarray(scene(people)) for people in PEOPLE}
    return [EXAMPLE, *_write(made, folder)]


def _sizes(folder: Path) -> list[Path]:
    """The package's photo as it is and at sizes that are and are not multiples of a stride."""
    from PIL import Image

    from encompass.run.source import EXAMPLE

    with Image.open(EXAMPLE) as photo:
        made = {str(size): photo.resize(size) for size in ((96, 160), (481, 363), (1025, 770))}
    return [EXAMPLE, *_write(made, folder)]


def _write(made: Mapping[str, Image.Image], folder: Path) -> list[Path]:
    """Pictures by name, as files."""
    paths = []
    for name, picture in made.items():
        paths.append(folder / f"{name}.png")
        picture.save(paths[-1], compress_level=1)
    return paths
