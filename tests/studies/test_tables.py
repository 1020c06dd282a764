"""The thesis's tables beside ours, from results that are written here and from those stored."""

import json
from pathlib import Path

import pytest

from encompass.studies import published
from encompass.studies.tables import compare, printed, section, shares, tables_page

ROOT = Path(__file__).parents[2]
ABOUT = {"cpu": "a CPU", "versions": {"python": "3.11"}, "commit": "abc1234", "date": "2026-01-31"}


def lines_of(rows, name):
    """The lines under one row's name."""
    start = next(i for i, row in enumerate(rows) if row[0] == name)
    end = next((i for i, row in enumerate(rows) if i > start and row[0]), len(rows))
    return {row[1]: row[2:] for row in rows[start:end]}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_scores_stand_below_the_thesis_s_with_their_difference(tmp_path):
    scores = dict.fromkeys(published.METRICS, 10.0) | {"AP": 40.6}
    result = {"model": "multi-shape", "seed": 0, "mask_at_50": scores, "subsets": {}, **ABOUT}
    write(tmp_path / "instance" / "multi-shape.json", {**result, "data": "drawn"})
    write(tmp_path / "instance" / "multi-shape-seed1.json", {**result, "seed": 1, "data": "drawn"})
    head, rows, about = compare("5.4", tmp_path)
    lines = lines_of(rows, "Multi-Shape")
    assert head[2] == "AP(0.50)"
    assert [lines[kind][0] for kind in ("thesis", "ours", "difference")] == [
        "38.60",
        "40.60",
        "+2.00",
    ]
    assert list(lines_of(rows, "Single-Branch")) == ["thesis"]  # nothing of ours
    for part in ("studies.instance", "a CPU", "abc1234", "2026-01-31", "drawn"):
        assert part in about[0]
    assert lines_of(compare("5.8", tmp_path)[1], "MS-Default")["ours"][0] == "40.60"


def test_the_subset_tables_have_the_subset_s_scores(tmp_path):
    scores = dict.fromkeys(published.METRICS, 10.0)
    subset = {"mask_at_50": scores | {"AP": 16.0}}
    result = {"model": "single-shape", "seed": 0, "mask_at_50": scores, "data": "drawn", **ABOUT}
    result["subsets"] = {"val-isb": {"mask_at_50": scores}, "val-isb-matching": subset}
    write(tmp_path / "instance" / "single-shape.json", result)
    assert lines_of(compare("5.2", tmp_path)[1], "Single-Shape")["ours"][0] == "10.00"
    assert lines_of(compare("5.3", tmp_path)[1], "Single-Shape")["ours"][0] == "16.00"


def test_a_row_without_method_has_both_columns_of_table_4_1(tmp_path):
    for row, miou in (("mobilenet0.5", 50.0), ("stride8-mobilenet0.5", 60.0)):
        recipe = {"name": "ours", "semantic": {"seed": 0}}
        result = {"model": row, "mIoU": miou, "recipe": recipe, "data": "drawn", **ABOUT}
        write(tmp_path / "semantic" / f"{row}.json", result)
    _, rows, _ = compare("4.1", tmp_path)
    assert lines_of(rows, "32")["recipe ours"] == ["-", "-", "50.00", "50.00"]
    assert lines_of(rows, "8")["recipe ours"] == ["-", "-", "-", "60.00"]


def test_costs_are_by_device_and_by_how_branches_are_filled(tmp_path):
    whole = {"output_bytes": 400e6, "parameters": 5_790_631}
    record = {"model": "single-branch", "input_size": 640, "weights": "fresh", "whole": whole}
    record |= {"processor": "a CPU", "versions": {}, "commit": "abc1234", "runs": 3}
    some = [
        {**record, "device": device, "people": 10, "fps": fps}
        for device, fps in (("cpu", 9.566), ("cuda", 50.95))
    ]
    write(tmp_path / "profile" / "a.json", some)
    write(
        tmp_path / "profile" / "b.json", [{**record, "device": "cpu", "people": None, "fps": 1.0}]
    )
    lines = [row[1:] for row in compare("5.5", tmp_path)[1][:5]]
    assert lines[1] == ["some people", "50.95", "9.57", "400.00", "5,790,631"]
    assert lines[2] == ["difference", "-1.00", "+1.00", "-452.76", "+0"]
    assert lines[3][:3] == ["branches full", "-", "1.00"]


def test_table_5_1_compares_shares(tmp_path):
    assert sum(printed("5.1")["Val"]) == pytest.approx(100)
    assert shares([1, 3]) == [25, 75]
    part = {"data": "drawn.json", "shapes": [1] + [0] * 11, "other": 3}
    part |= {"person_images": 2, "isb_images": 1}
    record = {"parts": {"Val": part}, "commit": "abc1234", "date": "2026-01-31"}
    write(tmp_path / "person_counts.json", record)
    ours = lines_of(compare("5.1", tmp_path)[1], "Val")["ours"]
    assert (ours[0], ours[-1]) == ("25.00", "75.00")


def test_person_crops_have_a_line_for_each_size(tmp_path):
    for size in ((160, 96), (320, 192)):
        cell = {"method": "mobilenet0.5", "rate": 3, "background": 0.05, "size": size}
        classes = [{"name": "background", "IoU": 1.0}, {"name": "person", "IoU": 52.0}]
        result = {"cell": cell, "classes": classes, "data": "drawn", **ABOUT}
        write(tmp_path / "person_crops" / f"{size[0]}.json", result)
    lines = [row[1:] for row in compare("4.3", tmp_path)[1] if "x" in row[1]]
    assert lines == [[size, "-", "52.00", "-"] for size in ("160x96", "320x192")]


def test_trunks_cost_what_table_2_6_prints(tmp_path):
    _, rows, _ = compare("2.6", tmp_path)
    for row in rows:
        if row[1] == "difference":
            assert abs(float(row[3])) <= 0.5  # of the printed million
            assert abs(float(row[4])) <= 0.05


def test_without_results_the_command_is_told(tmp_path):
    assert "`encompass reproduce --table 4.1`" in "\n".join(section("4.1", tmp_path))


def test_the_page_of_tables_is_generated_from_the_stored_results():
    page = ROOT / "docs" / "tables.md"
    assert page.read_text() == tables_page(ROOT / "results"), (
        "run `python -m encompass.studies.results`"
    )
