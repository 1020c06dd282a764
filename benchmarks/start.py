"""How soon the runtime half answers, and with how much memory, against three figures.

    python benchmarks/start.py --json results/start.json

Each time is that of a fresh process from its start to its end, Python's own start included; "python
alone" says how much of it that is. The commands take turns, so that whatever else the machine does
hits all. One turn is not counted: after it the files are in the system's cache and the bytecode is
written, as in every start but the first after installing. Memory is the peak of a process that does
what `encompass predict` does.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from encompass.environment import commit, cpu_name, origin, peak_mb_of, versions
from encompass.files import write_json
from encompass.run.benchmark import PACKAGES, summary
from encompass.run.catalogue import DEFAULT_MODEL
from encompass.run.source import EXAMPLE

# At most, for a start that feels immediate.
FIGURES = {"import encompass": 150.0, "encompass predict": 1000.0, "peak memory": 200.0}  # ms, MB

CHILD = """
import contextlib, io, sys
from encompass.cli import cli
from encompass.environment import peak_mb
with contextlib.redirect_stdout(io.StringIO()):
    cli.main(["predict", "--model", *sys.argv[1:]], standalone_mode=False)
print(peak_mb())
"""


def commands(out: str) -> dict[str, list[str]]:
    """What is timed, as arguments of the interpreter."""
    predict = ["predict", str(EXAMPLE), "--model", DEFAULT_MODEL, "--out", out]
    return {
        "python alone": ["-c", "pass"],
        "import encompass": ["-c", "import encompass"],
        "encompass --help": ["-m", "encompass", "--help"],
        "encompass predict": ["-m", "encompass", *predict],
    }


def times(runs: int, out: str) -> dict[str, list[float]]:
    """Milliseconds of each command in each turn but the first."""
    spent: dict[str, list[float]] = {name: [] for name in commands(out)}
    for turn in range(runs + 1):
        for name, arguments in commands(out).items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            if turn:
                spent[name].append((time.perf_counter() - start) * 1e3)
    return spent


def measure(runs: int) -> list[dict[str, Any]]:
    """One record for each command, and one for memory."""
    with tempfile.TemporaryDirectory() as out:
        timed = {name: summary(spent) for name, spent in times(runs, out).items()}
        peak = peak_mb_of(CHILD, DEFAULT_MODEL, str(EXAMPLE), "--out", out)
    about = {
        "model": DEFAULT_MODEL,
        "runs": runs,
        "cpu": cpu_name(),
        "versions": versions(*PACKAGES, "onnxruntime", "click", "rich"),
        "commit": commit(),
    }
    found = {
        name: {"median_ms": median, "p95_ms": p95, "most_ms": FIGURES.get(name)}
        for name, (median, p95) in timed.items()
    }
    found["peak memory"] = {"peak_mb": peak, "most_mb": FIGURES["peak memory"]}
    return [{"what": what, **values, **about} for what, values in found.items()]


@click.command()
@click.option("--runs", type=click.IntRange(min=1), default=30, show_default=True)
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(runs: int, json_path: Path | None) -> None:
    """Time fresh processes that import, help and predict one picture."""
    records = measure(runs)
    first = records[0]
    table = Table(
        "what",
        "median / p95",
        "at most",
        title=f"{runs} fresh processes each, {first['model']}",
        caption=origin(first["cpu"], first["versions"], first["commit"]),
    )
    for r in records:
        if "peak_mb" in r:
            value, unit, most = str(r["peak_mb"]), "MB", r["most_mb"]
        else:
            value, unit, most = f"{r['median_ms']:.0f} / {r['p95_ms']:.0f}", "ms", r["most_ms"]
        table.add_row(r["what"], f"{value} {unit}", f"{most:.0f} {unit}" if most else "")
    Console().print(table)
    if json_path:
        write_json(json_path, records)


if __name__ == "__main__":
    main()
