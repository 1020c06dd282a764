"""The study of the instance rows on drawn people, one row with a step or two."""

import dataclasses
import json

import pytest
import torch

from encompass.data.drawn import draw_people
from encompass.models.instance import SsdIsb
from encompass.models.weights import load_checkpoint, save_detector
from encompass.models.zoo import MODELS
from encompass.studies.instance import (
    MAIN,
    ROWS,
    SEEDS,
    Study,
    check_row,
    find_detectors,
    result_name,
    runs,
)

TINY = ("branches.steps=2", "branches.interval=1", "branches.shared_steps=0", "branches.passes=1")


def test_every_row_runs_once_and_the_main_ones_with_each_seed():
    todo = list(runs())
    assert len(set(todo)) == len(todo) == len(ROWS) + (len(SEEDS) - 1) * len(MAIN)
    assert {row for row, _ in todo} == {n for n, s in MODELS.items() if s.input_size == 640}
    assert len({result_name(*run) for run in todo}) == len(todo)
    assert list(runs(["mine", "multi-shape"])) == [
        ("mine", 0),
        *(("multi-shape", seed) for seed in SEEDS),
    ]


@pytest.fixture
def detectors(tmp_path):
    paths = []
    for row in ("multi-shape", "multi-shape-mn0.75"):
        torch.manual_seed(0)
        path = tmp_path / f"{row}.safetensors"
        record = {"name": row, "row": dataclasses.asdict(MODELS[row]), "names": ["person"]}
        recipe = {"recipe": {"detector": {"steps": 0}}, "stage": "detector", "data": ["drawn"]}
        save_detector(path, SsdIsb(MODELS[row], num_classes=1), record | recipe)
        paths.append(path)
    return tuple(paths)


def test_detectors_are_known_by_their_depth(detectors):
    found = find_detectors(detectors)
    assert {depth: path.stem for depth, path in found.items()} == {
        1.0: "multi-shape",
        0.75: "multi-shape-mn0.75",
    }
    with pytest.raises(ValueError, match=r"No --detector has the depth multiplier 0\.75"):
        find_detectors(detectors[:1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"multiplier": 0.5}, r"mine has multiplier=0.5; the study's rows have 0.75 or 1.0"),
        ({"input_size": 320}, "mine has input_size=320; the study's rows have 640"),
        ({"crop_blocks": (11, 5)}, r"mine has crop_blocks=\(11, 5\)"),
    ],
)
def test_a_row_that_the_maps_cannot_teach_is_refused(changes, message):
    check_row("multi-shape-fcn16", MODELS["multi-shape-fcn16"])
    with pytest.raises(ValueError, match=message):
        check_row("mine", dataclasses.replace(MODELS["multi-shape"], **changes))


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
def test_a_row_is_trained_scored_kept_and_not_made_again(detectors, tmp_path, capsys):
    people = draw_people(tmp_path / "people", num_images=3, seed=0)
    results = tmp_path / "results"
    few = dataclasses.replace(people, samples=people.samples[:1])
    study = Study(
        find_detectors(detectors), people, people, tmp_path / "out", results, subsets={"few": few}
    )
    study.run("mine", MODELS["single-branch-mn0.75"], 0, TINY)
    result = json.loads((results / "mine.json").read_text())
    assert {"box", "mask", "mask_at_50", "shapes", "curves", "quality"} <= result.keys()
    assert result["quality"]["all"]["num_objects"] == sum(len(s.objects) for s in people.samples)
    assert result["subsets"] == {}  # the main rows alone are scored on those
    weights = tmp_path / "out" / "weights" / "mine.safetensors"
    tensors, record = load_checkpoint(weights)
    assert {name.split(".")[0] for name in tensors} == {"branches"}
    assert weights.with_name(record["detector"]["file"]).is_file()
    weights.unlink()
    study.run("mine", MODELS["single-branch-mn0.75"], 0, TINY)
    assert not weights.exists()
    assert "done before" in capsys.readouterr().out
