"""`encompass models`: what can be loaded by name."""

from __future__ import annotations

import json
from typing import Any

import click

from encompass.run.catalogue import Entry, entries
from encompass.schema import ANY_SIZE


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def command(as_json: bool) -> None:
    """List the models that can be loaded by name."""
    found = list(entries().values())
    if as_json:
        click.echo(json.dumps([_facts(entry) for entry in found], indent=2))
    elif found:
        click.echo("\n\n".join(map(_describe, found)))
    else:
        click.echo("No model is bundled; give --model the path of an .onnx file.")


def _facts(entry: Entry) -> dict[str, Any]:
    card = entry.card
    return {
        "name": card.name,
        "task": card.task,
        "parameters": card.parameters,
        "input_size": list(card.input_size),  # height, width; 0, 0 is any
        "licence": card.licence,
        "training_data": card.training_data,
        "scores": dict(card.scores),
        "bundled": entry.bundled,
    }


def _describe(entry: Entry) -> str:
    card = entry.card
    height, width = card.input_size
    size = "any size" if card.input_size == ANY_SIZE else f"{width} x {height} px"
    lines = [
        card.name if entry.bundled else f"{card.name} (not in this installation)",
        f"{card.task}, {size}, {card.parameters:,} parameters, {card.licence}",
        *(f"{metric} {value:g}" for metric, value in card.scores.items()),
        f"Training data: {card.training_data}",
    ]
    return "\n  ".join(lines)
