"""The `encompass` command: one module for each verb, loaded only when it is called.

Exit codes: 0 done, 1 failure, 2 usage, 3 bad data found.
"""

from __future__ import annotations

import importlib
import sys

import click

from encompass import __version__
from encompass.errors import EncompassError

VERBS = (
    "predict",
    "models",
    "doctor",
    "benchmark",
    "profile",
    "data",
    "train",
    "evaluate",
    "export",
    "reproduce",
)
# Libraries of the training half that a verb may miss.
_TRAINING = ("torch", "lightning", "onnx", "safetensors", "faster_coco_eval", "matplotlib")


class _Verbs(click.Group):
    """Finds `encompass.cli.VERB:command` when it is asked for, so that starting stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        return importlib.import_module(f"encompass.cli.{cmd_name}").command


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="encompass")
def cli() -> None:
    """Instance segmentation whose cost you pay per object, and semantic, on plain CPUs."""


def main() -> None:
    """Entry point: runs the command and turns our errors into one line and an exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        code = 130
    except EncompassError as error:
        click.echo(f"Error: {error}", err=True)
        code = error.exit_code
    except ModuleNotFoundError as error:
        if error.name not in _TRAINING:
            raise
        click.echo(
            f"Error: this verb needs {error.name}, of the training half: "
            "install the extra 'train' (pip install '.[train]' in the checkout).",
            err=True,
        )
        code = 1
    sys.exit(code)
