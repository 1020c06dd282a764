"""evaluate as a user runs it, on a file whose answer is fixed."""

import json

import pytest
from click.testing import CliRunner

import encompass.run.predictor as predictor
from encompass.cli import cli
from encompass.data.drawn import draw_people
from encompass.evaluate.coco import METRICS, METRICS_AT_50


@pytest.fixture
def people(tmp_path):
    draw_people(tmp_path / "people", num_images=3, seed=0)
    return tmp_path / "people" / "annotations.json"


def evaluate(*arguments):
    done = CliRunner().invoke(cli, ["evaluate", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0
    return done


def test_the_result_has_every_table_and_its_pictures(people, model_file, tmp_path):
    out, plots = tmp_path / "result.json", tmp_path / "plots"
    done = evaluate(model_file, "--data", people, "--out", out, "--plots", plots)
    result = json.loads(out.read_text())
    for part in ("box", "mask"):
        assert tuple(result[part]) == METRICS
        assert tuple(result[f"{part}_at_50"]) == METRICS_AT_50
        assert all(len(curve) == 101 for curve in result["curves"][part].values())
    assert result["num_images"] == 3
    rows = result["shapes"]["rows"]
    assert rows[-1]["shape"] == "all"
    assert rows[-1]["num_objects"] == result["num_annotations"] > 0
    assert sorted(path.name for path in plots.iterdir()) == ["curves.png", "shapes.png"]
    for said in ("box, IoU 0.50", "mask, IoU 0.50", "ARl", "shape", "mask IoU", "3 pictures"):
        assert said in done.stdout


def test_json_is_the_file_and_nothing_else(people, model_file, tmp_path):
    out = tmp_path / "result.json"
    done = evaluate(model_file, "--data", people, "--out", out, "--json")
    assert json.loads(done.stdout) == json.loads(out.read_text())
    assert not (tmp_path / "plots").exists()


def test_an_exported_file_is_opened_once(people, model_file, monkeypatch):
    opened = []
    load = predictor.load

    def counted(*arguments, **named):
        opened.append(arguments)
        return load(*arguments, **named)

    monkeypatch.setattr(predictor, "load", counted)
    evaluate(model_file, "--data", people)
    assert len(opened) == 1
