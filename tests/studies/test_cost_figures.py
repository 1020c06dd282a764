"""Accuracy against time and the cost of branches, from made-up results."""

import json

import pytest

from encompass.studies.cost_figures import (
    Point,
    cost_figures,
    draw_branches,
    draw_points,
    save_cost_figures,
    styles,
)


def costing(row, ms, *branches, people=10):
    """A record whose detector takes a millisecond, its crops 2 and its branches as given."""
    stages = [("trunk", None, None, 1.0), ("crops", None, 10, 2.0)]
    stages += [(f"branch {i}", (i + 1, 2), 3, cost) for i, cost in enumerate(branches)]
    stages.insert(2, ("branch of nobody", (9, 9), 0, 0.0))
    return {
        "model": row,
        "weights": "fresh",
        "device": "cpu",
        "people": people,
        "whole": {"median_ms": ms},
        "stages": [
            {"name": name, "shape": shape, "boxes": boxes, "median_ms": cost, "macs": cost * 1e9}
            for name, shape, boxes, cost in stages
        ],
    }


def test_a_row_is_a_point_with_a_line_over_its_seeds():
    points = {"multi-shape": Point(50.0, (30.0, 34.0, 32.0)), "single-branch": Point(70.0, (20.0,))}
    figure = draw_points({"10 people": points}, "mask AP50, points")
    (axes,) = figure.axes
    spread, point = axes.lines[:2]
    assert (list(spread.get_xdata()), list(spread.get_ydata())) == ([50.0, 50.0], [30.0, 34.0])
    assert (list(point.get_xdata()), list(point.get_ydata())) == ([50.0], [32.0])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(points)


def test_no_two_rows_of_the_thesis_look_alike():
    rows = ("single-branch", "single-branch-fcn16", "single-shape", "multi-shape", "mask-rcnn-head")
    assert len(set(styles(rows).values())) == len(rows)
    assert styles(["refine-mobilenet0.5"]) == {"refine-mobilenet0.5": ("#D55E00", "o")}
    assert styles(["mine"]) == {"mine": ("#999999", "o")}


def test_a_bar_is_made_of_crops_and_branches_without_the_detector():
    time, macs = draw_branches({"10 people": {"mine": costing("mine", 9.0, 3.0, 1.5)}}).axes
    for axes in (time, macs):
        assert [(bar.get_x(), bar.get_width()) for bar in axes.patches] == [
            (0.0, 2.0),
            (2.0, 3.0),
            (5.0, 1.5),
        ]
    assert [text.get_text() for text in time.texts] == ["crops", "1x2", "2x2"]
    assert [label.get_text() for label in time.get_yticklabels()] == ["mine"]


@pytest.fixture
def folder(tmp_path):
    def write(path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))

    row = "multi-shape"
    result = {"model": row, "seed": 0, "mask_at_50": {"AP": 30.0}}
    instance = [
        costing(row, 5.0, 1.0, people=people) | {"input_size": 640} for people in (10, None)
    ]
    write(tmp_path / "instance" / "a.json", result)
    write(tmp_path / "profile" / "a.json", instance)
    label = "mobilenet0.5"
    recipe = {"name": "ours", "semantic": {"seed": 0}}
    write(tmp_path / "semantic" / "a.json", {"model": label, "recipe": recipe, "mIoU": 60.0})
    sizes = [costing(label, 5.0) | {"height": h, "width": w} for h, w in ((2, 3), (4, 6))]
    write(tmp_path / "profile" / "b.json", sizes)
    return tmp_path


def test_every_plot_is_drawn_and_linked(folder, tmp_path):
    paths = save_cost_figures(folder, tmp_path)
    assert [path.stem for path in paths] == ["instance_time", "semantic_time", "branch_costs"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    page = "\n".join(cost_figures(folder))
    assert all(f"](docs/figures/{path.name})" in page for path in paths)


def test_nothing_is_shown_of_what_was_not_measured(tmp_path):
    assert cost_figures(tmp_path) == save_cost_figures(tmp_path, tmp_path) == []
