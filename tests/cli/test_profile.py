import json

import pytest
from click.testing import CliRunner

import encompass.evaluate.profile as prof
from encompass.cli import cli
from encompass.errors import UsageError
from encompass.evaluate.stages import Stage


def stage(name, **changes):
    figures = {"shape": None, "boxes": None, "parameters": 1234567, "torch_parameters": 1230000}
    figures |= {"macs": 2_500_000, "output_bytes": 3_000_000}
    figures |= {"mean_ms": 2.0, "median_ms": 1.5, "p95_ms": 4.0}
    return Stage(name=name, **figures | changes)


def profile(models, *, people, runs, threads, device):
    (model,) = models
    measured = prof.Profile(
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
        times_ms=(70.0, 90.0),
        together=(model,),
    )
    return [measured]


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(prof, "profile", profile)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    return lambda *arguments: CliRunner().invoke(cli, ["profile", *arguments])


def test_json_is_a_list_of_one_record_for_each_device(run):
    (record,) = json.loads(run("multi-shape", "--runs", "7", "--threads", "4", "--json").output)
    assert set(record) == {
        *("model", "weights", "input_size", "device", "processor", "people", "fps", "whole"),
        *("stages", "peak_mb", "runs", "threads", "versions", "commit", "times_ms", "together"),
    }
    assert set(record["whole"]) == {
        *("name", "shape", "boxes", "parameters", "torch_parameters", "macs", "output_bytes"),
        *("mean_ms", "median_ms", "p95_ms"),
    }
    assert (record["runs"], record["threads"], record["people"]) == (7, 4, 10)
    assert record["stages"][1]["shape"] == [9, 4]


def test_a_gpu_adds_a_record(run, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert [r["device"] for r in json.loads(run("multi-shape", "--json").output)] == ["cpu", "cuda"]


def test_the_table_has_the_stages_and_the_whole(run):
    words = " ".join(
        run("multi-shape").output.replace("\N{BOX DRAWINGS LIGHT VERTICAL}", "|").split()
    )
    assert "multi-shape (fresh weights), 10 people: 12.50 frames per second" in words
    assert "mean of 200 runs on cpu, 2 threads, peak memory 400 MB" in words
    assert "1,230,000 parameters as PyTorch counts" in words
    for name, boxes in (("trunk", ""), ("branch 9x4", "3 "), ("whole", "")):
        assert f"{name} | {boxes}| 1,234,567 | 2.5 | 3.0 | 2.0 | 1.5 / 4.0" in words


def test_padded_fills_the_branches_and_bears_no_number_of_people(run):
    assert json.loads(run("multi-shape", "--padded", "--json").output)[0]["people"] is None
    assert "every branch full" in run("multi-shape", "--padded").output
    refused = run("multi-shape", "--padded", "--people", "3")
    assert isinstance(refused.exception, UsageError)
    assert refused.exception.exit_code == 2


def test_nobody_is_a_number_of_people(run):
    assert json.loads(run("multi-shape", "--people", "0", "--json").output)[0]["people"] == 0


def test_an_exported_file_is_refused(monkeypatch):
    refused = CliRunner().invoke(cli, ["profile", "model.onnx"])
    assert isinstance(refused.exception, UsageError)
    assert "encompass benchmark --model model.onnx" in str(refused.exception)


def test_a_semantic_row_is_measured_at_the_sizes_given(monkeypatch):
    import encompass.evaluate.profile_semantic as semantic

    seen = []

    def measure(models, *, size, runs, threads, device):
        (model,) = models
        seen.append((model, size, runs, threads, device))
        measured = semantic.SemanticProfile(
            model=model,
            weights="fresh",
            height=size[0],
            width=size[1],
            num_classes=19,
            device=device,
            processor="a CPU",
            fps=2.0,
            whole=stage("whole"),
            stages=(stage("encoder"),),
            peak_mb=None,
            runs=runs,
            threads=threads,
            versions={},
            commit="",
            times_ms=(500.0,),
            together=(model,),
        )
        return [measured]

    monkeypatch.setattr(semantic, "profile_semantic", measure)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    arguments = ["profile", "squeezenet", "--size", "32x64", "--runs", "3"]
    shown = CliRunner().invoke(cli, arguments).output
    assert "squeezenet (fresh weights), 32x64, 19 classes: 2.00" in " ".join(shown.split())
    assert seen == [("squeezenet", (32, 64), 3, 2, "cpu")]
    CliRunner().invoke(cli, ["profile", "squeezenet"])
    assert [size for _, size, *_ in seen[1:]] == [(1024, 2048), (360, 480)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["squeezenet", "--people", "3"], "--people: squeezenet is semantic"),
        (["squeezenet", "--size", "64"], "--size 64: write HEIGHTxWIDTH"),
        (["squeezenet", "--size", "0x64"], "--size 0x64: write HEIGHTxWIDTH"),
        (["multi-shape", "--size", "64x64"], "--size is of semantic rows"),
    ],
)
def test_options_of_the_other_task_are_refused(arguments, message):
    refused = CliRunner().invoke(cli, ["profile", *arguments])
    assert isinstance(refused.exception, UsageError)
    assert message in str(refused.exception)
