"""Whether this installation works here: what is wrong, what slows it down, and the way out of each.

The trial prediction runs in a process of its own, so that a runtime that takes its process down is
reported like any other fault.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from encompass.errors import ModelError
from encompass.run.catalogue import DEFAULT_MODEL
from encompass.run.installation import (
    PACKAGE,
    Installation,
    bundle_states,
    describe_installation,
    requirements,
    unmet,
)
from encompass.run.machine import Machine, describe_machine

# What numpy and torch take their number of threads from; models are told theirs by `load`.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PEOPLE = 1  # in `source.EXAMPLE`
RUNS = 5  # after one that does not count
_PATIENCE = 120  # seconds for a trial that takes one
_TRIAL = "from encompass.run.doctor import print_trial; print_trial()"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is not as it should be."""

    message: str  # the thing, the value and the way out
    broken: bool  # something does not work; else it is slower than it need be


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The default model on the package's photo."""

    model: str
    found: int  # objects
    load_ms: float
    median_ms: float  # from the picture's file to masks
    threads: int
    peak_mb: float | None  # 10^6 bytes, of the process
    providers: list[str]  # of ONNX Runtime


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that `encompass doctor` tells."""

    installation: Installation
    machine: Machine
    variables: dict[str, str]  # those of `THREAD_VARIABLES` that are set
    models: dict[str, str]  # "intact", "missing" or "damaged" by name
    trial: Trial | None  # None where it failed
    problems: list[Problem]


def examine() -> Report:
    """Look at everything; nothing is raised for what is wrong."""
    machine = describe_machine()
    variables = {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ}
    problems = [*installation_problems(), *machine_problems(machine, variables)]
    models: dict[str, str] = {}
    try:
        models = bundle_states()
    except ModelError as error:
        problems.append(Problem(message=str(error), broken=True))
    except ImportError as error:  # cards are records of `schema`, which needs numpy
        message = f"{error}: run pip install --force-reinstall numpy."
        problems.append(Problem(message=message, broken=True))
    problems += bundle_problems(models)
    trial = try_example()
    if isinstance(trial, Problem):
        problems.append(trial)
    elif trial.found != PEOPLE:
        problems.append(
            Problem(
                message=f"{trial.model} found {trial.found} people in a photo of {PEOPLE}: it "
                "computes something else here than elsewhere; please report it with this output.",
                broken=True,
            )
        )
    return Report(
        installation=describe_installation(),
        machine=machine,
        variables=variables,
        models=models,
        trial=trial if isinstance(trial, Trial) else None,
        problems=problems,
    )


def installation_problems() -> Iterator[Problem]:
    """Packages that the runtime half needs and does not find."""
    needed = requirements(PACKAGE)
    if not needed:
        message = f"{PACKAGE} is not installed, only found by Python; run pip install . in it."
        yield Problem(message=message, broken=False)
    if wanted := unmet(needed):
        yield Problem(
            message=f"Missing or of another version: {', '.join(wanted)}; run pip install "
            + " ".join(f"'{name}'" for name in wanted)
            + ".",
            broken=True,
        )


def machine_problems(machine: Machine, variables: Mapping[str, str]) -> Iterator[Problem]:
    """What makes computing slower than it need be."""
    x86 = platform.machine().lower() in ("x86_64", "amd64", "i686")
    if x86 and machine.features is not None and "avx2" not in machine.features:
        yield Problem(
            message=f"{machine.cpu} has no AVX2, so a prediction takes several times as long; in "
            "a virtual machine, let it have the features of the host's processor.",
            broken=False,
        )
    for name, value in variables.items():
        if value.isdecimal() and int(value) > machine.usable_cores:
            yield Problem(
                message=f"{name}={value} is more than the {machine.usable_cores} cores that this "
                f"process may use, so threads wait for each other; unset it or set it to "
                f"{machine.usable_cores}.",
                broken=False,
            )


def bundle_problems(models: Mapping[str, str]) -> Iterator[Problem]:
    """Bundled files that are not what their cards say."""
    for name, state in models.items():
        if state == "damaged":
            yield Problem(
                message=f"{name}: its bundled file is damaged (its SHA-256 is another); "
                "run pip install --force-reinstall --no-deps . in an intact checkout.",
                broken=True,
            )


def try_example() -> Trial | Problem:
    """Predict the package's photo with the default model, in a fresh process."""
    command = [sys.executable, "-c", _TRIAL]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        reason = f"no answer in {_PATIENCE} seconds"
    else:
        if not done.returncode:
            return Trial(**json.loads(done.stdout))
        lines = done.stderr.strip().splitlines()
        reason = lines[-1] if lines else f"its process ended with code {done.returncode}"
    return Problem(
        message=f"{DEFAULT_MODEL} cannot predict a picture here ({reason}); reinstall "
        f"{PACKAGE} and onnxruntime, and report this output if that does not help.",
        broken=True,
    )


def print_trial() -> None:
    """What the fresh process does: a `Trial` as JSON."""
    import dataclasses
    from time import perf_counter

    import onnxruntime

    from encompass.environment import peak_mb
    from encompass.run.machine import usable_cores
    from encompass.run.predictor import load
    from encompass.run.source import EXAMPLE

    start = perf_counter()
    model = load(DEFAULT_MODEL)
    loaded = perf_counter()
    results = [model(EXAMPLE) for _ in range(RUNS + 1)]
    trial = Trial(
        model=DEFAULT_MODEL,
        found=len(results[-1]),
        load_ms=round((loaded - start) * 1e3, 1),
        median_ms=round(median(sum(result.speed.values()) for result in results[1:]), 1),
        threads=usable_cores(),
        peak_mb=peak_mb(),
        providers=onnxruntime.get_available_providers(),
    )
    print(json.dumps(dataclasses.asdict(trial)))
