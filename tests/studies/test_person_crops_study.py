"""The cells of the person study, and the crops they learn from."""

import pytest

from encompass.data.drawn import draw_people
from encompass.models.zoo import SEMANTIC_MODELS
from encompass.studies.person_crops import BUDGET, Cell, cells, crops_of
from encompass.train.recipes import find_semantic_recipe


def test_every_cell_is_there_once_and_is_a_row():
    todo = list(cells())
    assert len({cell.name for cell in todo}) == len(todo) == 4 * 3 * 3 * 2
    for cell in todo:
        assert SEMANTIC_MODELS[cell.row].last_rate == cell.rate
    assert {cell.size for cell in todo[:36]} == {(160, 96)}
    assert list(cells(["mobilenet0.5"])) == [c for c in todo if c.method == "mobilenet0.5"]


def test_names_say_row_size_and_background():
    cell = Cell("fcn8-mobilenet0.5", 3, 0.05, (320, 192))
    assert cell.name == "fcn8-mobilenet0.5-rate3-320x192-5"
    assert Cell("mobilenet0.5", 1, 0.0, (160, 96)).row == "mobilenet0.5"


def test_crops_are_learnt_as_they_are():
    config = find_semantic_recipe("ours", BUDGET)
    assert (config.augment, config.precision, config.steps) == ("none", "32-true", 200)


@pytest.mark.parametrize("background", [0.0, 0.10])
def test_crops_are_made_once(tmp_path, background):
    people = draw_people(tmp_path / "people", num_images=2, seed=0)
    cell = Cell("mobilenet0.5", 1, background, (160, 96))
    crops = crops_of(people.sources[0], cell, tmp_path / "crops")
    assert crops.table.names == ("background", "person")
    assert len(crops) == sum(len(sample.objects) for sample in people.samples)
    picture, labels = crops.samples[0].read()
    assert picture.shape[:2] == labels.shape == (160, 96)
    made = [path.stat().st_mtime_ns for path in (tmp_path / "crops").rglob("*.png")]
    crops_of(people.sources[0], cell, tmp_path / "crops")
    assert [path.stat().st_mtime_ns for path in (tmp_path / "crops").rglob("*.png")] == made
