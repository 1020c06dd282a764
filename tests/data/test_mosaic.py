"""Mosaic by hand: four pictures around one point."""

import dataclasses

import numpy as np
import pytest

from encompass.data.augment import MEAN_COLOUR, Example
from encompass.data.mosaic import mosaic
from encompass.geometry.masks import mask_extent
from encompass.schema import BoxMask


def example(size, *, colour, mask=None, name="drawn"):
    """A picture of one colour; the mask is of its only object."""
    masks = () if mask is None else (mask,)
    boxes = np.asarray([mask_extent(m) for m in masks], dtype=np.float32).reshape(-1, 4)
    return Example(
        picture=np.full((*size, 3), colour, dtype=np.uint8),
        boxes_xyxy=boxes,
        labels=np.zeros(len(masks), dtype=np.int64),
        masks=masks,
        ignore_xyxy=np.zeros((0, 4), dtype=np.float32),
        name=name,
    )


def block(x, y, height, width):
    return BoxMask(x, y, np.ones((height, width), dtype=bool))


class Middle:
    """A generator that puts the point at these parts of width and height."""

    def __init__(self, *parts):
        self.parts = list(parts)

    def uniform(self, low, high):
        return self.parts.pop(0)


FOUR = [
    example((40, 80), colour=10, mask=block(20, 10, 20, 40)),
    example((40, 80), colour=20, mask=block(0, 0, 40, 8)),
    example((80, 80), colour=30, mask=block(40, 40, 40, 40)),
    example((20, 40), colour=40),
]


def test_four_pictures_keep_their_aspect_and_touch_one_point():
    shown = mosaic(FOUR, Middle(0.5, 0.5))
    wanted = np.empty((40, 80, 3), dtype=np.uint8)
    wanted[:] = MEAN_COLOUR
    wanted[:20, :40], wanted[:20, 40:] = 10, 20
    wanted[20:, 20:40], wanted[20:, 40:] = 30, 40  # the square one is as high as there is room
    np.testing.assert_array_equal(shown.picture, wanted)


def test_boxes_and_masks_go_with_their_pictures():
    shown = mosaic(FOUR, Middle(0.5, 0.5))
    wanted = [[10, 5, 30, 15], [40, 0, 44, 20], [30, 30, 40, 40]]
    np.testing.assert_array_equal(shown.boxes_xyxy, wanted)
    np.testing.assert_array_equal([mask_extent(mask) for mask in shown.masks], wanted)
    assert [mask.area for mask in shown.masks] == [200, 80, 100]
    assert shown.labels.tolist() == [0, 0, 0]


def test_the_point_decides_how_large_they_are():
    shown = mosaic([FOUR[0]] * 4, Middle(0.75, 0.75))
    sides = shown.boxes_xyxy[:, 2:] - shown.boxes_xyxy[:, :2]
    np.testing.assert_array_equal(sides, [[30, 15], [10, 5], [10, 5], [10, 5]])
    # Above and right of the point there is more height than the picture can use.
    assert shown.boxes_xyxy[1].tolist() == [65, 22.5, 75, 27.5]


def test_a_pixel_belongs_to_a_mask_that_covers_half_of_it():
    stripes = BoxMask(0, 0, np.tile([True, False, False, False], (40, 20)))
    wide = BoxMask(0, 0, np.tile([True, True, False, False], (40, 20)))
    for mask, share in ((stripes, 0.5), (wide, 0.5)):
        shown = mosaic([example((40, 80), colour=0, mask=mask)] * 4, Middle(0.5, 0.5))
        assert [m.pixels.mean() for m in shown.masks] == [share] * 4


def test_without_all_masks_there_are_none_and_the_boxes_stay():
    bare = [*FOUR[:3], dataclasses.replace(FOUR[3], masks=None)]
    shown = mosaic(bare, Middle(0.5, 0.5))
    assert shown.masks is None
    assert len(shown.boxes_xyxy) == 3


def test_what_gets_less_than_a_pixel_is_left_out():
    dot = example((40, 80), colour=0, mask=block(4, 4, 1, 1))
    assert not mosaic([dot] * 4, Middle(0.5, 0.5)).masks


@pytest.mark.parametrize("size", [(1, 1), (5, 400)])
def test_a_canvas_too_small_to_divide_stays_as_it_is(size):
    small = example(size, colour=7)
    assert mosaic([small] * 4, np.random.default_rng(0)) is small
