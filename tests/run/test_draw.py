import numpy as np
import pytest

from encompass.run.draw import draw_instances
from encompass.schema import BoxMask, Instances


def instances(*boxes, height=200, width=300):
    return Instances(
        height=height,
        width=width,
        boxes=np.asarray(boxes, np.float32).reshape(-1, 4),
        scores=np.linspace(0.9, 0.5, len(boxes)).astype(np.float32),
        labels=np.zeros(len(boxes), np.int64),
        masks=tuple(
            BoxMask(int(x0), int(y0), np.ones((max(0, int(y1 - y0)), max(0, int(x1 - x0))), bool))
            for x0, y0, x1, y1 in boxes
        ),
        names=("person",),
    )


def draw(found):
    grey = np.full((found.height, found.width, 3), 100, np.uint8)
    drawn = np.asarray(draw_instances(grey, found)).astype(int)
    assert (grey == 100).all()  # what was given is left alone
    return drawn


def test_nothing_found_leaves_the_picture():
    assert (draw(instances()) == 100).all()


def test_a_mask_is_tinted_and_outlined_and_the_rest_left():
    drawn = draw(instances((100, 80, 200, 180)))
    edge, inside = drawn[179, 150], drawn[130, 150]
    assert np.abs(inside - (0.55 * 100 + 0.45 * edge)).max() <= 1
    assert (drawn[:, :95] == 100).all()
    assert (drawn[:, 205:] == 100).all()
    assert (drawn[182:] == 100).all()


def test_the_box_is_drawn_on_its_own_last_pixel():
    drawn = draw(instances((100, 80, 200, 180)))
    assert (drawn[150, 199] != 100).any()
    assert (drawn[150, 200] == 100).all()


def test_neighbours_differ_in_colour():
    boxes = [(10 + 28 * i, 100, 30 + 28 * i, 160) for i in range(10)]
    drawn = draw(instances(*boxes))
    colours = np.asarray([drawn[159, 20 + 28 * i] for i in range(10)])
    gaps = np.abs(colours[:, None] - colours[None]).sum(axis=-1) + 999 * np.eye(10)
    assert gaps.min() > 40


def test_the_best_lies_on_top():
    both = instances((50, 50, 150, 150), (50, 50, 150, 150))
    assert (draw(both)[149, 100] == draw(both[0])[149, 100]).all()


def test_a_label_stands_on_its_box():
    drawn = draw(instances((100, 80, 200, 180)))
    assert (drawn[72:79, 100:130] != 100).any(axis=-1).all()
    assert (drawn[:60] == 100).all()


def test_a_label_at_the_right_edge_is_moved_left():
    drawn = draw(instances((280, 80, 300, 180)))
    assert (drawn[72:79, 240:300] != 100).any(axis=-1).all()


def test_a_label_at_the_top_hangs_inside():
    drawn = draw(instances((100, 0, 200, 180)))
    text = drawn[:30, 100:200].sum(axis=-1) < 60
    assert text.any()


@pytest.mark.parametrize("box", [(60, 60, 60, 60), (90, 90, 50, 50), (300, 200, 300, 200)])
def test_a_box_without_area_is_drawn_without_fault(box):
    assert draw(instances(box)).shape == (200, 300, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (2000, 3)])
def test_pictures_of_odd_sizes_are_drawn(size):
    height, width = size
    assert draw(instances((0, 0, width, height), height=height, width=width)).shape[:2] == size
