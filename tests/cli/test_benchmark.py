import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import encompass.run.benchmark as bench
import encompass.run.comparison as comparison
from encompass.cli import cli
from encompass.cli.benchmark import command
from encompass.data.drawn import draw_people
from encompass.errors import UsageError
from encompass.run.catalogue import DEFAULT_MODEL


def timings(name, *, threads, runs):
    return [
        bench.Timing(
            model=name,
            runtime="onnxruntime",
            precision="fp32",
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


def invoke(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(bench, "benchmark", timings)
    return lambda *arguments: invoke("--stages", *arguments)


def test_json_is_a_list_of_records_of_every_model(run):
    result = run("--model", "a", "--model", "b.onnx", "--threads", "4", "--runs", "7", "--json")
    records = json.loads(result.output)
    assert [record["model"] for record in records] == ["a"] * 10 + ["b.onnx"] * 10
    assert set(records[0]) == {
        *("model", "stage", "people", "found", "median_ms", "p95_ms", "runs", "threads"),
        *("peak_mb", "cpu", "versions", "commit", "runtime", "precision"),
    }
    assert (records[0]["threads"], records[0]["runs"]) == (4, 7)


def test_the_table_shows_stages_downwards_and_the_machine_below(run):
    output = run("--model", "a").output
    stages = re.findall(r"(\w[\w ]*\w) +\W 1.0 / 1.5 \W 1.0 / 1.5", output)
    assert stages == list(bench.STAGES)
    words = " ".join(output.split())  # a title wider than the table is wrapped
    assert (
        "a (onnxruntime, fp32): median / p95 in ms of 50 runs, 2 threads, peak memory 100 MB"
        in words
    )
    assert "a CPU, python 3.11, commit abc1234" in words


def test_without_a_name_the_default_model_is_timed(run):
    assert {r["model"] for r in json.loads(run("--json").output)} == {DEFAULT_MODEL}


def test_each_number_of_threads_has_its_stages(run):
    records = json.loads(run("--model", "a", "--threads", "1", "--threads", "2", "--json").output)
    assert [record["threads"] for record in records] == [1] * 10 + [2] * 10


def test_no_thread_is_a_usage_error(run):
    assert run("--threads", "0").exit_code == 2


def test_a_semantic_model_has_a_column_for_each_size(monkeypatch):
    def sized(name, *, threads, runs):
        about = {"runs": runs, "threads": threads, "cpu": "a CPU", "versions": {}, "commit": ""}
        return [
            bench.SemanticTiming(
                model=name,
                runtime="onnxruntime",
                precision="fp32",
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
    output = invoke("--stages", "--model", "a").output
    assert "480 x 360" in output
    assert "2048 x 1024" in output
    assert "peak memory 2048 MB" in " ".join(output.split())
    assert "found" not in output
    stages = re.findall(r"(\w[\w ]*\w) +\W 1.0 / 1.5 +\W +1.0 / 1.5", output)
    assert stages == list(bench.SEMANTIC_STAGES)


@pytest.fixture
def people(tmp_path):
    draw_people(tmp_path / "people", num_images=3, seed=0)
    return tmp_path / "people" / "annotations.json"


@pytest.fixture
def quick(monkeypatch):
    """Memory is not measured, and nothing rests."""
    monkeypatch.setattr(comparison, "peak_mb", lambda name, path, threads: 12.5)
    monkeypatch.setattr(comparison, "REST", 0)


def test_models_stand_in_one_table_with_the_machine_below(make_model, tmp_path, quick):
    files = [make_model(tmp_path / name) for name in ("a.onnx", "b.onnx")]
    models = [word for file in files for word in ("--model", file)]
    output = invoke(*models, "--threads", 1, "--threads", 2, "--runs", 1).output
    rows = re.findall(r"([ab]\.onnx) +onnxruntime +fp32 +0\.0 +(\d) .* 12 *\n", output)
    assert rows == [(name, threads) for name in ("a.onnx", "b.onnx") for threads in "12"]
    words = " ".join(output.split())
    assert "640x480 picture to masks (1 person), 1 runs in turn" in words
    assert "cores" in words
    assert "onnxruntime 1." in words


def test_accuracy_is_that_of_evaluate(model_file, people, quick):
    done = CliRunner().invoke(cli, ["evaluate", str(model_file), "--data", str(people), "--json"])
    scores = json.loads(done.stdout)
    options = ["--model", model_file, "--threads", 1, "--threads", 2, "--runs", 1]
    first, second = json.loads(invoke(*options, "--data", people, "--json").stdout)
    expected = {"mask AP": scores["mask"]["AP"], "box AP": scores["box"]["AP"]}
    assert first["accuracy"] == second["accuracy"] == expected
    assert (first["data"], first["num_images"]) == ("people/annotations.json", 3)
    assert (first["threads"], second["threads"]) == (1, 2)
    assert {"machine", "versions", "commit", "size_mb", "peak_mb", "ratio"} <= first.keys()


def test_a_quick_look_scores_the_first_pictures(model_file, people, quick):
    options = ["--model", model_file, "--runs", 1, "--data", people, "--pictures", 2]
    assert json.loads(invoke(*options, "--json").stdout)[0]["num_images"] == 2
    words = " ".join(invoke(*options).stdout.split())
    assert "mask AP, box AP of 2 pictures of people/annotations.json" in words


def test_semantic_models_have_their_miou(semantic_file, tmp_path, monkeypatch, quick):
    monkeypatch.setattr(comparison, "SIZE", (40, 60))
    folder = tmp_path / "streets"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    # The model's answer: ground (0) left of column 32, person (1) from there on.
    truth = np.zeros((40, 60), np.uint8)
    truth[:, 16:] = 1
    Image.fromarray(truth).save(folder / "masks" / "a.png")
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(folder / "images" / "a.png")
    (folder / "classes.txt").write_text("ground\nperson\nsky\n")
    options = ["--model", semantic_file, "--runs", 1, "--data", folder, "--json"]
    (record,) = json.loads(invoke(*options).stdout)
    assert record["accuracy"] == {"mIoU": pytest.approx(100 * (16 / 32 + 28 / 44) / 2)}
    assert record["num_images"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pictures", "2"], "--pictures is of the data to score on; give --data too"),
        (["--split", "val"], "--split is of the data to score on"),
        (["--stages", "--data", "a.json"], "--stages scores nothing"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        invoke(*options)


def test_instance_models_are_scored_on_no_split(model_file, people):
    with pytest.raises(UsageError, match="--split val is of semantic models"):
        invoke("--model", model_file, "--data", people, "--split", "val")
