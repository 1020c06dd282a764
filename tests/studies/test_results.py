"""The tables of bundled models."""

import json

import pytest

from encompass.studies.results import _timing, models_table


@pytest.fixture
def figures(tmp_path, bundle, add_card):
    """Results of one bundled model, without times."""
    add_card("mine", precision="fp16")
    score = {"AP": 10.0, "AP50": 20.0, "AP75": 5.0}
    scored = {"box": score, "mask": score, "num_images": 4, "num_annotations": 9}
    (tmp_path / "mine.json").write_text(json.dumps(scored))
    return tmp_path


def test_readme_has_a_dash_for_a_time_that_was_not_measured(figures):
    page = models_table(figures)
    assert "| 20.0 | 5.0 | 10.0 | 20.0 | - | - |" in page
    assert "Time from" not in page


def test_readme_sets_the_time_with_two_people_beside_the_peers(figures):
    def row(name, people, ms, precision):
        about = {"kind": "ours", "versions": {"python": "3.12", "onnxruntime": "1.32"}}
        about |= {"name": name, "people": people, "found": people, "precision": precision}
        return about | {"median_ms": ms, "turns_ms": [ms]}

    record = {"threads": 2, "runs": 10, "cpu": "a CPU", "commit": "abc"}
    record["rows"] = [
        row(name, people, ms + people, precision)
        for name, precision, ms in (
            ("mine", "fp16", 9.0),
            ("mine", "int8", 1.0),
            ("yolo11n-seg", "fp32", 39.0),
        )
        for people in (0, 2)
    ]
    (figures / "per_object.json").write_text(json.dumps(record))
    page = models_table(figures)
    assert "| 11.0 ms | 0.27 |" in page
    assert "10 runs on 2 threads of an a CPU, ONNX Runtime 1.32;" in page
    assert "yolo11n-seg, fp32, end to end at 640x640 (41.0 ms)" in page


def test_a_semantic_model_has_a_column_for_each_size():
    common = {"model": "mine", "runs": 5, "threads": 2, "cpu": "a cpu", "versions": {}}
    common |= {"commit": "abc", "p95_ms": 9.0}
    timings = [
        {**common, "stage": stage, "height": h, "width": w, "median_ms": ms, "peak_mb": float(h)}
        for h, w, ms in ((360, 480, 1.0), (1024, 2048, 2.0))
        for stage in ("network", "end to end")
    ]
    page = "\n".join(_timing(timings))
    assert "| size | 480x360 | 2048x1024 |" in page
    assert "| network | 1.0 / 9.0 | 2.0 / 9.0 |" in page
    assert "| peak memory, MB | 360 | 1024 |" in page
