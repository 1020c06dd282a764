import json
import re

import pytest
from click.testing import CliRunner

import encompass.run.benchmark as bench
from encompass.cli.benchmark import command
from encompass.run.catalogue import DEFAULT_MODEL


def timings(name, *, threads, runs):
    return [
        bench.Timing(
            model=name,
            stage=stage,
            people=people,
            found=people,
            median_ms=1.0,
            p95_ms=1.5,
            runs=runs,
            threads=threads,
            peak_mb=100.0,
            cpu="a CPU",
            versions={"python": "3.11"},
            commit="abc1234",
        )
        for people in (0, 20)
        for stage in bench.STAGES
    ]


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(bench, "benchmark", timings)
    return lambda *arguments: CliRunner().invoke(command, arguments, catch_exceptions=False)


def test_json_is_a_list_of_records_of_every_model(run):
    result = run("--model", "a", "--model", "b.onnx", "--threads", "4", "--runs", "7", "--json")
    records = json.loads(result.output)
    assert [record["model"] for record in records] == ["a"] * 10 + ["b.onnx"] * 10
    assert set(records[0]) == {
        *("model", "stage", "people", "found", "median_ms", "p95_ms", "runs", "threads"),
        *("peak_mb", "cpu", "versions", "commit"),
    }
    assert (records[0]["threads"], records[0]["runs"]) == (4, 7)


def test_the_table_shows_stages_downwards_and_the_machine_below(run):
    output = run("--model", "a").output
    stages = re.findall(r"(\w[\w ]*\w) +\W 1.0 / 1.5 \W 1.0 / 1.5", output)
    assert stages == list(bench.STAGES)
    words = " ".join(output.split())  # a title wider than the table is wrapped
    assert "a: median / p95 in ms of 50 runs, 2 threads, peak memory 100 MB" in words
    assert "a CPU, python 3.11, commit abc1234" in words


def test_without_a_name_the_default_model_is_timed(run):
    assert {r["model"] for r in json.loads(run("--json").output)} == {DEFAULT_MODEL}


def test_no_thread_is_a_usage_error(run):
    assert run("--threads", "0").exit_code == 2


def test_a_semantic_model_has_a_column_for_each_size(monkeypatch):
    def sized(name, *, threads, runs):
        about = {"runs": runs, "threads": threads, "cpu": "a CPU", "versions": {}, "commit": ""}
        return [
            bench.SemanticTiming(
                model=name,
                stage=stage,
                height=height,
                width=width,
                median_ms=1.0,
                p95_ms=1.5,
                peak_mb=float(width),
                **about,
            )
            for height, width in bench.SIZES
            for stage in bench.SEMANTIC_STAGES
        ]

    monkeypatch.setattr(bench, "benchmark", sized)
    output = CliRunner().invoke(command, ["--model", "a"], catch_exceptions=False).output
    assert "480 x 360" in output
    assert "2048 x 1024" in output
    assert "peak memory 2048 MB" in " ".join(output.split())
    assert "found" not in output
    stages = re.findall(r"(\w[\w ]*\w) +\W 1.0 / 1.5 +\W +1.0 / 1.5", output)
    assert stages == list(bench.SEMANTIC_STAGES)
