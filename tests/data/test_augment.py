"""Augmentation: exact where nothing is random, and true to the masks where it is."""

from dataclasses import replace

import numpy as np
import pytest

from encompass.data import augment
from encompass.data.augment import Example
from encompass.geometry import boxes as box_ops
from encompass.schema import BoxMask

HEIGHT, WIDTH = 48, 64
CHANGES = [augment.flip, augment.ssd_crop, augment.photometric, augment.expand]


def boxes(*rows):
    return np.asarray(rows, np.float32).reshape(-1, 4)


@pytest.fixture
def example():
    """Three filled boxes; each pixel of the picture tells where it came from."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    corners = boxes([4, 6, 20, 40], [30, 10, 40, 20], [50, 30, 64, 48])
    return Example(
        picture=np.stack([x, y, x + y], axis=-1).astype(np.uint8),
        boxes_xyxy=corners,
        labels=np.asarray([0, 1, 0]),
        masks=tuple(
            BoxMask(int(x0), int(y0), np.ones((int(y1 - y0), int(x1 - x0)), bool))
            for x0, y0, x1, y1 in corners
        ),
        ignore_xyxy=boxes([0, 0, 64, 8]),
        name="a.jpg",
    )


def full_masks(example):
    return [mask.to_full(*example.picture.shape[:2]) for mask in example.masks]


def assert_same(a, b):
    np.testing.assert_array_equal(a.picture, b.picture)
    np.testing.assert_array_equal(a.boxes_xyxy, b.boxes_xyxy)
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_array_equal(a.ignore_xyxy, b.ignore_xyxy)
    np.testing.assert_array_equal(full_masks(a), full_masks(b))


def test_mirroring_twice_changes_nothing(example):
    assert_same(augment.mirror(augment.mirror(example)), example)


def test_mirroring_by_hand(example):
    mirrored = augment.mirror(example)
    np.testing.assert_array_equal(mirrored.boxes_xyxy[0], [44, 6, 60, 40])
    np.testing.assert_array_equal(mirrored.picture, example.picture[:, ::-1])
    for mask, before in zip(full_masks(mirrored), full_masks(example), strict=True):
        np.testing.assert_array_equal(mask, before[:, ::-1])


def test_a_crop_of_the_whole_picture_changes_nothing(example):
    assert_same(augment.crop(example, (0, 0, WIDTH, HEIGHT)), example)


def test_a_crop_by_hand(example):
    # The first object's centre (12, 23) is outside, the second is inside, the third is cut.
    cropped = augment.crop(example, (16, 4, 60, 44))
    np.testing.assert_array_equal(cropped.picture, example.picture[4:44, 16:60])
    np.testing.assert_array_equal(cropped.boxes_xyxy, boxes([14, 6, 24, 16], [34, 26, 44, 40]))
    np.testing.assert_array_equal(cropped.labels, [1, 0])
    # The crowd region moves along; of the first object the visible rest is to be ignored.
    np.testing.assert_array_equal(cropped.ignore_xyxy, boxes([0, 0, 44, 4], [0, 2, 4, 36]))
    for mask, before in zip(full_masks(cropped), full_masks(example)[1:], strict=True):
        np.testing.assert_array_equal(mask, before[4:44, 16:60])


def test_cropping_twice_is_cropping_once(example):
    once = augment.crop(example, (26, 8, 60, 44))
    twice = augment.crop(augment.crop(example, (24, 4, 62, 46)), (2, 4, 36, 40))
    np.testing.assert_array_equal(once.picture, twice.picture)
    np.testing.assert_array_equal(once.boxes_xyxy, twice.boxes_xyxy)
    np.testing.assert_array_equal(full_masks(once), full_masks(twice))


def test_objects_under_a_pixel_go_with_label_and_mask(example):
    # The second object is a sliver half a pixel wide after the cut.
    thin = replace(example, boxes_xyxy=boxes([4, 6, 20, 40], [30, 10, 30.5, 20], [50, 30, 64, 48]))
    cropped = augment.crop(thin, (0, 0, WIDTH, HEIGHT))
    np.testing.assert_array_equal(cropped.boxes_xyxy, thin.boxes_xyxy[[0, 2]])
    np.testing.assert_array_equal(cropped.labels, [0, 0])
    assert [mask.x for mask in cropped.masks] == [4, 50]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("seed", range(20))
def test_a_change_is_pure_repeatable_and_in_the_picture(example, change, seed):
    before = replace(example, picture=example.picture.copy())
    changed = change(example, np.random.default_rng(seed))
    assert_same(example, before)
    assert_same(changed, change(example, np.random.default_rng(seed)))
    height, width = changed.picture.shape[:2]
    assert changed.picture.dtype == np.uint8 and changed.picture.flags.c_contiguous
    assert changed.boxes_xyxy.dtype == changed.ignore_xyxy.dtype == np.float32
    assert changed.labels.dtype == np.int64
    np.testing.assert_array_equal(
        changed.boxes_xyxy, box_ops.clip(changed.boxes_xyxy, height, width)
    )
    assert len(changed.boxes_xyxy) == len(changed.labels) == len(changed.masks)
    for box, mask in zip(changed.boxes_xyxy, full_masks(changed), strict=True):
        x0, y0, x1, y1 = box.astype(int)
        assert mask.sum() == mask[y0:y1, x0:x1].sum() == (x1 - x0) * (y1 - y0)


@pytest.mark.parametrize("change", CHANGES)
def test_boxes_without_masks_and_pictures_without_objects_are_changed_too(example, change):
    nothing = np.zeros(3, bool)
    for seed in range(10):
        only_boxes = replace(example, masks=None)
        changed = change(only_boxes, np.random.default_rng(seed))
        assert changed.masks is None
        with_masks = change(example, np.random.default_rng(seed))
        np.testing.assert_array_equal(changed.boxes_xyxy, with_masks.boxes_xyxy)
        empty = change(augment.keep_objects(example, nothing), np.random.default_rng(seed))
        assert empty.boxes_xyxy.shape == (0, 4) and empty.masks == ()


def test_a_random_crop_shows_an_object_and_keeps_to_its_area_and_aspect(example):
    sizes = []
    for seed in range(300):
        cropped = augment.ssd_crop(example, np.random.default_rng(seed))
        assert len(cropped.boxes_xyxy) > 0
        sizes.append(cropped.picture.shape[:2])
    height, width = np.transpose(sizes)
    whole = (height == HEIGHT) & (width == WIDTH)
    assert 0.1 < whole.mean() < 0.4
    aspect = (width / height)[~whole]
    area = (width * height)[~whole] / (WIDTH * HEIGHT)
    assert 0.48 < aspect.min() < 0.7 and 1.7 < aspect.max() < 2.08
    assert 0.095 < area.min() < 0.3 and 0.8 < area.max() <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3)])
@pytest.mark.parametrize("change", CHANGES)
def test_pictures_of_any_shape_are_changed(example, change, shape):
    height, width = shape
    tiny = replace(
        example,
        picture=np.full((*shape, 3), 200, np.uint8),
        boxes_xyxy=boxes([0, 0, width, height]),
        labels=np.asarray([0]),
        masks=(BoxMask(0, 0, np.ones(shape, bool)),),
        ignore_xyxy=boxes(),
    )
    for seed in range(10):
        assert len(change(tiny, np.random.default_rng(seed)).labels) == 1


def test_zooming_out_keeps_the_picture_on_the_mean_colour(example):
    grown = 0
    for seed in range(40):
        expanded = augment.expand(example, np.random.default_rng(seed))
        height, width = expanded.picture.shape[:2]
        assert HEIGHT <= height <= 2 * HEIGHT and WIDTH <= width <= 2 * WIDTH
        x, y = (expanded.boxes_xyxy - example.boxes_xyxy)[0, :2].astype(int)
        np.testing.assert_array_equal(
            expanded.picture[y : y + HEIGHT, x : x + WIDTH], example.picture
        )
        np.testing.assert_array_equal(expanded.ignore_xyxy - example.ignore_xyxy, [[x, y, x, y]])
        if (height, width) != (HEIGHT, WIDTH):
            grown += 1
            outside = np.ones((height, width), bool)
            outside[y : y + HEIGHT, x : x + WIDTH] = False
            assert (expanded.picture[outside] == augment.MEAN_COLOUR).all()
    assert 10 < grown < 30


class Scripted:
    """Stands in for a generator: answers what the test says."""

    def __init__(self, *, coins, draws):
        self.coins = iter(coins)
        self.draws = iter(draws)

    def random(self):
        return next(self.coins)

    def uniform(self, low, high):
        value = next(self.draws)
        assert low <= value <= high
        return value


YES, NO = 0.0, 0.9


def test_no_photometric_change_is_the_same_picture(example):
    same = augment.photometric(example, Scripted(coins=[NO] * 4, draws=[]))
    np.testing.assert_array_equal(same.picture, example.picture)
    neutral = Scripted(coins=[YES] * 4, draws=[1.0, 1.0, 0.0, 0.0])
    changed = augment.photometric(example, neutral).picture.astype(int)
    assert np.abs(changed - example.picture).max() <= 1


def test_brightness_adds_and_is_cut_at_the_ends(example):
    brighter = augment.photometric(example, Scripted(coins=[NO, NO, NO, YES], draws=[30.0]))
    np.testing.assert_array_equal(brighter.picture, example.picture + 30)
    darker = augment.photometric(example, Scripted(coins=[NO, NO, NO, YES], draws=[-30.0]))
    np.testing.assert_array_equal(darker.picture, np.maximum(example.picture.astype(int) - 30, 0))


def test_contrast_spreads_around_the_mean(example):
    rng = Scripted(coins=[YES, NO, NO, NO], draws=[0.5])
    flatter = augment.photometric(example, rng).picture.astype(float)
    mean = example.picture[::4, ::4].mean(axis=(0, 1))
    assert np.abs(flatter - (mean + (example.picture - mean) / 2)).max() <= 0.5 + 1e-6


def test_saturation_and_hue_leave_grey_grey_and_luma_alone(example):
    grey = replace(example, picture=np.repeat(example.picture[..., :1], 3, axis=-1))
    for coins, draws in (([NO, YES, NO, NO], [1.4]), ([NO, NO, YES, NO], [0.3])):
        changed = augment.photometric(grey, Scripted(coins=coins, draws=draws)).picture
        assert np.abs(changed.astype(int) - grey.picture).max() <= 1
        middle = replace(example, picture=100 + example.picture // 4)
        before = middle.picture @ [0.299, 0.587, 0.114]
        after = augment.photometric(middle, Scripted(coins=coins, draws=draws)).picture
        assert np.abs(after @ [0.299, 0.587, 0.114] - before).max() <= 1
