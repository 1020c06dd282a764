"""`encompass train`: one row of the zoo, instance or semantic, from data to a checkpoint."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command(name="train")
@click.argument("model")
@click.option(
    "--data",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="COCO annotations (.json, pictures in images/ beside it) or a folder with images/ and "
    "masks/; may be repeated. Pictures without masks teach the detector only. Semantic rows also "
    "take Cityscapes, CamVid and folders of label maps.",
)
@click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="NAME",
    help="Part of each --data that has parts, e.g. train; may be repeated. Semantic rows only.",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of the pictures of COCO annotations, if not images/ beside each.",
)
@click.option(
    "--classes",
    multiple=True,
    metavar="NAME",
    help="Keep this class of the data alone; may be repeated. All by default.",
)
@click.option(
    "--val",
    type=click.Path(path_type=Path),
    help="Scored while training and at the end; of a semantic row the best is kept.",
)
@click.option("--val-split", metavar="NAME", help="Part of --val that is scored, e.g. val.")
@click.option(
    "--weights",
    required=True,
    type=click.Path(path_type=Path),
    help="Initial weights: a release of SSD-MobileNet, for semantic rows of an ImageNet network "
    "(.tflite or .npz), or a checkpoint (.safetensors); of another row's checkpoint the detector "
    "or the encoder is taken.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the run.")
@click.option(
    "--stage",
    type=click.Choice(["all", "distillation", "detector", "branches", "joint"]),
    default="all",
    show_default=True,
    help="What to train: all that the row's recipe has; a pruned detector by the one that it "
    "came from; the detector; the branches, on the "
    "detector as the weights have it; or both together, once branches are trained. Instance rows "
    "only.",
)
@click.option(
    "--recipe",
    type=click.Choice(["ours", "thesis"]),
    default="ours",
    show_default=True,
    help="Settings to start from. Semantic rows only; others have one.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="PART.KEY=VALUE",
    help="Change a setting of the recipe, e.g. detector.steps=500, branches.seed=1 or "
    "semantic.steps=500.",
)
@click.option(
    "--licence",
    metavar="SPDX",
    help="Of the trained weights, as the data's terms ask, e.g. CC-BY-NC-4.0; kept in the "
    "checkpoint and in what is exported from it. By default that of the --weights checkpoint.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="CPU threads that compute; all cores by default. What reads pictures has processes of its "
    "own, e.g. --set detector.workers=1.",
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    help="Where the network learns; by default a GPU that torch finds.",
)
def command(
    model: str,
    data: tuple[Path, ...],
    images: Path | None,
    splits: tuple[str, ...],
    classes: tuple[str, ...],
    val: Path | None,
    val_split: str | None,
    weights: Path,
    out: Path,
    stage: str,
    recipe: str,
    settings: tuple[str, ...],
    licence: str | None,
    threads: int | None,
    device: str | None,
) -> None:
    """Train MODEL, a row of the zoo or a row file (.toml).

    Run again with the same --out to resume after a stop.
    """
    # Large pages for large tensors, where Linux has them on request: most of what the system spends
    # on a step is page faults.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    import torch

    from encompass.errors import UsageError
    from encompass.models.rows import find_row
    from encompass.models.zoo import InstanceSpec

    if threads:
        torch.set_num_threads(threads)
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch finds no GPU here; use --device cpu.")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    name, spec = find_row(model)
    if isinstance(spec, InstanceSpec):
        from encompass.cli._train_instance import train_instance

        for option, given in (
            ("--split", splits),
            ("--val-split", val_split),
            ("--recipe", recipe != "ours"),
        ):
            if given:
                raise UsageError(f"{option} is of semantic rows; {name} finds instances.")
        path = train_instance(
            name,
            spec,
            data=data,
            images=images,
            classes=classes,
            val=val,
            weights=weights,
            out=out,
            stage=stage,
            settings=settings,
            licence=licence,
            device=device,
        )
    else:
        from encompass.cli._train_semantic import train_semantic

        if stage != "all":
            raise UsageError(f"--stage {stage}: {name} is semantic and is trained as a whole.")
        path = train_semantic(
            name,
            spec,
            data=data,
            splits=splits,
            images=images,
            classes=classes,
            val=val,
            val_split=val_split,
            weights=weights,
            out=out,
            recipe=recipe,
            settings=settings,
            licence=licence,
            device=device,
        )
    click.echo(path)
