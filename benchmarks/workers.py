"""Programs that are timed in turn, each in a process of its own, over lines of JSON.

A worker reads a line and answers with one. Taking turns, whatever else the machine does hits all.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[1]
REST = 0.05  # seconds before each turn: threads of the one before spin for a while, on its cores
WARM = 2  # runs of each turn that are not counted: they refill the caches
CALLS = 5  # of each turn that are


class Worker:
    """A script in an interpreter, which need not be that of this environment."""

    def __init__(
        self, python: Path, script: Path, *arguments: str, environment: Mapping[str, str] = {}
    ) -> None:
        self.name = " ".join(arguments)
        self.process = subprocess.Popen(
            [python.absolute(), script, *arguments],  # not resolved: that would leave its venv
            env={**os.environ, **environment, "PYTHONPATH": str(ROOT / "src")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, question: Any) -> Any:
        """The worker's answer; ClickException when it has died."""
        with suppress(BrokenPipeError):
            print(json.dumps(question), file=self.process.stdin, flush=True)
        assert self.process.stdout is not None
        if not (answer := self.process.stdout.readline()):
            raise click.ClickException(
                f"{self.name} stopped; why stands above. What its environment needs stands at the "
                "top of the script that you called."
            )
        return json.loads(answer)


def take_turns(asked: Sequence[tuple[Worker, Mapping[str, Any]]], runs: int) -> list[list[float]]:
    """Milliseconds of each worker at each question, `runs` of them, `CALLS` a turn.

    A worker is asked {"warm", "calls"} and what else the question has, and answers with a list.
    Who follows whom is drawn anew for each turn.
    """
    times: list[list[float]] = [[] for _ in asked]
    for done in range(0, runs, CALLS):
        order = list(zip(asked, times, strict=True))
        random.Random(done).shuffle(order)
        for (worker, question), spent in order:
            time.sleep(REST)
            calls = {"warm": WARM, "calls": min(CALLS, runs - done)}
            spent += worker.ask({**question, **calls})
    return times


def by_turn(times_ms: Sequence[float]) -> list[float]:
    """The median of each turn, of the milliseconds of one worker."""
    starts = range(0, len(times_ms), CALLS)
    return [round(statistics.median(times_ms[start : start + CALLS]), 3) for start in starts]


def stop(workers: Sequence[Worker]) -> None:
    """End the processes."""
    for worker in workers:
        worker.process.kill()
        worker.process.wait()
