"""Costs by the number of people, from made-up figures."""

import json

import pytest

from encompass.studies.per_object import (
    crossing,
    draw,
    lines_of,
    per_object,
    ratio,
    save_per_object,
)


def rows(name, kind, times, **more):
    about = {"name": name, "kind": kind, "runtime": "onnxruntime", "versions": {"python": "3.12"}}
    return [about | {"people": n, "found": n} | timed(ms) | more for n, ms in times.items()]


def timed(ms):
    return {"median_ms": ms, "turns_ms": [ms] * 3}


RECORD = {
    "threads": 2,
    "runs": 10,
    "timed": "decoded picture to masks",
    "cpu": "a CPU",
    "commit": "abc",
    "rows": [
        *rows("mine", "ours", {0: 10.0, 5: 20.0, 10: 40.0}, precision="fp16"),
        *rows("peer", "peer", {0: 30.0, 5: 30.0, 10: 30.0}, precision="fp32"),
        *rows("mine", "network", {0: 9.0}, precision="fp16"),
        *rows("mine", "boxes", {0: 8.0}, precision="fp16"),
    ],
}


def line(*times):
    return dict(zip((0, 5, 10), map(timed, times), strict=True))


@pytest.mark.parametrize(
    ("ours", "theirs", "people"),
    [
        (line(10, 20, 40), line(30, 30, 30), 7.5),
        (line(31, 20, 10), line(30, 30, 30), 0.0),
        (line(10, 20, 30), line(30, 30, 30), None),
        (line(10, 30, 40), line(30, 30, 30), 5.0),
    ],
)
def test_the_crossing_lies_on_the_line_between_two_that_were_measured(ours, theirs, people):
    assert crossing(ours, theirs) == people


def test_ratios_are_to_the_first_peer_and_only_ours_cross(tmp_path):
    (tmp_path / "per_object.json").write_text(json.dumps(RECORD))
    page = "\n".join(per_object(tmp_path))
    assert "| mine, fp16 | 10.0 (0.33) | 20.0 (0.67) | 40.0 (1.33) |" in page
    assert "| peer, fp32 | 30.0 (1.00) | 30.0 (1.00) | 30.0 (1.00) |" in page
    assert page.count("| mine, fp16 | 8 |") == 1
    assert "| mine, fp16 | 9.0 | 8.0 | 12.5 |" in page
    assert "docs/figures/per_object.png" in page


def test_a_ratio_is_the_median_over_turns_and_not_that_of_medians():
    ours, theirs = ({"turns_ms": times} for times in ([10.0, 40.0, 15.0], [20.0, 40.0, 30.0]))
    assert ratio(ours, theirs) == 0.5


def test_one_model_in_two_precisions_is_two_lines(tmp_path):
    more = rows("mine", "ours", {0: 9.0, 5: 9.0, 10: 9.0}, precision="int8")
    found = lines_of(RECORD | {"rows": [*RECORD["rows"], *more]})
    assert [found[f"mine, {p}"][5]["median_ms"] for p in ("fp16", "int8")] == [20.0, 9.0]


def test_nothing_is_said_of_what_was_not_measured(tmp_path):
    assert per_object(tmp_path) == []


def test_each_model_is_a_line_but_for_graphs_alone(tmp_path):
    lines = draw(RECORD).axes[0].get_lines()
    assert [(line.get_label(), line.get_linestyle()) for line in lines] == [
        ("mine, fp16", "-"),
        ("peer, fp32", "--"),
    ]
    assert list(lines[0].get_ydata()) == [10.0, 20.0, 40.0]
    (tmp_path / "per_object.json").write_text(json.dumps(RECORD))
    (path,) = save_per_object(tmp_path, tmp_path)
    assert path.read_bytes().startswith(b"\x89PNG")
