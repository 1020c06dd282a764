import dataclasses
import json

import pytest
from click.testing import CliRunner

import encompass.run.doctor as doctor
from encompass.cli.doctor import command
from encompass.run.doctor import Problem, Report, Trial
from encompass.run.installation import Installation
from encompass.run.machine import Machine

REPORT = Report(
    installation=Installation(
        version="9.8.7",
        commit="abc1234",
        python="3.11.1",
        system="Linux-6",
        runtimes={"onnxruntime": "1.20.0", "openvino": None},
        extras={"supervision": [], "openvino": ["openvino>=2025.3"]},
        sizes_mb={"onnxruntime": 80.25, "encompass": 20.0},
    ),
    machine=Machine(
        cpu="a CPU",
        features=("avx2", "fma"),
        usable_cores=2,
        logical_cores=8,
        physical_cores=4,
        memory_mb=16_000.0,
        available_mb=None,
        container_cores=1.5,
        container_memory_mb=2147.5,
    ),
    variables={"OMP_NUM_THREADS": "2"},
    models={"tiny": "intact"},
    trial=Trial(
        model="tiny",
        found=1,
        load_ms=100.4,
        median_ms=10.25,
        threads=2,
        peak_mb=140.4,
        providers=["CPUExecutionProvider"],
    ),
    problems=[],
)
SLOW = Problem(message="it is slow.", broken=False)
BROKEN = Problem(message="it is broken.", broken=True)


@pytest.fixture
def run(monkeypatch):
    def call(*arguments, **changes):
        report = dataclasses.replace(REPORT, **changes)
        monkeypatch.setattr(doctor, "examine", lambda: report)
        return CliRunner().invoke(command, arguments, catch_exceptions=False)

    return call


def test_all_is_told_in_lines(run):
    assert run().stdout.splitlines() == [
        "encompass  9.8.7 (abc1234), Python 3.11.1, Linux-6",
        "processor  a CPU, 2 of 8 cores usable, physical: 4",
        "features   avx2 fma",
        "memory     16.0 GB, available: not told by this system",
        "container  1.5 cores, 2.1 GB",
        "threads    2 unless load(..., threads=N) says otherwise, OMP_NUM_THREADS=2",
        "runtimes   onnxruntime 1.20.0, providers CPUExecutionProvider",
        "extras     supervision: yes, openvino: no (pip install '.[openvino]' in the checkout)",
        "models     tiny intact",
        "on disk    100 MB: onnxruntime 80.25, encompass 20",
        "trial      1 person found by tiny in 10.2 ms on 2 threads, loaded in 100 ms, "
        "peak memory 140 MB",
        "",
        "No problem found.",
    ]


def test_what_is_broken_gives_exit_code_1(run):
    result = run(problems=[SLOW, BROKEN], trial=None)
    assert result.exit_code == 1
    assert "trial      failed\n" in result.stdout
    assert result.stdout.endswith("\n\nNote: it is slow.\nProblem: it is broken.\n")


def test_what_is_only_slow_gives_exit_code_0(run):
    assert run(problems=[SLOW]).exit_code == 0


def test_json_is_one_document_of_everything(run):
    result = run("--json", problems=[BROKEN])
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert document == dataclasses.asdict(dataclasses.replace(REPORT, problems=[BROKEN])) | {
        "machine": dataclasses.asdict(REPORT.machine) | {"features": ["avx2", "fma"]}
    }
    assert set(document) == {
        *("installation", "machine", "variables", "models", "trial", "problems"),
    }
    assert document["problems"] == [{"message": "it is broken.", "broken": True}]
