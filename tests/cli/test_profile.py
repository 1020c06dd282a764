import json

import pytest
from click.testing import CliRunner

import encompass.evaluate.profile as prof
from encompass.cli import cli
from encompass.errors import UsageError


def stage(name, **changes):
    figures = {"shape": None, "boxes": None, "parameters": 1234567, "torch_parameters": 1230000}
    figures |= {"macs": 2_500_000, "output_bytes": 3_000_000}
    figures |= {"mean_ms": 2.0, "median_ms": 1.5, "p95_ms": 4.0}
    return prof.Stage(name=name, **figures | changes)


def profile(model, *, people, runs, threads, device):
    return prof.Profile(
        model=model,
        weights="fresh",
        input_size=640,
        device=device,
        processor="a CPU",
        people=people,
        fps=12.5,
        whole=stage("whole"),
        stages=(stage("trunk"), stage("branch 9x4", shape=(9, 4), boxes=3)),
        peak_mb=400.0,
        runs=runs,
        threads=threads,
        versions={"torch": "2.13.0"},
        commit="abc1234",
    )


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(prof, "profile", profile)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    return lambda *arguments: CliRunner().invoke(cli, ["profile", *arguments])


def test_json_is_a_list_of_one_record_for_each_device(run):
    (record,) = json.loads(run("a", "--runs", "7", "--threads", "4", "--json").output)
    assert set(record) == {
        *("model", "weights", "input_size", "device", "processor", "people", "fps", "whole"),
        *("stages", "peak_mb", "runs", "threads", "versions", "commit"),
    }
    assert set(record["whole"]) == {
        *("name", "shape", "boxes", "parameters", "torch_parameters", "macs", "output_bytes"),
        *("mean_ms", "median_ms", "p95_ms"),
    }
    assert (record["runs"], record["threads"], record["people"]) == (7, 4, 10)
    assert record["stages"][1]["shape"] == [9, 4]


def test_a_gpu_adds_a_record(run, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert [r["device"] for r in json.loads(run("a", "--json").output)] == ["cpu", "cuda"]


def test_the_table_has_the_stages_and_the_whole(run):
    words = " ".join(run("a").output.replace("\N{BOX DRAWINGS LIGHT VERTICAL}", "|").split())
    assert "a (fresh weights), 10 people: 12.50 frames per second" in words
    assert "mean of 200 runs on cpu, 2 threads, peak memory 400 MB" in words
    assert "1,230,000 parameters as PyTorch counts" in words
    for name, boxes in (("trunk", ""), ("branch 9x4", "3 "), ("whole", "")):
        assert f"{name} | {boxes}| 1,234,567 | 2.5 | 3.0 | 2.0 | 1.5 / 4.0" in words


def test_padded_fills_the_branches_and_bears_no_number_of_people(run):
    assert json.loads(run("a", "--padded", "--json").output)[0]["people"] is None
    assert "every branch full" in run("a", "--padded").output
    refused = run("a", "--padded", "--people", "3")
    assert isinstance(refused.exception, UsageError)
    assert refused.exception.exit_code == 2


def test_nobody_is_a_number_of_people(run):
    assert json.loads(run("a", "--people", "0", "--json").output)[0]["people"] == 0


def test_an_exported_file_is_refused(monkeypatch):
    refused = CliRunner().invoke(cli, ["profile", "model.onnx"])
    assert isinstance(refused.exception, UsageError)
    assert "encompass benchmark --model model.onnx" in str(refused.exception)
