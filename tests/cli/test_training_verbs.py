"""train, evaluate and export as a user runs them."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from encompass.cli import cli, main
from encompass.data.drawn import draw_people
from encompass.errors import AnnotationError
from encompass.export.card import read_scores
from encompass.models.instance import SsdIsb
from encompass.models.rows import find_row
from encompass.models.weights import load_checkpoint, save_network
from encompass.models.zoo import MODELS
from encompass.run.catalogue import DEFAULT_MODEL

ROW, SLIM = "multi-shape-mn0.75-320", "encompass-n"
SMALL = {
    "detector": ("steps=1", "interval=1", "batch_size=2", "accumulate=1", "workers=0"),
    "branches": ("steps=2", "interval=1", "passes=1", "shared_steps=1"),
}
SMALL["joint"] = SMALL["distillation"] = SMALL["detector"]


def run(*arguments):
    return CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=True)


@pytest.fixture
def people(tmp_path):
    draw_people(tmp_path / "people", num_images=3, seed=0)
    return tmp_path / "people" / "annotations.json"


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "start.safetensors"
    save_network(path, SsdIsb(MODELS[ROW], num_classes=1), {})
    return path


ROW_FILE = """
multiplier = 0.25
input_size = 160
crop_blocks = [11, 5]
[[branches]]
shape = [4, 3]
convolutions = 2
rate = 2
[[branches]]
shape = [2, 2]
exact = true
[[branches]]
shape = [9, 4]
max_boxes = 5
"""
# As the family's: no training of the detector alone, but one of all together.
FAMILY_FILE = """
multiplier = 0.25
input_size = 160
crop_blocks = [11, 5]
crop = "box"
refine = true
anchors = "pixels"
fine_map = true
mask_confidence = true
[[branches]]
shape = [7, 4]
"""
# Starts from the trunk of a wider one.
PRUNED_FILE = FAMILY_FILE.replace("fine_map = true", "inner = 0.5")
STAGES = {
    ROW_FILE: {"detector", "branches"},
    FAMILY_FILE: {"branches", "joint"},
    PRUNED_FILE: {"distillation", "branches", "joint"},
}


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("content", STAGES)
def test_a_row_file_trains_evaluates_exports_and_is_profiled(content, people, tmp_path):
    row, start, out = tmp_path / "mine.toml", tmp_path / "start.safetensors", tmp_path / "run"
    row.write_text(content)
    torch.manual_seed(0)
    wide = dataclasses.replace(find_row(str(row))[1], inner=1.0)
    network = SsdIsb(wide, num_classes=1)
    for head in network.detector.heads:
        torch.nn.init.normal_(head.scores.weight, std=0.1)
        torch.nn.init.normal_(head.offsets.weight, std=0.05)
    # Without statistics of its own, a deep network's features fade to nothing and all its scores
    # tie, so that rounding decides which objects are kept.
    for norm in (m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.momentum = 1.0
    with torch.no_grad():
        network.train().detector(torch.rand(8, 3, 160, 160) * 2 - 1)
    save_network(start, network, {"licence": "CC-BY-4.0"})  # what is made from it has it too
    settings = [f"--set={part}.{s}" for part in STAGES[content] for s in SMALL[part]]
    settings = [s.replace("shared_steps=1", "shared_steps=0") for s in settings]
    options = ("--data", people, "--weights", start, "--out", out, "--device", "cpu")
    trained = run("train", row, *options, *settings)
    assert trained.exit_code == 0, trained.output
    checkpoint, exported = out / "mine.safetensors", tmp_path / "mine.onnx"
    recipe = load_checkpoint(checkpoint)[1]["recipe"]
    assert {part for part, settings in recipe.items() if settings} == STAGES[content]
    scores = tmp_path / "scores.json"
    scored = run("evaluate", checkpoint, "--data", people, "--quality", "--out", scores)
    assert scored.exit_code == 0, scored.output
    result = json.loads(scores.read_text())
    assert result["model"] == "mine"
    assert result["quality"]["all"]["num_objects"] == result["num_annotations"]
    done = run("export", checkpoint, "--out", exported, "--pictures", people.parent / "images")
    assert done.exit_code == 0, done.exception
    assert json.loads(Path(f"{exported}.json").read_text())["licence"] == "CC-BY-4.0"
    profiled = run("profile", checkpoint, "--runs", "1", "--people", "3", "--json")
    assert profiled.exit_code == 0, profiled.output
    assert json.loads(profiled.stdout)[0]["model"] == "mine"


def test_the_quality_of_an_exported_file_is_refused_before_the_work(people):
    refused = run("evaluate", DEFAULT_MODEL, "--data", people, "--quality")
    assert refused.exit_code == 1
    assert "give the checkpoint" in str(refused.exception)


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
def test_from_training_to_a_file_that_predicts(people, weights, tmp_path):
    settings = [f"--set={part}.{s}" for part in STAGES[ROW_FILE] for s in SMALL[part]]
    out = tmp_path / "run"
    trained = run(
        "train",
        ROW,
        "--device",
        "cpu",
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
    card = json.loads(Path(f"{exported}.json").read_text())
    assert card["parameters"] == 4_593_120
    assert card["size_bytes"] == exported.stat().st_size
    again = run("evaluate", exported, "--data", people, "--json")
    assert again.exit_code == 0, again.output
    file_scores = json.loads(again.stdout)
    for part in ("box", "mask"):
        assert file_scores[part]["AP50"] == pytest.approx(result[part]["AP50"], abs=0.1)


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs `encompass ...` as the shell does: exit code and what it says on stderr."""

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["encompass", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, capsys.readouterr().err

    return call


@pytest.mark.parametrize("name", [ROW, "fcn16-mobilenet0.5"])
def test_a_network_learns_on_the_gpu_where_there_is_one(name, weights, tmp_path, monkeypatch):
    used = []
    for verb in ("_train_instance.train_instance", "_train_semantic.train_semantic"):
        monkeypatch.setattr(
            f"encompass.cli.{verb}", lambda *_, device, **__: used.append(device) or tmp_path
        )
    options = ("--data", tmp_path, "--weights", weights, "--out", tmp_path / "run")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    run("train", name, *options)
    run("train", name, *options, "--device", "cpu")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    run("train", name, *options)
    assert used == ["cuda", "cpu", "cpu"]


def test_exit_codes_and_messages(command, people, weights, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    out = ("--out", tmp_path / "run")
    data, start = ("--data", people), ("--weights", weights)
    slim = ("--weights", tmp_path / "slim.safetensors")
    save_network(slim[1], SsdIsb(MODELS[SLIM], num_classes=1), {"name": SLIM})
    missing = tmp_path / "missing"
    for arguments, code, message in [
        (("train", "multi-shap", *data, *start, *out), 2, "Did you mean 'multi-shape"),
        (("train", ROW, *data, *start, *out, "--set", "detector.step=1"), 2, "mean 'steps'"),
        (("train", ROW, *data, *start, *out, "--classes", "dog"), 2, "dog"),
        (("train", ROW, "--data", f"{missing}.json", *start, *out), 3, "missing.json"),
        (("train", ROW, *data, "--weights", f"{missing}.safetensors", *out), 1, "no such file"),
        (("train", ROW, *data, "--weights", tmp_path, *out), 1, "is a folder"),
        (("train", ROW, *data, *start, *out, "--stage", "joint"), 2, "no trained branches of"),
        (("train", ROW, *data, *start, *out, "--set", "joint.seed=9"), 2, "in --stage all"),
        (("train", ROW, *data, *start, *out, "--stage", "distillation"), 2, "nothing to distil"),
        (("train", SLIM, *data, *slim, *out, "--set", "distillation.seed=9"), 2, "nothing to"),
        (("train", ROW, *data, *start, *out, "--device", "cuda"), 2, "use --device cpu"),
        (("train", ROW, *data, *start, *out, "--set", "joint.score=sigmoid"), 2, "detector.score"),
        (("evaluate", f"{missing}.safetensors", *data), 1, "no such file"),
        (("evaluate", "multi-shap", *data), 2, "No model is called"),
        (("evaluate", weights, *data), 1, "not a trained model"),
        (("evaluate", "multi-shape", *data), 2, "e.g. weights/multi-shape.safetensors"),
        (("export", weights, "--out", tmp_path / "model.pt"), 2, "must end in .onnx"),
        (("export", weights, "--out", tmp_path / "model.onnx"), 1, "not a trained model"),
    ]:
        found, said = command(*arguments)
        assert (found, message in said) == (code, True), (arguments, said)
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "model.onnx").exists()


def test_a_checkpoint_whose_branches_are_untrained_is_refused(command, people, tmp_path):
    path = tmp_path / "half.safetensors"
    save_network(path, SsdIsb(MODELS[ROW], num_classes=1), {"name": ROW, "stage": "detector"})
    code, said = command("evaluate", path, "--data", people)
    assert code == 1
    assert "its branches are not trained" in said


def test_scores_of_another_checkpoint_are_refused(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({"file": {"name": "other.safetensors", "sha256": "0"}}))
    with pytest.raises(AnnotationError, match=r"is of another file \(other.safetensors\)"):
        read_scores(path, sha256="1")
    path.write_text("{")
    with pytest.raises(AnnotationError, match="is not a result"):
        read_scores(path, sha256="1")


def test_a_corrupt_annotation_file_is_refused_with_its_record(people, weights, tmp_path):
    document = json.loads(people.read_text())
    document["annotations"][0]["bbox"] = [1, 2, float("nan"), 4]
    people.write_text(json.dumps(document))
    result = run("train", ROW, "--data", people, "--weights", weights, "--out", tmp_path / "run")
    assert isinstance(result.exception, AnnotationError)
    assert result.exception.exit_code == 3
    assert str(people) in str(result.exception)
    assert str(document["annotations"][0]["id"]) in str(result.exception)
