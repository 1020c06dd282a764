"""`encompass data` as a user runs it."""

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from encompass.cli import cli
from encompass.data.drawn import draw_people
from encompass.data.drawn_streets import draw_streets
from encompass.data.sources import load_labels
from encompass.errors import BadData, UsageError
from encompass.models.rows import find_row
from encompass.models.zoo import MODELS, TEN_SHAPES, resizing


def run(*arguments):
    done = CliRunner().invoke(cli, ["data", *map(str, arguments)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture
def people(tmp_path):
    draw_people(tmp_path / "people", num_images=6, seed=0)
    return tmp_path / "people" / "annotations.json"


def test_help_names_all_commands():
    printed = run("--help").stdout
    for name in ("persons", "person-crops", "shapes"):
        assert f"  {name} " in printed


def test_persons_writes_three_files_for_each_file(people, tmp_path):
    val = people.with_name("val.json")
    val.write_bytes(people.read_bytes())
    out = tmp_path / "out"
    done = run("persons", people, "--val", val, "--out", out)
    assert done.exit_code == 0
    endings = ("persons", "isb", "isb-matching")
    assert sorted(p.name for p in out.iterdir()) == sorted(
        f"{name}-{ending}.json" for name in ("annotations", "val") for ending in endings
    )
    assert "thesis" in done.stdout
    assert "262,466" in done.stdout
    assert f"{out / 'val-persons.json'}: 5 pictures" in done.stdout.replace("\n", "")


def test_persons_as_json(people, tmp_path):
    out = tmp_path / "out"
    printed = json.loads(run("persons", people, "--out", out, "--json").stdout)
    counts = printed["counts"]["annotations"]
    assert sum(counts["shapes"].values()) == counts["annotations"]
    assert counts["person_images"] == 5
    assert printed["thesis"]["val2017"]["shapes"]["7x2"] == 129
    assert printed["thesis"]["train2017"]["shapes"]["other"] == 133876
    for path, written in printed["files"].items():
        content = json.loads(Path(path).read_text())
        assert {key: len(content[key]) for key in written} == written


def test_persons_of_two_files_of_one_name_are_refused(people, tmp_path):
    with pytest.raises(UsageError, match="same name"):
        run("persons", people, "--val", people, "--out", tmp_path / "out")
    with pytest.raises(BadData, match="no such file"):
        run("persons", people, "--val", tmp_path / "gone.json", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("model", ["multi-shape", "multi-shape-mn0.75-320"])
def test_the_proposed_row_is_accepted_and_else_that_of_the_model(people, tmp_path, model):
    out = tmp_path / "mine.toml"
    done = run("shapes", people, "--branches", 4, "--model", model, "--out", out, "--json")
    printed = json.loads(done.stdout)
    name, row = find_row(str(out))
    most = MODELS[model].branches[0].max_boxes
    shapes = [tuple(shape) for shape in printed["proposal"]["shapes"]]
    assert name == "mine"
    assert row == dataclasses.replace(MODELS[model], branches=resizing(shapes, max_boxes=most))
    assert printed["proposal"]["coverage"] >= 0.9


def test_the_thesis_ten_stand_beside_the_proposal(people):
    printed = json.loads(run("shapes", people, "--branches", 10, "--json").stdout)
    assert printed["thesis"]["shapes"] == [list(shape) for shape in TEN_SHAPES]
    assert printed["proposal"]["distortion"] < printed["thesis"]["distortion"]
    table = run("shapes", people, "--branches", 10).stdout
    for label in ("coverage", "exact", "distortion", "multiply-adds", "ms a picture", "15x10"):
        assert label in table


def test_proposals_need_no_pictures_and_are_the_same_in_every_run(people, tmp_path):
    alone = tmp_path / "alone.json"
    alone.write_bytes(people.read_bytes())
    proposals = [
        json.loads(run("shapes", path, "--branches", 3, "--json").stdout)["proposal"]["shapes"]
        for path in (people, alone)
    ]
    assert proposals[0] == proposals[1]


def test_a_budget_is_turned_into_multiply_adds(people, monkeypatch):
    monkeypatch.setattr("encompass.data.shapes.measure_multiply_add", lambda: 1e-9)
    free = json.loads(run("shapes", people, "--branches", 3, "--json").stdout)["proposal"]
    assert free["predicted_ms"] == pytest.approx(free["multiply_adds"] * 1e-6)
    budget = 0.9 * free["predicted_ms"]
    done = run(
        *("shapes", people, "--branches", 3, "--coverage", 0.5, "--budget-ms", budget, "--json")
    )
    assert json.loads(done.stdout)["proposal"]["predicted_ms"] <= budget
    with pytest.raises(UsageError, match="Raise the budget"):
        run("shapes", people, "--branches", 3, "--budget-ms", 0.01 * budget)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "multi-shap"), "Did you mean 'multi-shape'"),
        (("--model", "mask-rcnn-head"), "does not resize encompassing boxes"),
        (("--model", "single-branch"), "choose a row that does, like multi-shape"),
        (("--out", "row.txt"), r"ends in \.toml"),
        (("--out", 'a"b.toml'), "letters, digits"),
        (("--out", "multi-shape.toml"), "choose another name"),
        (("--classes", "persn"), "Did you mean 'person'"),
    ],
)
def test_what_cannot_be_proposed_is_refused(people, options, message):
    with pytest.raises(UsageError, match=message):
        run("shapes", people, "--branches", 3, *options)


def test_person_crops_of_coco_and_of_cityscapes_are_datasets(people, tmp_path):
    done = run("person-crops", people, "--out", tmp_path / "coco", "--size", "160x96")
    number = len(load_labels(tmp_path / "coco"))
    assert done.stdout.replace("\n", "") == f"{tmp_path / 'coco'}: {number} persons at 160x96"
    streets = draw_streets(tmp_path / "streets", split="val", num_images=2, seed=0)
    out = tmp_path / "streets-crops"
    run("person-crops", streets, "--split", "val", "--background", "10", "--out", out)
    assert {sample.size for sample in load_labels(out).samples} == {(320, 192)}


def test_more_background_makes_the_person_smaller(people, tmp_path):
    shares = []
    for background in ("0", "5", "10"):
        out = tmp_path / background
        run("person-crops", people, "--background", background, "--out", out)
        labels = [sample.read_labels() for sample in load_labels(out).samples]
        shares.append(sum((each == 1).sum() for each in labels) / (len(labels) * 320 * 192))
    assert shares[1] / shares[0] == pytest.approx(1 / 1.1**2, rel=0.01)
    assert shares[2] / shares[0] == pytest.approx(1 / 1.2**2, rel=0.01)


def test_person_crops_of_what_has_none_are_refused(people, tmp_path):
    streets = draw_streets(tmp_path / "streets", split="val", num_images=1, seed=0)
    out = tmp_path / "out"
    for options, message in (
        ((streets,), "is Cityscapes: give --split"),
        ((streets, "--split", "train"), "has no split 'train'"),
        ((streets, "--split", "val", "--images", streets), "no --images"),
        ((people, "--split", "val"), "is not laid out as Cityscapes"),
    ):
        with pytest.raises(UsageError, match=message):
            run("person-crops", *options, "--out", out)
    with pytest.raises(BadData, match="no such file"):
        run("person-crops", tmp_path / "gone.json", "--out", out)
    assert not out.exists()
