"""The study of semantic rows on drawn streets, one row with a step or two."""

import json
import types

import numpy as np
import pytest
import torch

import encompass
from encompass.data.cityscapes import load_cityscapes
from encompass.data.drawn_streets import draw_streets
from encompass.data.labels import IGNORE
from encompass.models.semantic import SemanticNetwork
from encompass.models.weights import load_checkpoint, save_network
from encompass.models.zoo import SEMANTIC_MODELS
from encompass.studies.semantic import (
    BUDGET,
    OURS,
    PICTURES,
    ROWS,
    Training,
    gridding,
    runs,
    train_and_score,
)
from encompass.train.recipes import find_semantic_recipe

ROW = "mobilenet0.5"


def test_every_training_sees_as_many_pictures():
    for recipe, settings in BUDGET.items():
        config = find_semantic_recipe(recipe, settings)
        assert config.steps * config.batch_size * config.accumulate == PICTURES
        assert config.steps % (config.interval * config.validate_every) == 0
    assert {*ROWS, OURS} <= SEMANTIC_MODELS.keys()


def test_every_row_runs_once_and_three_with_each_seed():
    todo = list(runs((*ROWS, OURS)))
    assert len({name for name, *_ in todo}) == len(todo) == 8 + 1 + 1 + 3 * 2
    seeds = [seed for _, row, recipe, seed in todo if (row, recipe) == ("mobilenet0.5", "ours")]
    assert seeds == [0, 1, 2]
    assert list(runs([OURS])) == [(OURS, OURS, "ours", 0)]


class Fixed:
    """A network whose logits are those of a label map."""

    stride = 4

    def __init__(self, labels):
        one_hot = np.eye(3, dtype=np.float32)[np.asarray(labels)]
        self.logits = torch.from_numpy(one_hot).permute(2, 0, 1)[None]

    def __call__(self, pictures):
        return self.logits


def test_gridding_counts_wrong_cells_that_differ_from_two_neighbours_that_agree():
    def of(cells, truth):
        picture = np.zeros((16, 12, 3), np.uint8), np.kron(truth, np.ones((4, 4), int))
        sample = types.SimpleNamespace(read=lambda: picture)
        return gridding(Fixed(cells), types.SimpleNamespace(samples=[sample]))

    # Cells of 4 pixels; what is beyond the picture, 4 x 3 cells, does not count. Along x the 1 and
    # the 0 between 2s are odd of 4 in the middle, along y the 1 and the right 2 of 6.
    cells = [[0, 0, 0, 1], [0, 1, 0, 1], [2, 0, 2, 1], [2, 0, 0, 1], [1, 1, 1, 1]]
    wrong = np.full((4, 3), 9)
    assert of(cells, wrong) == pytest.approx(100 * 4 / (4 + 6))
    # The 1 is there, and of the right 2 nothing is known.
    known = [[9, 9, 9], [9, 1, 9], [9, 9, IGNORE], [9, 9, 9]]
    assert of(cells, known) == pytest.approx(100 * 1 / (4 + 5))
    assert of(np.zeros((5, 4), int), wrong) == 0
    assert of(np.indices((5, 4)).sum(axis=0) % 2, wrong) == 100


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
def test_a_row_is_trained_scored_kept_and_not_made_again(tmp_path, capsys):
    root = draw_streets(tmp_path / "streets", split="train", num_images=2, seed=0)
    streets = load_cityscapes(root, split="train")
    start = tmp_path / "start.safetensors"
    torch.manual_seed(0)
    record = {"name": ROW, "task": "semantic", "names": ["a", "b"]}
    save_network(start, SemanticNetwork(SEMANTIC_MODELS[ROW], num_classes=2), record)
    settings = (
        *("steps=2", "interval=1", "batch_size=2", "window_height=64", "window_width=64"),
        *("workers=0", "precision=32-true"),
    )
    training = Training(
        name="mine",
        row=ROW,
        recipe="ours",
        config=find_semantic_recipe("ours", [f"semantic.{s}" for s in settings]),
        start=start,
        train=streets,
        val=streets,
        gridding=True,
        learnt="drawn streets",
        licence="CC0-1.0",
        about={"data": "drawn"},
    )
    train_and_score(training, tmp_path / "out", tmp_path / "results")
    result = json.loads((tmp_path / "results" / "mine.json").read_text())
    assert result["best_step"] in (1, 2)
    record = load_checkpoint(tmp_path / "out" / "weights" / "mine.safetensors")[1]
    assert (record["data"], record["licence"]) == (["drawn streets"], "CC0-1.0")
    assert result["num_images"] == 2
    assert len(result["classes"]) == 19
    assert "images" not in result
    assert 0 <= result["gridding"] < 100
    assert result["exported"]["equal_pixels"] > 0.999
    assert result["exported"]["pictures"] == 2
    exported = encompass.load(tmp_path / "out" / "onnx" / "mine.onnx")
    assert exported.card.names == streets.table.names
    weights = tmp_path / "out" / "weights" / "mine.safetensors"
    assert load_checkpoint(weights)[1]["best"]["step"] == result["best_step"]
    weights.unlink()
    train_and_score(training, tmp_path / "out", tmp_path / "results")
    assert not weights.exists()
    assert "done before" in capsys.readouterr().out
