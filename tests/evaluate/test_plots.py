"""The pictures show the numbers that they are given."""

import pytest
from PIL import Image

from encompass.evaluate.plots import draw_curves, draw_shapes, save_plots

PART = {"0.50": [100.0] * 51 + [0.0] * 50, "0.75": [0.0] * 101, "0.50:0.95": [20.0] * 101}
CURVES = {"recall": list(range(101)), "box": PART, "mask": PART}
ROWS = [
    {"shape": "2x1", "num_objects": 7, "num_found": 1, "box_AP50": 40.0, "mask_AP50": 30.0},
    {"shape": "other", "num_objects": 4, "num_found": 0, "box_AP50": 5.0, "mask_AP50": 0.0},
    {"shape": "all", "num_objects": 11, "num_found": 1, "box_AP50": 20.0, "mask_AP50": 10.0},
]
SHAPES = {"rows": [row | {"mask_IoU": 60.0 if row["num_found"] else None} for row in ROWS]}
BOXES = {"rows": [{k: v for k, v in row.items() if k != "mask_AP50"} for row in ROWS]}


def test_a_curve_ends_where_recall_is_no_longer_reached():
    figure = draw_curves(CURVES, "title")
    assert [axes.get_title() for axes in figure.axes] == ["box", "mask"]
    first, second, third = figure.axes[0].get_lines()
    assert first.get_label() == f"IoU 0.50: AP {5100 / 101:.1f}"
    assert list(first.get_xdata()) == list(range(52))
    assert len(second.get_xdata()) == 1 and len(third.get_xdata()) == 101


def test_each_shape_has_a_bar_for_each_score():
    (axes,) = draw_shapes(SHAPES, "title").axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2x1\n7", "other\n4"]
    heights = [[bar.get_height() for bar in group] for group in axes.containers]
    assert heights == [[40, 5], [30, 0], [60, 0]]


@pytest.mark.parametrize(
    ("curves", "shapes"),
    [
        (CURVES, SHAPES),
        ({"recall": CURVES["recall"], "box": PART}, BOXES),
        ({"recall": CURVES["recall"], "box": None}, {"rows": BOXES["rows"][-1:]}),
    ],
)
def test_pictures_of_any_result_are_written(curves, shapes, tmp_path):
    result = {"model": "m", "data": "d.json", "curves": curves, "shapes": shapes}
    paths = save_plots(result, tmp_path / "plots")
    assert paths == [tmp_path / "plots" / "curves.png", tmp_path / "plots" / "shapes.png"]
    for path in paths:
        with Image.open(path) as picture:
            picture.load()
            assert picture.format == "PNG" and min(picture.size) > 500
