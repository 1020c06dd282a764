"""`encompass export`: a trained checkpoint to one ONNX file, proved against the network."""

from __future__ import annotations

from pathlib import Path

import click


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
    "--pictures",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Photos or folders on which file and network are compared; by default a photo of this "
    "package, large and in groups of up to twenty.",
)
def command(
    checkpoint: Path,
    out: Path,
    storage: str,
    scores: Path | None,
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
    from encompass.evaluate.network import load_network, network_predictor
    from encompass.export.card import build_card, read_scores
    from encompass.export.onnx import build_onnx
    from encompass.export.parity import SCORE, TOLERANCES, check_parity, compare
    from encompass.files import replacing, sha256
    from encompass.run.predictor import load
    from encompass.run.source import expand_sources

    if out.suffix != ".onnx":
        raise UsageError(f"--out {out}: the file's name must end in .onnx.")
    network, record = load_network(checkpoint)
    names = tuple(record["names"])
    source = sha256(checkpoint)
    points = read_scores(scores, sha256=source) if scores else {}
    card = build_card(network, record, scores=points, commit=commit())
    data = build_onnx(network, card, storage=storage).SerializeToString()  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        photos = expand_sources(pictures) if pictures else _photos(Path(folder))
        trial = Path(folder, out.name)
        trial.write_bytes(data)
        exported = load(trial)
        reference = network_predictor(network, names=names, score=SCORE)
        gap = compare(reference, lambda path: exported(path, score=SCORE), photos)
        check_parity(gap, TOLERANCES[storage], out)
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
    click.echo(
        f"{out}: {len(data) / 1e6:.1f} MB; {gap.objects} objects in {gap.pictures} pictures, "
        f"{gap.unmatched} unmatched, boxes within {gap.box:.2%} of their size, scores within "
        f"{gap.score:.5f}, {gap.equal_pixels:.3%} of mask pixels equal"
    )


def _photos(folder: Path) -> list[Path]:
    """The package's photo as it is, so large that it is reduced first, and many times in one."""
    from PIL import Image

    from encompass.run.benchmark import PEOPLE, scene
    from encompass.run.source import EXAMPLE

    with Image.open(EXAMPLE) as photo:
        made = {"large": photo.resize((photo.width * 6, photo.height * 6))}
    made |= {str(people): Image.fromarray(scene(people)) for people in PEOPLE}
    paths = [EXAMPLE]
    for name, picture in made.items():
        paths.append(folder / f"{name}.png")
        picture.save(paths[-1], compress_level=1)
    return paths
