"""`encompass profile`: what a network costs, stage by stage and branch by branch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from encompass.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from encompass.evaluate.profile import Profile
    from encompass.evaluate.profile_semantic import SemanticProfile

PEOPLE = 10


@click.command(name="profile")
@click.argument("model")
@click.option(
    "--people",
    type=click.IntRange(min=0),
    help=f"Boxes that go through the branches, from small to large; instance rows only.  "
    f"[default: {PEOPLE}]",
)
@click.option(
    "--padded",
    is_flag=True,
    help="Fill every branch with all the boxes it takes, as the thesis's graphs do; instance rows "
    "only.",
)
@click.option(
    "--size",
    "sizes",
    multiple=True,
    metavar="HEIGHTxWIDTH",
    help="Of the picture, pixels; may be repeated; semantic rows only.  [default: 1024x2048, "
    "360x480]",
)
@click.option("--runs", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One record for each device and size.")
def command(
    model: str,
    people: int | None,
    padded: bool,
    sizes: tuple[str, ...],
    runs: int,
    threads: int,
    as_json: bool,
) -> None:
    """Measure MODEL, a row of the zoo (fresh weights) or a checkpoint (.safetensors), in PyTorch.

    Prints frames per second, time, multiply-adds, output bytes and parameters of the whole pass
    from a ready picture to mask logits, or to the class of each pixel, and of each stage, on the
    CPU and on the GPU if there is one. docs/profile.md defines them all.
    """
    import dataclasses
    import json

    import torch
    from rich.console import Console

    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    if _is_semantic(model):
        from encompass.cli._size import parse_size
        from encompass.evaluate.profile_semantic import SIZES, profile_semantic

        if padded or people is not None:
            option = "--padded" if padded else "--people"
            raise UsageError(f"{option}: {model} is semantic and has no boxes.")
        chosen = tuple(map(parse_size, sizes)) or SIZES
        profiles: list[Any] = [
            measured
            for device in devices
            for size in chosen
            for measured in profile_semantic(
                [model], size=size, runs=runs, threads=threads, device=device
            )
        ]
    else:
        from encompass.evaluate.profile import profile

        if sizes:
            raise UsageError(f"--size is of semantic rows; {model} has one size of input.")
        if padded and people is not None:
            raise UsageError(f"--padded fills every branch, whatever --people {people}; give one.")
        boxes = None if padded else PEOPLE if people is None else people
        profiles = [
            measured
            for device in devices
            for measured in profile(
                [model], people=boxes, runs=runs, threads=threads, device=device
            )
        ]
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(p) for p in profiles], indent=2))
    else:
        for found in profiles:
            Console().print(_table(found))


def _is_semantic(model: str) -> bool:
    """Whether a row or a checkpoint labels pixels."""
    from encompass.models.rows import find_row
    from encompass.models.weights import load_checkpoint
    from encompass.models.zoo import SemanticSpec

    if model.endswith(".safetensors"):
        return load_checkpoint(Path(model))[1].get("task") == "semantic"
    if model.endswith(".onnx"):
        raise UsageError(
            f"{model}: an exported file is one graph, whose stages cannot be told apart; give its "
            "checkpoint (.safetensors) or row, or use "
            f"`encompass benchmark --model {model} --stages`."
        )
    return isinstance(find_row(model)[1], SemanticSpec)


def _table(profile: Profile | SemanticProfile) -> Table:
    """Stages downwards, the whole pass at the bottom."""
    from rich.table import Table

    from encompass.environment import origin
    from encompass.evaluate.profile import Profile

    if not isinstance(profile, Profile):
        what = f"{profile.height}x{profile.width}, {profile.num_classes} classes"
    elif profile.people is None:
        what = "every branch full"
    else:
        what = f"{profile.people} people"
    memory = "" if profile.peak_mb is None else f", peak memory {profile.peak_mb:.0f} MB"
    table = Table(
        title=f"{profile.model} ({profile.weights} weights), {what}: {profile.fps:.2f} frames per "
        f"second, mean of {profile.runs} runs on {profile.device}, {profile.threads} threads"
        f"{memory}, {profile.whole.torch_parameters:,} parameters as PyTorch counts",
        caption=origin(profile.processor, profile.versions, profile.commit),
    )
    table.add_column("stage", no_wrap=True)
    for column in ("boxes", "para-\nmeters", "MACs\nM", "output\nMB", "mean\nms", "median\n/ p95"):
        table.add_column(column, justify="right")
    for stage in (*profile.stages, profile.whole):
        if stage is profile.whole:
            table.add_section()
        table.add_row(
            stage.name,
            "" if stage.boxes is None else str(stage.boxes),
            f"{stage.parameters:,}",
            f"{stage.macs / 1e6:,.1f}",
            f"{stage.output_bytes / 1e6:,.1f}",
            f"{stage.mean_ms:.1f}",
            f"{stage.median_ms:.1f} / {stage.p95_ms:.1f}",
        )
    return table
