"""`encompass models`: what can be loaded by name."""

from __future__ import annotations

import json
from typing import Any

import click

from encompass.run.catalogue import DEFAULT_MODEL, Entry, entries

MAIN_SCORES = ("mask AP", "mask AP50", "box AP", "box AP50", "mIoU", "pixel accuracy")
FEW = 8  # classes that are named one by one


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, with all scores.")
def command(as_json: bool) -> None:
    """List the models that can be loaded by name."""
    found = list(entries().values())
    if as_json:
        click.echo(json.dumps([_facts(entry) for entry in found], indent=2))
    elif found:
        click.echo("\n\n".join(map(_describe, found)))
        click.echo("\nUse one with --model NAME. `encompass models --json` has all scores.")
    else:
        click.echo("No model is bundled; give --model the path of an exported file.")


def _facts(entry: Entry) -> dict[str, Any]:
    card = entry.card
    return {
        "name": card.name,
        "default": card.name == DEFAULT_MODEL,
        "task": card.task,
        "classes": list(card.names),
        "parameters": card.parameters,
        "input_size": list(card.input_size),  # height, width; 0, 0 is any
        "size_bytes": entry.size_bytes,
        "licence": card.licence,
        "training_data": card.training_data,
        "scores": dict(card.scores),
        "bundled": entry.bundled,
    }


def _describe(entry: Entry) -> str:
    from encompass.schema import ANY_SIZE

    card = entry.card
    height, width = card.input_size
    size = "any size" if card.input_size == ANY_SIZE else f"{width} x {height} px"
    default = " (default)" if card.name == DEFAULT_MODEL else ""
    scores = [f"{name} {card.scores[name]:g}" for name in MAIN_SCORES if name in card.scores]
    lines = [
        card.name + default + ("" if entry.bundled else " (not in this installation)"),
        f"{card.task}: {_classes(card.names)}",
        f"{size}, {card.parameters:,} parameters, {entry.size_bytes / 1e6:.1f} MB, {card.licence}",
        *([", ".join(scores)] if scores else []),
        f"Training data: {card.training_data}",
    ]
    return "\n  ".join(lines)


def _classes(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more
