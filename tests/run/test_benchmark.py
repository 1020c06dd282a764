import sys
import types

import numpy as np
import pytest

import encompass.run.benchmark as bench
from encompass.errors import ModelError

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell memory")


class StandIn:
    """Answers like a model, in no time, with objects of the scores it is told."""

    card = types.SimpleNamespace(name="stand-in", precision="fp16")
    runtime = "onnxruntime"

    def __init__(self, scores):
        self.scores = np.asarray(scores)
        self.calls = 0

    def __call__(self, picture, score):
        assert picture.shape == (480, 640, 3)
        self.calls += 1
        return Result(self.scores[self.scores > score])


class Result(list):
    def __init__(self, scores):
        super().__init__(scores)
        self.scores = scores
        self.speed = {"pre": 1.0, "network": 2.0, "mask decode": 3.0}


@pytest.fixture
def model(monkeypatch):
    stand_in = StandIn([0.9, 0.7, 0.6, 0.3, 0.2, 0.1])
    monkeypatch.setattr(bench, "load", lambda name, threads: stand_in)
    monkeypatch.setattr(bench, "peak_mb", lambda name, path, threads: 12.5)
    return stand_in


def test_there_is_a_row_for_each_stage_and_number_of_people(model):
    rows = bench.benchmark("stand-in", threads=2, runs=3)
    assert [(row.people, row.stage) for row in rows] == [
        (people, stage) for people in bench.PEOPLE for stage in bench.STAGES
    ]


def test_the_warm_up_is_run_but_not_counted(model):
    rows = bench.benchmark("stand-in", threads=2, runs=3)
    looks = len(bench.PEOPLE) - 1  # for the threshold of each picture with people
    assert model.calls == len(bench.PEOPLE) * (bench.WARM_UP + 3) + looks
    assert {row.runs for row in rows} == {3}


def test_the_threshold_lets_so_many_people_through_or_all_there_are(model):
    picture = bench.scene(0)
    assert bench.score_for(model, picture, 0) == 0.5
    assert bench.score_for(model, picture, 1) == pytest.approx(0.8)
    assert bench.score_for(model, picture, 5) == pytest.approx(0.15)
    assert bench.score_for(model, picture, 20) == bench.LOWEST
    found = {row.people: row.found for row in bench.benchmark("stand-in", threads=2, runs=1)}
    assert found == {0: 3, 1: 1, 5: 5, 20: 6}


def test_a_row_says_what_was_measured_and_on_what(model):
    row = bench.benchmark("stand-in", threads=2, runs=1)[2]
    assert (row.model, row.stage, row.people, row.found) == ("stand-in", "network", 0, 3)
    assert (row.median_ms, row.p95_ms, row.threads, row.peak_mb) == (2.0, 2.0, 2, 12.5)
    assert row.cpu
    assert (row.runtime, row.precision) == ("onnxruntime", "fp16")
    assert set(row.versions) == {"python", "numpy", "onnxruntime", "pillow"}


def test_the_summary_is_the_median_and_the_95th_percentile():
    assert bench.summary(range(101)) == (50.0, 95.0)


def test_an_empty_scene_is_even():
    assert np.ptp(bench.scene(0), axis=(0, 1)).max() == 0


@pytest.mark.parametrize("people", bench.PEOPLE[1:])
def test_a_scene_shows_so_many_equal_people_apart(people):
    scene = bench.scene(people)
    assert scene.shape == (480, 640, 3)
    assert scene.dtype == np.uint8
    ground = bench.scene(0)[0, 0]
    columns = {1: 1, 5: 3, 20: 5}[people]
    width, height = 640 // columns, 480 // -(-people // columns)
    cells = [
        scene[y : y + height, x : x + width]
        for y in range(0, 480, height)
        for x in range(0, columns * width, width)
    ]
    filled = [cell for cell in cells if (cell != ground).any()]
    assert len(filled) == people
    assert all((cell == filled[0]).all() for cell in filled)
    assert all((cell[:, [0, -1]] == ground).all() for cell in filled)


@on_linux
def test_a_file_is_timed_and_weighed_in_a_process_of_its_own(model_file):
    rows = bench.benchmark(str(model_file), threads=1, runs=1)
    assert {row.people: row.found for row in rows} == {0: 2, 1: 1, 5: 2, 20: 2}
    assert rows[0].peak_mb > 20  # the interpreter and the runtime alone


@on_linux
def test_memory_that_cannot_be_measured_names_the_model():
    with pytest.raises(ModelError, match=r"^no-such-model: measuring memory failed"):
        bench.peak_mb("no-such-model", "no-such-picture.jpg", threads=1)


@pytest.fixture
def semantic(make_semantic_model, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "SIZES", ((30, 40), (100, 120)))
    return str(make_semantic_model(tmp_path / "tiny-labels.onnx", stride=64))


def test_a_semantic_model_is_timed_by_the_size_of_the_picture(semantic, monkeypatch):
    monkeypatch.setattr(bench, "peak_mb", lambda name, path, threads: 12.5)
    rows = bench.benchmark(semantic, threads=1, runs=2)
    assert [(row.height, row.width, row.stage) for row in rows] == [
        (*size, stage) for size in bench.SIZES for stage in bench.SEMANTIC_STAGES
    ]
    assert {(row.model, row.runs, row.peak_mb) for row in rows} == {("tiny-labels", 2, 12.5)}
    assert all(0 <= row.median_ms <= row.p95_ms for row in rows)


@on_linux
def test_a_semantic_model_is_weighed_on_each_picture(semantic):
    rows = bench.benchmark(semantic, threads=1, runs=1)
    assert all(row.peak_mb > 20 for row in rows)


def test_sizes_are_those_of_the_two_street_datasets_and_views_have_them():
    assert bench.SIZES == ((360, 480), (1024, 2048))
    view = bench.view((36, 48))
    assert (view.shape, view.dtype) == ((36, 48, 3), np.uint8)
    assert np.ptp(view) > 100
