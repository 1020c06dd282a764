"""Copy-paste by hand: what is in front, what it hides, what is left."""

import numpy as np
import pytest

from encompass.data import paste as module
from encompass.data.augment import Example
from encompass.data.paste import paste
from encompass.geometry.masks import mask_extent
from encompass.schema import BoxMask


def example(masks, *, colour, size=(40, 60)):
    boxes = np.asarray([mask_extent(mask) for mask in masks], dtype=np.float32).reshape(-1, 4)
    picture = np.full((*size, 3), colour, dtype=np.uint8)
    return Example(
        picture=picture,
        boxes_xyxy=boxes,
        labels=np.zeros(len(masks), dtype=np.int64),
        masks=tuple(masks),
        ignore_xyxy=np.zeros((0, 4), dtype=np.float32),
        name="drawn",
    )


def block(x, y, height, width):
    return BoxMask(x, y, np.ones((height, width), dtype=bool))


class Chosen:
    """A generator that says what the test wants."""

    def __init__(self, *corners):
        self.corner = list(corners)

    def integers(self, low, high=None):
        return 4 if high is not None else self.corner.pop(0)

    def choice(self, number, count, replace):
        return np.arange(count)

    def uniform(self, low, high):
        return 1.0


def test_what_is_in_front_hides_what_is_behind():
    behind = example([block(10, 5, 20, 10)], colour=10)
    other = example([block(0, 0, 12, 8)], colour=200)
    shown = paste(behind, other, Chosen(15, 20))
    assert [mask.area for mask in shown.masks] == [200 - 5 * 5, 96]
    np.testing.assert_array_equal(shown.boxes_xyxy, [[10, 5, 20, 25], [15, 20, 23, 32]])
    inside = np.zeros((40, 60), dtype=bool)
    inside[20:32, 15:23] = True
    np.testing.assert_array_equal(shown.picture[..., 0], np.where(inside, 200, 10))
    assert (behind.picture == 10).all()  # nothing is changed in place


def test_a_box_shrinks_to_what_is_seen_and_what_is_nearly_hidden_is_ignored():
    behind = example([block(10, 5, 20, 10), block(30, 8, 10, 10)], colour=0)
    other = example([block(0, 0, 20, 6)], colour=255)
    shown = paste(behind, other, Chosen(14, 5))
    np.testing.assert_array_equal(shown.boxes_xyxy[0], [10, 5, 14, 25])
    shown = paste(behind, other, Chosen(10, 5))
    np.testing.assert_array_equal(shown.boxes_xyxy[0], [16, 5, 20, 25])
    wide = example([block(0, 0, 20, 9)], colour=255)
    shown = paste(behind, wide, Chosen(10, 5))
    assert len(shown.masks) == 2  # a tenth of the first is left
    np.testing.assert_array_equal(shown.ignore_xyxy, [[19, 5, 20, 25]])
    np.testing.assert_array_equal(shown.boxes_xyxy[0], [30, 8, 40, 18])


def test_what_several_hide_of_one_adds_up():
    behind = example([block(10, 5, 20, 10)], colour=0)
    other = example([block(0, 0, 20, 5), block(0, 0, 20, 4)], colour=255)
    shown = paste(behind, other, Chosen(10, 5, 15, 5))  # a half is left, then a tenth of the whole
    assert len(shown.masks) == 2
    np.testing.assert_array_equal(shown.ignore_xyxy, [[19, 5, 20, 25]])


def test_nothing_is_left_of_what_is_wholly_hidden():
    behind = example([block(10, 5, 20, 10)], colour=0)
    shown = paste(behind, example([block(0, 0, 30, 20)], colour=255), Chosen(5, 2))
    assert len(shown.masks) == 1
    assert len(shown.ignore_xyxy) == 0


def test_objects_are_scaled_to_the_picture_that_they_come_to():
    other = example([block(0, 0, 40, 20)], colour=255, size=(80, 120))
    shown = paste(example([], colour=0), other, Chosen(3, 2))
    np.testing.assert_array_equal(shown.boxes_xyxy, [[3, 2, 13, 22]])
    assert paste(other, example([], colour=0), Chosen(0, 0)) is other


@pytest.mark.parametrize("seed", range(5))
def test_masks_and_boxes_agree_and_masks_are_apart(seed):
    rng = np.random.default_rng(seed)
    one = example([block(2, 3, 30, 12), block(25, 3, 30, 12)], colour=9)
    shown = paste(one, one, rng)
    assert len(shown.labels) == len(shown.boxes_xyxy) == len(shown.masks)
    total = sum(mask.to_full(40, 60).astype(int) for mask in shown.masks)
    assert total.max() == 1
    for mask, box in zip(shown.masks, shown.boxes_xyxy, strict=True):
        np.testing.assert_array_equal(mask_extent(mask), box)
    assert 1 <= len(shown.masks) <= 2 + module.MOST
