"""A semantic row from data to scores, as a user runs it."""

import dataclasses
import json

import pytest
import torch
from click.testing import CliRunner

from encompass.cli import cli, main
from encompass.data.cityscapes import TABLE
from encompass.data.drawn_streets import draw_streets
from encompass.export.card import read_scores
from encompass.models.semantic import SemanticNetwork
from encompass.models.weights import load_checkpoint, save_network
from encompass.models.zoo import SEMANTIC_MODELS

ROW = "fcn16-mobilenet0.5"
SMALL = [
    f"--set=semantic.{s}"
    for s in (
        *("steps=2", "interval=1", "validate_every=1", "batch_size=2", "workers=0"),
        *("window_height=32", "window_width=48", "norm_pictures=2", "precision=32-true"),
    )
]


def run(*arguments):
    return CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=True)


@pytest.fixture
def streets(tmp_path):
    for split, number in (("train", 3), ("val", 2), ("train_extra", 1)):
        draw_streets(tmp_path / "streets", split=split, num_images=number, seed=0)
    return tmp_path / "streets"


@pytest.fixture
def start(tmp_path):
    """Initial weights: a checkpoint of the row."""

    torch.manual_seed(0)
    path = tmp_path / "start.safetensors"
    record = {
        "name": ROW,
        "row": dataclasses.asdict(SEMANTIC_MODELS[ROW]),
        "task": "semantic",
        "names": list(TABLE.names),
        "colours": list(TABLE.colours),
        "data": ["elsewhere (1 pictures)"],
        "stage": "all",
    }
    network = SemanticNetwork(SEMANTIC_MODELS[ROW], num_classes=19)
    torch.nn.init.normal_(network.decoder.score.weight)  # else all classes are as good as alike
    save_network(path, network, record)
    return path


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("recipe", ["ours", "thesis"])
def test_from_training_to_scores(streets, start, tmp_path, recipe):
    out = tmp_path / "run"
    train = ("train", ROW, "--data", streets, "--split", "train", "--split", "train_extra")
    train += ("--device", "cpu")
    val = ("--val", streets, "--val-split", "val")
    also = ("--weights", start, "--out", out, "--recipe", recipe, *SMALL, "--licence", "CC0-1.0")
    trained = run(*train, *val, *also)
    assert trained.exit_code == 0, trained.output
    checkpoint = out / f"{ROW}.safetensors"
    assert checkpoint.is_file() and (out / f"{ROW}-last.safetensors").is_file()
    record = load_checkpoint(checkpoint)[1]
    assert (record["task"], record["name"], record["names"]) == ("semantic", ROW, [*TABLE.names])
    assert record["data"] == [
        "elsewhere (1 pictures)",
        f"{tmp_path.name}/streets train (3 pictures)",
        f"{tmp_path.name}/streets train_extra (1 pictures)",
    ]
    assert (record["recipe"]["name"], record["licence"]) == (recipe, "CC0-1.0")
    assert record["recipe"]["semantic"]["steps"] == 2

    result, plots = tmp_path / "result.json", tmp_path / "plots"
    evaluate = ("evaluate", checkpoint, "--data", streets, "--split", "val")
    scored = run(*evaluate, "--out", result, "--plots", plots)
    assert scored.exit_code == 0, scored.output
    found = json.loads(result.read_text())
    assert found["model"] == ROW and found["data"].endswith("streets val")
    assert found["num_images"] == 2 and len(found["classes"]) == 19
    # Half precision of the file moves a pixel or two.
    assert found["mIoU"] == pytest.approx(record["best"]["mIoU"], abs=1)
    assert sorted(path.name for path in plots.iterdir()) == ["confusion.png", "worst.png"]
    for said in ("2 pictures", "sidewalk", "mIoU", "pixels right"):
        assert said in scored.stdout
    again = run(*train, *val, *also)  # is finished, and says the same
    assert again.exit_code == 0, again.output
    assert load_checkpoint(checkpoint)[1] == record
    as_json = run(*evaluate, "--json")
    assert json.loads(as_json.stdout)["mIoU"] == found["mIoU"]
    scores, best_f1 = read_scores(result, sha256=found["file"]["sha256"])
    assert best_f1 is None
    assert scores["mIoU"] == round(found["mIoU"], 1)
    ious = {entry["name"]: entry["IoU"] for entry in found["classes"]}
    assert scores["road IoU"] == round(ious["road"], 1)
    assert len(scores) == 2 + sum(iou is not None for iou in ious.values())


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs `encompass ...` as the shell does: exit code and what it says on stderr."""

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["encompass", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, capsys.readouterr().err

    return call


def test_exit_codes_and_messages(command, streets, start, tmp_path):
    out = ("--out", tmp_path / "run")
    train = ("train", ROW, "--data", streets, "--weights", start, *out)
    split = ("--split", "train")
    evaluate = ("evaluate", start, "--data", streets)
    for arguments, code, message in [
        (train, 2, "has splits; give one of train, train_extra, val"),
        ((*train, "--split", "night"), 2, "has no split 'night'"),
        ((*train, *split, "--stage", "detector"), 2, "is trained as a whole"),
        ((*train, *split, "--set", "detector.steps=1"), 2, "is not semantic.KEY=VALUE"),
        ((*train, *split, "--set", "semantic.step=1"), 2, "Did you mean 'steps'"),
        ((*train, *split, "--val", tmp_path / "none"), 3, "no such file or folder"),
        (("train", "fcn16-mobilenet", *train[2:], *split), 2, f"Did you mean '{ROW}'"),
        (("train", "multi-shape", *train[2:], *split), 2, "--split is of semantic rows"),
        (("train", "multi-shape", *train[2:], "--recipe", "thesis"), 2, "--recipe is of semantic"),
        (("train", "multi-shape", *train[2:], "--val-split", "a"), 2, "--val-split is of semantic"),
        (evaluate, 2, "has splits; give one of"),
        ((*evaluate, "--split", "val", "--quality"), 2, "is semantic and has no boxes"),
        ((*evaluate, "--split", "val", "--tiles", "2x2"), 2, "labels every pixel at full size"),
        (("evaluate", "encompass-s", "--data", streets, *split), 2, "--split is of"),
        (("profile", start, "--people", "3"), 2, "is semantic and has no boxes"),
    ]:
        found, said = command(*arguments)
        assert (found, message in said) == (code, True), (arguments, said)
    assert not (tmp_path / "run").exists()


def test_a_mask_with_a_value_that_is_no_class_is_refused_with_its_file(
    command, streets, start, tmp_path
):
    from PIL import Image

    (labels,) = (streets / "gtFine" / "val" / "bochum").glob("*labelIds.png")
    Image.new("L", (128, 64), 200).save(labels)
    code, said = command("evaluate", start, "--data", streets, "--split", "val")
    assert code == 3
    assert labels.name in said and "value 200" in said
