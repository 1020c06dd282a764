"""Figures 3.5 to 3.7: what encompasses a box, and whom a rule shows."""

from types import SimpleNamespace

import numpy as np
import pytest

from encompass.data.drawn import draw_people
from encompass.schema import BoxMask
from encompass.studies.box_figures import (
    cells_of,
    closest_pair,
    draw_encompassing,
    encompass_boxes,
    figure_3_6,
    figure_3_7,
)
from encompass.studies.panels import BLACK, GREEN

SIZE = (160, 320)  # a cell is 8 pixels high and 16 wide


def test_a_box_grows_to_the_cells_that_it_touches():
    box = np.asarray([[20.0, 9.0, 60.0, 41.0]])
    assert cells_of(box, SIZE).tolist() == [[1, 1, 4, 6]]
    assert encompass_boxes(box, SIZE).tolist() == [[16, 8, 64, 48]]


def test_the_box_is_black_and_what_encompasses_it_green():
    picture = np.full((*SIZE, 3), 200, np.uint8)
    drawn = np.asarray(draw_encompassing(picture, np.asarray([[20.0, 9, 60, 41]]), grid=False))
    assert tuple(drawn[20, 20]) == BLACK
    assert tuple(drawn[20, 16]) == GREEN
    assert (picture == 200).all()


def picture_of(boxes, image_id=1):
    boxes = np.asarray(boxes, np.float32)
    return SimpleNamespace(
        boxes_xyxy=boxes, objects=list(boxes), height=SIZE[0], width=SIZE[1], image_id=image_id
    )


def test_the_pair_that_shares_the_most_cells_is_shown():
    apart = picture_of([[0, 0, 100, 100], [200, 0, 300, 100]])
    small = picture_of([[1, 1, 7, 7], [8, 1, 14, 6]])
    large = picture_of([[0, 0, 10, 10], [1, 1, 63, 63], [15, 7, 49, 57]])
    twice = picture_of([[0, 0, 160, 160], [1, 1, 160, 160]])  # one person in two parts
    dataset = SimpleNamespace(samples=[apart, small, large, twice])
    sample, members = closest_pair(dataset)
    assert sample is large
    assert members == (1, 2)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return draw_people(tmp_path_factory.mktemp("people"), num_images=4, seed=0)


def test_one_person_of_each_picture_is_shown(people):
    # Panels of 320 pixels: the drawn pictures are 320x240, and 8 pixels lie around each.
    assert figure_3_6(people, number=2).width == 2 * round(320 * 320 / 240) + 3 * 8


def test_each_of_the_pair_has_a_panel_with_its_mask(people):
    def predict(path, boxes, labels):
        assert boxes.shape == (2, 4)
        assert labels.tolist() == [0, 0]
        return tuple(BoxMask(0, 0, np.ones((4, 4), bool)) for _ in boxes)

    one, two = figure_3_7(people, predict), figure_3_7(people, predict, predict)
    assert one.width == two.width == 3 * round(320 * 320 / 240) + 4 * 8
    assert two.height > 1.9 * one.height
