"""The pictures of a semantic result show its numbers."""

import numpy as np
import pytest
from PIL import Image

from encompass.data.cityscapes import load_cityscapes
from encompass.data.drawn_streets import draw_streets
from encompass.data.labels import IGNORE
from encompass.evaluate.label_plots import (
    draw_confusion,
    draw_worst,
    save_label_plots,
    worst_images,
)
from encompass.evaluate.miou import score_labels

RESULT = {
    "mIoU": 65.0,
    "pixel_accuracy": 70.0,
    "classes": [
        {"name": "road", "IoU": 80.0, "num_pixels": 5},
        {"name": "bus", "IoU": None, "num_pixels": 0},
    ],
    "confusion": [[4, 1, 0], [0, 0, 0]],
    "images": [{"path": p, "mIoU": s} for p, s in (("a", 50.0), ("b", None), ("c", 20.0))],
}


def test_rows_are_percent_of_the_truth_and_no_class_is_shown_where_it_occurs():
    (axes,) = draw_confusion(RESULT).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["road 80.0", "bus -"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["road", "bus"]
    assert [text.get_text() for text in axes.texts] == ["80", "20"]
    (axes,) = draw_confusion(RESULT | {"confusion": [[3, 1, 1], [0, 0, 0]]}).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["road", "bus", "no class"]


def test_the_worst_come_first_and_those_without_a_score_not_at_all():
    assert worst_images(RESULT, 5) == [2, 0]
    assert worst_images(RESULT, 1) == [2]


def test_picture_truth_and_prediction_stand_side_by_side(tmp_path):
    root = draw_streets(tmp_path, split="val", num_images=3, seed=0)
    dataset = load_cityscapes(root, split="val")

    def predict(path):
        return np.zeros((64, 128), np.uint8)

    result = score_labels(dataset, predict)
    axes = draw_worst(result, dataset, predict, num_worst=2).axes
    assert [each.get_title() for each in axes] == ["picture", "truth", "prediction", "", "", ""]
    sample = dataset.samples[worst_images(result, 1)[0]]
    picture, truth = sample.read()
    shown = [np.asarray(each.images[0].get_array()) for each in axes[:3]]
    np.testing.assert_array_equal(shown[0], picture)
    learnt = truth != IGNORE
    np.testing.assert_array_equal(shown[1][learnt], dataset.table.paint(truth)[learnt])
    for labels in shown[1:]:  # nor is a class nearly white
        assert (labels[~learnt] == 235).all()
    assert (shown[2][learnt] == dataset.table.colours[0]).all()
    paths = save_label_plots(result, dataset, predict, tmp_path / "plots", num_worst=2)
    assert paths == [tmp_path / "plots" / "confusion.png", tmp_path / "plots" / "worst.png"]
    for path in paths:
        with Image.open(path) as written:
            written.load()
            assert written.format == "PNG" and min(written.size) > 500


def test_without_a_scored_picture_the_figure_is_empty(tmp_path):
    assert draw_worst({"images": []}, None, None, num_worst=3).axes == []  # pyright: ignore


@pytest.mark.parametrize("number", [0, 1])
def test_a_result_of_one_class_is_drawn(number):
    rows = [{"name": "a", "IoU": 100.0 * number, "num_pixels": 4}]
    figure = draw_confusion(RESULT | {"classes": rows, "confusion": [[4 * number, 4 - 4 * number]]})
    assert len(figure.axes[0].texts) == 1
