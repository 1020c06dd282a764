"""Models side by side: who is timed when, and what a row says."""

import types

import onnx
import pytest

import encompass.run.comparison as comparison
from encompass.errors import UsageError
from encompass.files import sha256
from encompass.run.comparison import compare, take_turns
from encompass.run.machine import describe_machine


@pytest.fixture
def unweighed(monkeypatch):
    monkeypatch.setattr(comparison, "peak_mb", lambda name, path, threads: 12.5)
    monkeypatch.setattr(comparison, "REST", 0)


@pytest.fixture
def ir_file(make_model, tmp_path):
    """The tiny model as .xml and .bin."""
    pytest.importorskip("openvino")
    from encompass.export.openvino import save_openvino, to_openvino

    graph = onnx.load(make_model(tmp_path / "source.onnx"))
    save_openvino(to_openvino(graph), tmp_path / "tiny.xml", half=False)
    return tmp_path / "tiny.xml"


def test_calls_are_warmed_up_and_then_take_turns(monkeypatch):
    monkeypatch.setattr(comparison, "REST", 0)
    said = []
    times = take_turns([lambda: said.append("a"), lambda: said.append("b")], 13)
    first, second = 2 + 10, 2 + 3  # two of each turn are not counted, and ten at most are
    turns = [*"a" * first, *"b" * first, *"a" * second, *"b" * second]
    assert said == [*"aaaaabbbbb", *turns]
    assert [len(spent) for spent in times] == [13, 13]


def test_what_is_timed_is_the_call_alone(monkeypatch):
    clock = iter(range(1000))
    fake = types.SimpleNamespace(perf_counter=lambda: next(clock), sleep=lambda seconds: None)
    monkeypatch.setattr(comparison, "time", fake)
    assert take_turns([lambda: next(clock)], 3) == [[2000.0] * 3]  # two ticks a call


@pytest.mark.openvino
def test_there_is_a_row_for_each_model_and_number_of_threads(model_file, ir_file, unweighed):
    rows = compare([str(model_file), str(ir_file)], threads=(1, 2), runs=2)
    assert [(row.file, row.runtime, row.threads) for row in rows] == [
        *(("tiny.onnx", "onnxruntime", number) for number in (1, 2)),
        *(("tiny.xml", "openvino", number) for number in (1, 2)),
    ]
    assert rows[0].ratio == 1
    for row in rows:
        assert row.ratio == round(row.median_ms / rows[0].median_ms, 3)
        assert set(row.versions) == {"python", "numpy", "pillow", row.runtime}
        assert (row.model, row.task, row.precision) == ("tiny", "instance", "fp32")
        assert (row.height, row.width, row.found) == (480, 640, 1)
        assert (row.runs, row.peak_mb) == (2, 12.5)
        assert row.machine.cpu == describe_machine().cpu


@pytest.mark.openvino
def test_the_size_is_that_of_all_files_of_a_model(model_file, ir_file, unweighed):
    whole = ir_file.stat().st_size + ir_file.with_suffix(".bin").stat().st_size
    ours, theirs = compare([str(model_file), str(ir_file)], threads=(1,), runs=1)
    assert ours.size_mb == round(model_file.stat().st_size / 1e6, 3)
    assert theirs.size_mb == round(whole / 1e6, 3)
    assert ours.sha256 == sha256(model_file)


def test_semantic_models_are_compared_on_the_smaller_view(
    make_semantic_model, tmp_path, monkeypatch, unweighed
):
    monkeypatch.setattr(comparison, "SIZE", (30, 40))
    path = make_semantic_model(tmp_path / "labels.onnx", stride=32)
    (row,) = compare([str(path)], threads=(1,), runs=1)
    assert (row.task, row.height, row.width, row.found) == ("semantic", 30, 40, None)


def test_models_of_two_tasks_are_not_compared(model_file, semantic_file):
    with pytest.raises(UsageError, match=r"tiny\.onnx is of task 'instance', tiny-labels\.onnx"):
        compare([str(model_file), str(semantic_file)], threads=(1,), runs=1)
