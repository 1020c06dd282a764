"""What the pictures of the instance study show, from made-up results."""

import pytest

from encompass.studies.figures import draw_curves, draw_shapes, save_figures


def result(height):
    curve = [height] * 51 + [0.0] * 50  # recall reaches 50 %
    shapes = [
        {"shape": "2x1", "num_objects": 30, "mask_IoU": height},
        {"shape": "other", "num_objects": 70, "mask_IoU": None},
    ]
    curves = {"recall": list(range(101)), "mask": {"0.50": curve, "0.75": curve}}
    return {"curves": curves, "quality": {"shapes": shapes}}


RESULTS = {"single-branch": result(40.4), "multi-shape": result(80.8)}


def test_each_row_is_a_line_that_ends_where_its_recall_does():
    for axes in draw_curves(RESULTS).axes:
        lines = axes.get_lines()
        assert [line.get_label() for line in lines] == [
            "single-branch: AP 20.4",
            "multi-shape: AP 40.8",
        ]
        assert [max(line.get_xdata()) for line in lines] == [51, 51]


def test_each_row_is_a_bar_of_every_shape():
    (axes,) = draw_shapes(RESULTS).axes
    heights = [[bar.get_height() for bar in bars] for bars in axes.containers]
    assert heights == [[pytest.approx(40.4), 0], [pytest.approx(80.8), 0]]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["2x1\n30", "other\n70"]


def test_pictures_are_written(tmp_path):
    paths = save_figures(RESULTS, tmp_path)
    for path in paths.values():
        assert path.read_bytes().startswith(b"\x89PNG")
