"""`encompass evaluate`: the scores of a model or a checkpoint on a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from encompass.run.predictor import Model


@click.command(name="evaluate")
@click.argument("model")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="COCO annotations (.json, pictures in images/ beside it) or a folder with images/ and "
    "masks/; for a semantic model also Cityscapes, CamVid or a folder of label maps.",
)
@click.option(
    "--split", metavar="NAME", help="Part of data that has parts, e.g. val. Semantic models only."
)
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of the pictures of COCO annotations, if not images/ beside each.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the result to this JSON file.")
@click.option(
    "--plots",
    type=click.Path(path_type=Path, file_okay=False),
    help="Draw into this folder: precision-recall curves and the scores of each shape; of a "
    "semantic model the confusion matrix and the worst pictures.",
)
@click.option(
    "--quality",
    is_flag=True,
    help="Score the masks of ground-truth boxes too, apart from detection (checkpoints only).",
)
@click.option(
    "--tiles",
    metavar="ROWSxCOLUMNS",
    help="Look at so many overlapping tiles too (exported instance models only).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, not as a table.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads; all cores by default.")
def command(
    model: str,
    data: Path,
    split: str | None,
    images: Path | None,
    out: Path | None,
    plots: Path | None,
    quality: bool,
    tiles: str | None,
    as_json: bool,
    threads: int | None,
) -> None:
    """Score MODEL: a name, an exported file or a checkpoint (.safetensors)."""
    import json

    from encompass.cli._size import parse_tiles
    from encompass.environment import commit, cpu_name, versions
    from encompass.errors import UsageError
    from encompass.files import describe_data, replacing, sha256
    from encompass.run.machine import usable_cores

    threads = threads or usable_cores()
    opened = _open(model, threads)
    if _is_semantic(opened):
        from encompass.cli._evaluate_semantic import score_semantic, show

        if quality:
            raise UsageError(f"--quality: {model} is semantic and has no boxes.")
        if tiles:
            raise UsageError(f"--tiles: {model} is semantic and labels every pixel at full size.")
        scored = score_semantic(
            opened, data, split=split, images=images, threads=threads, quiet=as_json
        )
    else:
        from encompass.cli._evaluate_instance import score_instance, show

        if split:
            raise UsageError(f"--split is of semantic models; {model} finds instances.")
        scored = score_instance(
            opened,
            data,
            images=images,
            quality=quality,
            tiles=parse_tiles(tiles) if tiles else None,
            threads=threads,
            quiet=as_json,
        )
    result = {
        "model": scored.name,
        "file": {"name": scored.path.name, "sha256": sha256(scored.path)},
        "data": describe_data(data, split),
        **({"tiles": tiles} if tiles else {}),
        **scored.scores,
        "cpu": cpu_name(),
        "threads": threads,
        "versions": versions("numpy", "onnxruntime", "torch", "faster-coco-eval"),
        "commit": commit(),
    }
    if out:
        with replacing(out) as file:
            file.write((json.dumps(result, indent=2) + "\n").encode())
    if plots:
        for path in scored.draw(result, plots):
            click.echo(path, err=True)
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        show(result)


def _open(model: str, threads: int) -> Path | Model:
    """A checkpoint's path, or an exported file or a name, opened."""
    if model.endswith(".safetensors"):
        return Path(model)
    from encompass.errors import UsageError
    from encompass.models.zoo import MODELS, SEMANTIC_MODELS
    from encompass.run.catalogue import entries
    from encompass.run.predictor import load

    if model in (MODELS | SEMANTIC_MODELS).keys() - entries().keys():
        raise UsageError(
            f"{model} is a row, of which no exported file is bundled; give its checkpoint, "
            f"e.g. weights/{model}.safetensors."
        )
    return load(model, threads=threads)


def _is_semantic(opened: Path | Model) -> bool:
    """Whether a model labels pixels."""
    if isinstance(opened, Path):
        from encompass.models.weights import load_checkpoint

        return load_checkpoint(opened)[1].get("task") == "semantic"
    return opened.card.task == "semantic"
