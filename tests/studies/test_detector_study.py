import dataclasses
import json

import pytest
import torch
from click.testing import CliRunner

from encompass.data.drawn import draw_people
from encompass.models.instance import SsdIsb
from encompass.models.weights import save_network
from encompass.studies import ablation_table
from encompass.studies import detectors as study

ROWS, STEPS = dict(study.ROWS), dict(study.STEPS)
SMALL = {
    name.replace("352", "64"): dataclasses.replace(spec, multiplier=0.25, input_size=64)
    for name, spec in ROWS.items()
    if spec.input_size == 352
}


@pytest.fixture(autouse=True)
def small_rows(monkeypatch):
    settings = {"interval": 1, "batch_size": 2, "workers": 0, "precision": "32-true"}
    monkeypatch.setattr(study, "STEPS", {64: 1})
    monkeypatch.setattr(study, "CONFIG", dataclasses.replace(study.CONFIG, **settings))
    for module, name in ((study, "ROWS"), (ablation_table, "DETECTOR_ROWS")):
        monkeypatch.setattr(module, name, dict(SMALL))
    for module in (study, ablation_table):
        monkeypatch.setattr(module, "STARTS", {"pixels-64-start": "pixels-64"})


def call(*arguments):
    return CliRunner().invoke(study.main, list(map(str, arguments)), catch_exceptions=False)


def test_rows_of_a_size_differ_in_anchors_or_in_the_fine_map_alone():
    assert {spec.input_size for spec in ROWS.values()} == STEPS.keys()
    expected = {"picture": set(), "pixels": {"anchors"}, "fine": {"anchors", "fine_map"}}
    for name, spec in ROWS.items():
        kind, size = name.split("-")
        assert spec.input_size == int(size)
        other = ROWS[f"picture-{size}"]
        differs = {f for f in vars(spec) if getattr(spec, f) != getattr(other, f)}
        assert differs == expected[kind]


@pytest.mark.filterwarnings("ignore")
def test_rows_are_trained_and_scored_once(tmp_path, monkeypatch):
    del study.ROWS["picture-64"]  # a checkpoint's anchors, unlike a release's, fit one kind alone
    draw_people(tmp_path / "people", num_images=3, seed=0, size=(64, 80))
    torch.manual_seed(0)
    spec = SMALL["pixels-64"]
    record = {"name": "mine", "row": dataclasses.asdict(spec), "names": ["person"]}
    start = tmp_path / "start.safetensors"
    save_network(start, SsdIsb(spec, num_classes=1), record | {"stage": "detector"})
    people = tmp_path / "people" / "annotations.json"
    asked = ["train", start, "--data", people, "--val", people, "--out", tmp_path / "out"]
    asked += ["--results", tmp_path / "results" / "detectors", "--seeds", 2]
    assert call(*asked).exit_code == 0
    results = {p.stem: json.loads(p.read_text()) for p in tmp_path.glob("results/detectors/*")}
    seeds = [f"{name}{seed}" for name in ("pixels-64", "fine-64") for seed in ("", "-seed1")]
    assert results.keys() == {"pixels-64-start", *seeds}
    assert results["pixels-64-start"]["detector"] is None
    assert results["fine-64-seed1"]["detector"]["seed"] == 1
    assert results["fine-64-seed1"]["row"]["fine_map"]
    page = "\n".join(ablation_table.detectors(tmp_path / "results"))
    assert "learn for 1 steps at 64x64, of 2 pictures" in page
    assert "| `fine-64` | 2 |" in page
    assert call(*asked).output.count("done before") == 5
    monkeypatch.setattr(study, "STEPS", {64: 2})
    assert call(*asked).output.count("done before") == 1  # the start's


def test_times_stand_beside_those_of_the_thesis_anchors(tmp_path):
    path = tmp_path / "detectors_times.json"
    assert call("time", "--runs", 2, "--results", path).exit_code == 0
    measured = json.loads(path.read_text())
    assert [row["model"] for row in measured["rows"]] == list(SMALL)
    for row, ms in zip(measured["rows"], (10.0, 11.0, 12.5), strict=True):
        row["median_ms"] = ms
    path.write_text(json.dumps(measured))
    page = "\n".join(ablation_table.detector_times(tmp_path))
    assert "| `fine-64` | 12.5 | 1.25 |" in page
    measured["rows"][2]["row"]["refine"] = False
    path.write_text(json.dumps(measured))
    assert "fine-64" not in "\n".join(ablation_table.detector_times(tmp_path))
