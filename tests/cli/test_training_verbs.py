"""train, evaluate and export as a user runs them."""

import json

import pytest
from click.testing import CliRunner

from encompass.cli import cli
from encompass.data.drawn import draw_people
from encompass.errors import AnnotationError, ModelError, UsageError
from encompass.models.instance import SsdIsb
from encompass.models.weights import save_network
from encompass.models.zoo import MODELS

ROW = "multi-shape-mn0.75-320"
SMALL = {
    "detector": ("steps=1", "interval=1", "batch_size=2", "accumulate=1", "workers=0"),
    "branches": ("steps=2", "interval=1", "passes=1", "shared_steps=1"),
}


def run(*arguments):
    return CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=True)


@pytest.fixture
def people(tmp_path):
    draw_people(tmp_path / "people", num_images=3, seed=0)
    return tmp_path / "people" / "annotations.json"


@pytest.fixture
def weights(tmp_path):
    import torch

    torch.manual_seed(0)
    path = tmp_path / "start.safetensors"
    save_network(path, SsdIsb(MODELS[ROW], num_classes=1), {})
    return path


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
def test_from_training_to_a_file_that_predicts(people, weights, tmp_path):
    settings = [f"--set={part}.{s}" for part, values in SMALL.items() for s in values]
    out = tmp_path / "run"
    trained = run(
        "train",
        ROW,
        "--data",
        people,
        "--val",
        people,
        "--weights",
        weights,
        "--out",
        out,
        *settings,
    )
    assert trained.exit_code == 0, trained.output
    checkpoint = out / f"{ROW}.safetensors"
    scores = tmp_path / "scores.json"
    scored = run("evaluate", checkpoint, "--data", people, "--out", scores)
    assert scored.exit_code == 0, scored.output
    result = json.loads(scores.read_text())
    assert result["model"] == ROW
    assert set(result["mask"]) == set(result["box"])
    exported = tmp_path / "model.onnx"
    done = run("export", checkpoint, "--scores", scores, "--out", exported)
    assert done.exit_code == 0, done.output
    card = json.loads(exported.with_suffix(".json").read_text())
    assert card["parameters"] == 4_593_120
    assert card["size_bytes"] == exported.stat().st_size
    again = run("evaluate", exported, "--data", people, "--json")
    assert again.exit_code == 0, again.output
    file_scores = json.loads(again.stdout)
    for part in ("box", "mask"):
        assert file_scores[part]["AP50"] == pytest.approx(result[part]["AP50"], abs=0.1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["train", "multi-shap"], UsageError, "Did you mean"),
        (["train", ROW, "--set", "detector.step=1"], UsageError, "Did you mean 'steps'"),
    ],
)
def test_train_refuses_what_does_not_exist(people, weights, tmp_path, arguments, error, message):
    result = run(*arguments, "--data", people, "--weights", weights, "--out", tmp_path / "run")
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_a_corrupt_annotation_file_is_refused_with_its_record(people, weights, tmp_path):
    document = json.loads(people.read_text())
    document["annotations"][0]["bbox"] = [1, 2, float("nan"), 4]
    people.write_text(json.dumps(document))
    result = run("train", ROW, "--data", people, "--weights", weights, "--out", tmp_path / "run")
    assert isinstance(result.exception, AnnotationError)
    assert result.exception.exit_code == 3
    assert str(people) in str(result.exception)
    assert str(document["annotations"][0]["id"]) in str(result.exception)


def test_data_that_is_no_dataset_is_a_usage_error(weights, tmp_path):
    result = run("train", ROW, "--data", tmp_path, "--weights", weights, "--out", tmp_path / "run")
    assert isinstance(result.exception, UsageError)
    assert "is not a dataset" in str(result.exception)


def test_export_wants_a_trained_checkpoint(weights, tmp_path):
    result = run("export", weights, "--out", tmp_path / "model.onnx")
    assert isinstance(result.exception, ModelError)
    assert "not a trained model" in str(result.exception)
    assert not (tmp_path / "model.onnx").exists()
