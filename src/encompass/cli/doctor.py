"""`encompass doctor`: what a report of a fault needs, and what is wrong here."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from encompass.run.doctor import Report, Trial
    from encompass.run.installation import Installation
    from encompass.run.machine import Machine

UNTOLD = "not told by this system"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(as_json: bool) -> None:
    """Check this installation and machine, and predict one picture.

    Prints what a report of a fault needs: versions, processor, memory, limits of a container,
    runtimes, extras, bundled models and sizes. Sends nothing. The exit code is 1 when something
    does not work; what only slows it down is a note.
    """
    from encompass.run.doctor import examine

    report = examine()
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(report), indent=2))
    else:
        for name, text in _sections(report).items():
            click.echo(f"{name:<11}{text}")
        click.echo()
        for problem in report.problems:
            click.echo(f"{'Problem' if problem.broken else 'Note'}: {problem.message}")
        if not report.problems:
            click.echo("No problem found.")
    if any(problem.broken for problem in report.problems):
        raise click.exceptions.Exit(1)


def _sections(report: Report) -> dict[str, str]:
    """What is told, by its heading."""
    installed, machine = report.installation, report.machine
    commit = f" ({installed.commit})" if installed.commit else ""
    runtimes = [f"{name} {version}" for name, version in installed.runtimes.items() if version]
    if report.trial:
        runtimes.append(f"providers {', '.join(report.trial.providers)}")
    models = [f"{name} {state}" for name, state in report.models.items()]
    features = UNTOLD if machine.features is None else " ".join(machine.features)
    return {
        "encompass": f"{installed.version}{commit}, Python {installed.python}, {installed.system}",
        "processor": f"{machine.cpu}, {_cores(machine)}",
        "features": features or "none of those that matter",
        "memory": f"{_gb(machine.memory_mb)}, available: {_gb(machine.available_mb)}",
        "container": _container(machine),
        "threads": _threads(machine, report.variables),
        "runtimes": ", ".join(runtimes) or "none",
        "extras": _extras(installed),
        "models": ", ".join(models) or "none",
        "on disk": _sizes(installed),
        "trial": _trial(report.trial),
    }


def _cores(machine: Machine) -> str:
    physical = UNTOLD if machine.physical_cores is None else str(machine.physical_cores)
    return f"{machine.usable_cores} of {machine.logical_cores} cores usable, physical: {physical}"


def _gb(megabytes: float | None) -> str:
    return UNTOLD if megabytes is None else f"{megabytes / 1e3:.1f} GB"


def _container(machine: Machine) -> str:
    limits = []
    if machine.container_cores is not None:
        limits.append(f"{machine.container_cores:g} cores")
    if machine.container_memory_mb is not None:
        limits.append(_gb(machine.container_memory_mb))
    return ", ".join(limits) or "no limit"


def _threads(machine: Machine, variables: dict[str, str]) -> str:
    told = "".join(f", {name}={value}" for name, value in variables.items())
    return f"{machine.usable_cores} unless load(..., threads=N) says otherwise{told}"


def _extras(installed: Installation) -> str:
    told = []
    for name, missing in installed.extras.items():
        way = f"no (pip install '.[{name}]' in the checkout)" if missing else "yes"
        told.append(f"{name}: {way}")
    return ", ".join(told) or "unknown"


def _sizes(installed: Installation) -> str:
    sizes = installed.sizes_mb
    parts = ", ".join(f"{name} {size:g}" for name, size in sizes.items())
    return f"{sum(sizes.values()):.0f} MB: {parts}"


def _trial(trial: Trial | None) -> str:
    if trial is None:
        return "failed"
    people = "1 person" if trial.found == 1 else f"{trial.found} people"
    peak = "" if trial.peak_mb is None else f", peak memory {trial.peak_mb:.0f} MB"
    return (
        f"{people} found by {trial.model} in {trial.median_ms:.1f} ms on {trial.threads} threads, "
        f"loaded in {trial.load_ms:.0f} ms{peak}"
    )
