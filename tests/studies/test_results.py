"""The tables of bundled models."""

from encompass.studies.results import _timing


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
