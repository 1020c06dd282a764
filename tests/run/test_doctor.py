import dataclasses
import json
import subprocess
import sys

import pytest

import encompass.run.doctor as doctor
from encompass.run.catalogue import DEFAULT_MODEL
from encompass.run.doctor import (
    Problem,
    Trial,
    bundle_problems,
    examine,
    installation_problems,
    machine_problems,
    print_trial,
    try_example,
)
from encompass.run.machine import Machine

TRIAL = Trial(
    model=DEFAULT_MODEL,
    found=1,
    load_ms=100.0,
    median_ms=10.0,
    threads=2,
    peak_mb=140.0,
    providers=["CPUExecutionProvider"],
)
MACHINE = Machine(
    cpu="a CPU",
    features=("avx2", "fma"),
    usable_cores=2,
    logical_cores=4,
    physical_cores=2,
    memory_mb=8000.0,
    available_mb=4000.0,
    container_cores=None,
    container_memory_mb=None,
)


@pytest.fixture
def x86(monkeypatch):
    monkeypatch.setattr(doctor.platform, "machine", lambda: "x86_64")


@pytest.mark.usefixtures("x86")
def test_a_usual_machine_has_no_problem():
    assert list(machine_problems(MACHINE, {"OMP_NUM_THREADS": "2"})) == []
    unknown = dataclasses.replace(MACHINE, features=None)
    assert list(machine_problems(unknown, {"OMP_NUM_THREADS": "many"})) == []


@pytest.mark.usefixtures("x86")
def test_a_processor_without_avx2_is_named_as_slow():
    (problem,) = machine_problems(dataclasses.replace(MACHINE, features=("fma",)), {})
    assert "a CPU has no AVX2" in problem.message
    assert not problem.broken


def test_an_arm_processor_needs_no_avx2(monkeypatch):
    monkeypatch.setattr(doctor.platform, "machine", lambda: "aarch64")
    assert list(machine_problems(dataclasses.replace(MACHINE, features=("neon",)), {})) == []


def test_more_threads_than_cores_are_named_with_the_way_out():
    (problem,) = machine_problems(MACHINE, {"OMP_NUM_THREADS": "8", "MKL_NUM_THREADS": "1"})
    assert problem.message.startswith("OMP_NUM_THREADS=8 is more than the 2 cores")
    assert "set it to 2" in problem.message
    assert not problem.broken


def test_a_damaged_file_is_named_and_a_missing_one_is_not():
    (problem,) = bundle_problems({"a": "intact", "b": "damaged", "c": "missing"})
    assert problem.message.startswith("b: its bundled file is damaged")
    assert "--force-reinstall" in problem.message
    assert problem.broken


def test_unmet_requirements_are_named_as_pip_takes_them(monkeypatch):
    monkeypatch.setattr(doctor, "unmet", lambda needed: ["numpy>=99", "gone"])
    (problem,) = installation_problems()
    assert "run pip install 'numpy>=99' 'gone'." in problem.message
    assert problem.broken


def test_a_package_that_is_only_found_is_a_note(monkeypatch):
    monkeypatch.setattr(doctor, "requirements", lambda package: [])
    (problem,) = installation_problems()
    assert "is not installed" in problem.message
    assert not problem.broken


def test_the_default_model_finds_the_person_of_the_photo():
    trial = try_example()
    assert isinstance(trial, Trial)
    assert (trial.model, trial.found) == (DEFAULT_MODEL, doctor.PEOPLE)
    assert trial.median_ms > 0
    assert "CPUExecutionProvider" in trial.providers


def test_a_trial_is_printed_as_its_record(capsys):
    print_trial()
    assert Trial(**json.loads(capsys.readouterr().out)).found == 1


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise OSError('no such library')", "OSError: no such library"),
        ("import os; os.abort()", "its process ended with code"),
        ("import time; time.sleep(60)", "no answer in"),
    ],
)
def test_a_trial_that_fails_is_a_problem(monkeypatch, code, reason):
    monkeypatch.setattr(doctor, "_TRIAL", code)
    monkeypatch.setattr(doctor, "_PATIENCE", 1 if "sleep" in code else 60)
    problem = try_example()
    assert isinstance(problem, Problem)
    assert reason in problem.message
    assert problem.broken


def test_another_answer_than_elsewhere_is_a_problem(monkeypatch):
    monkeypatch.setattr(doctor, "try_example", lambda: dataclasses.replace(TRIAL, found=3))
    assert any("found 3 people in a photo of 1" in p.message for p in examine().problems)


def test_a_damaged_bundle_is_reported(monkeypatch, bundle, add_card):
    monkeypatch.setattr(doctor, "try_example", lambda: TRIAL)
    add_card()
    (bundle / "tiny.onnx").write_bytes(b"not what it was")
    report = examine()
    assert report.models == {"tiny": "damaged"}
    assert [p.message.split(":")[0] for p in report.problems if p.broken] == ["tiny"]


def test_a_broken_card_does_not_stop_the_rest(monkeypatch, bundle):
    monkeypatch.setattr(doctor, "try_example", lambda: TRIAL)
    (bundle / "odd.json").write_text("[]")
    report = examine()
    assert any("odd.json" in p.message and p.broken for p in report.problems)
    assert report.trial == TRIAL


def test_variables_that_are_set_are_told(monkeypatch):
    monkeypatch.setattr(doctor, "try_example", lambda: TRIAL)
    for name in doctor.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert examine().variables == {"OMP_NUM_THREADS": "1"}


def test_examining_imports_no_runtime():
    code = (
        "import sys, encompass.run.doctor as d; d.try_example = lambda: d.Problem("
        "message='', broken=True); d.examine(); "
        "print(sys.modules.keys() & {'onnxruntime', 'openvino', 'torch', 'PIL', 'rich'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
