"""`encompass profile`: what a network costs, stage by stage and branch by branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from encompass.evaluate.profile import Profile

PEOPLE = 10


@click.command(name="profile")
@click.argument("model")
@click.option(
    "--people",
    type=click.IntRange(min=0),
    help=f"Boxes that go through the branches, from small to large.  [default: {PEOPLE}]",
)
@click.option(
    "--padded",
    is_flag=True,
    help="Fill every branch with all the boxes it takes, as the thesis's graphs do.",
)
@click.option("--runs", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One record for each device.")
def command(
    model: str, people: int | None, padded: bool, runs: int, threads: int, as_json: bool
) -> None:
    """Measure MODEL, a row of the zoo (fresh weights) or a checkpoint (.safetensors), in PyTorch.

    Prints frames per second, time, multiply-adds, output bytes and parameters of the whole pass
    from a ready picture to mask logits and of each stage, on the CPU and on the GPU if there is
    one. docs/profile.md defines them all.
    """
    import dataclasses
    import json

    import torch
    from rich.console import Console

    from encompass.errors import UsageError
    from encompass.evaluate.profile import profile

    if padded and people is not None:
        raise UsageError(f"--padded fills every branch, whatever --people {people}; give one.")
    boxes = None if padded else PEOPLE if people is None else people
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    profiles = [
        profile(model, people=boxes, runs=runs, threads=threads, device=device)
        for device in devices
    ]
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(p) for p in profiles], indent=2))
    else:
        for found in profiles:
            Console().print(_table(found))


def _table(profile: Profile) -> Table:
    """Stages downwards, the whole pass at the bottom."""
    from rich.table import Table

    boxes = "every branch full" if profile.people is None else f"{profile.people} people"
    memory = "" if profile.peak_mb is None else f", peak memory {profile.peak_mb:.0f} MB"
    about = [profile.processor, *(f"{name} {v}" for name, v in profile.versions.items())]
    if profile.commit:
        about.append(f"commit {profile.commit}")
    table = Table(
        title=f"{profile.model} ({profile.weights} weights), {boxes}: {profile.fps:.2f} frames per "
        f"second, mean of {profile.runs} runs on {profile.device}, {profile.threads} threads"
        f"{memory}, {profile.whole.torch_parameters:,} parameters as PyTorch counts",
        caption=", ".join(about),
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
