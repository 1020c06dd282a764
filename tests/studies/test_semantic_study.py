"""The study of semantic rows on drawn streets, one row with a step or two."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

import encompass
from encompass.data.cityscapes import load_cityscapes
from encompass.data.drawn_streets import draw_streets
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


def test_gridding_counts_cells_that_differ_from_two_neighbours_that_agree(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((16, 12, 3), np.uint8)).save(path)
    sample = dataclasses.make_dataclass("Sample", ["path"])(path)
    dataset = dataclasses.make_dataclass("Samples", ["samples"])([sample])
    # Cells of 4 pixels; what is beyond the picture, 3 x 4 cells, does not count. Along x the 1 and
    # the 0 between 2s are odd of 4 in the middle, along y the 1 and the right 2 of 6.
    labels = [[0, 0, 0, 1], [0, 1, 0, 1], [2, 0, 2, 1], [2, 0, 0, 1], [1, 1, 1, 1]]
    assert gridding(Fixed(labels), dataset) == pytest.approx(100 * 4 / (4 + 6))
    assert gridding(Fixed(np.zeros((5, 4), int)), dataset) == 0
    assert gridding(Fixed(np.indices((5, 4)).sum(axis=0) % 2), dataset) == 100


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
        about={"data": "drawn"},
    )
    train_and_score(training, tmp_path / "out", tmp_path / "results")
    result = json.loads((tmp_path / "results" / "mine.json").read_text())
    assert result["best_step"] in (1, 2)
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
