"""`encompass models`: what can be loaded by name."""

from __future__ import annotations

import json
from typing import Any

import click

from encompass.run.catalogue import Entry, entries


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of a table.")
def command(as_json: bool) -> None:
    """List the models that can be loaded by name."""
    found = list(entries().values())
    if as_json:
        click.echo(json.dumps([_facts(entry) for entry in found], indent=2))
    elif found:
        _print_table(found)
    else:
        click.echo("No model is bundled; give --model the path of an .onnx file.")


def _facts(entry: Entry) -> dict[str, Any]:
    card = entry.card
    return {
        "name": card.name,
        "task": card.task,
        "parameters": card.parameters,
        "input_size": list(card.input_size),  # height, width
        "licence": card.licence,
        "training_data": card.training_data,
        "scores": dict(card.scores),
        "bundled": entry.bundled,
    }


def _print_table(found: list[Entry]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "task", "parameters", "input (h x w)", "licence", "scores", "bundled")
    for entry in found:
        card = entry.card
        table.add_row(
            card.name,
            card.task,
            f"{card.parameters:,}",
            "{} x {}".format(*card.input_size),
            card.licence,
            "\n".join(f"{metric} {value:g}" for metric, value in card.scores.items()),
            "yes" if entry.bundled else "no",
        )
    Console().print(table)
