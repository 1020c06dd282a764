"""The hours of everything, from made-up minutes."""

import json

import pytest

from encompass.studies.duration import duration, trainings
from encompass.studies.reproduce import TARGETS


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_all_that_reproduce_trains_is_counted_and_nothing_else():
    found = {(study, name) for _, study, names in trainings() for name in names}
    studies = {"semantic": "semantic", "person-crops": "person_crops", "instance": "instance"}
    items = {(studies[t.study], item) for t in TARGETS if t.study in studies for item in t.items}
    assert items <= found
    first = {(s, n) for s, n in found if "-seed" not in n and not n.endswith("-thesis")}
    assert first == items


def test_hours_are_those_of_the_recorded_minutes_at_their_mean(tmp_path):
    assert duration(tmp_path) == []
    write(tmp_path / "semantic" / "squeezenet.json", {"minutes": 7.0})
    write(tmp_path / "semantic" / "mobilenet0.5.json", {"minutes": 9.0})
    write(tmp_path / "semantic" / "mobilenet0.5-seed1.json", {"minutes": None})  # was stopped
    write(tmp_path / "semantic" / "refine-mobilenet0.5.json", {"minutes": 99.0})  # no table has it
    write(tmp_path / "profile" / "a.json", [{"model": "multi-shape", "whole": {"mean_ms": 300.0}}])
    page = "\n".join(duration(tmp_path))
    # Fifteen trainings of eight minutes; 400 passes of 0.3 seconds are two.
    assert "| semantic rows (Table 4.1) | 15 | 2 | 16 | 120 |" in page
    assert "| costs (Tables 4.2, 5.5, 5.7 and 5.9) | - | - | - | 2 |" in page
    assert "two cores: 2.0 hours" in page


@pytest.mark.parametrize(("study", "number"), [("person_crops", 36), ("instance", 18)])
def test_the_numbers_of_trainings(study, number):
    assert {len(names) for _, s, names in trainings() if s == study} == {number}
