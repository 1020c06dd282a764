"""Changes of label maps: picture and labels stay on one grid, and no label is made up."""

import numpy as np
import pytest

from encompass.data import label_augment
from encompass.data.augment import MEAN_COLOUR, recolour
from encompass.data.cityscapes import TABLE, load_cityscapes
from encompass.data.drawn_streets import draw_streets
from encompass.data.label_augment import LabelExample, balanced_odds, count_pixels
from encompass.data.labels import IGNORE


def example(height=12, width=20):
    """A picture of blocks whose red value is its label times ten."""
    y, x = np.mgrid[:height, :width]
    labels = (x // 4 + 5 * (y // 4)).astype(np.uint8)
    picture = np.repeat((labels * 10)[..., None], 3, axis=2)
    return LabelExample(picture=picture, labels=labels, name="a.png")


def test_a_mirror_of_a_mirror_is_the_same():
    once = label_augment.mirror(example())
    np.testing.assert_array_equal(once.labels, example().labels[:, ::-1])
    twice = label_augment.mirror(once)
    np.testing.assert_array_equal(twice.picture, example().picture)
    np.testing.assert_array_equal(twice.labels, example().labels)


def test_flips_are_drawn_evenly():
    rng = np.random.default_rng(0)
    flipped = [label_augment.flip(example(), rng).labels[0, 0] == 4 for _ in range(400)]
    assert 160 < sum(flipped) < 240


def test_colours_change_as_for_detection_and_labels_do_not():
    changed = label_augment.photometric(example(), np.random.default_rng(3))
    expected = recolour(example().picture, np.random.default_rng(3))
    np.testing.assert_array_equal(changed.picture, expected)
    assert (changed.picture != example().picture).any()
    np.testing.assert_array_equal(changed.labels, example().labels)


def test_twice_as_large_repeats_labels_and_half_as_large_takes_the_nearest():
    double = label_augment.resize(example(), (24, 40))
    np.testing.assert_array_equal(
        double.labels, example().labels.repeat(2, axis=0).repeat(2, axis=1)
    )
    half = label_augment.resize(example(), (6, 10))
    np.testing.assert_array_equal(half.labels, example().labels[1::2, 1::2])
    third = label_augment.resize(example(), (3, 5))  # one pixel a block
    assert third.labels.tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11, 12, 13, 14]]


def test_shrinking_averages_the_picture():
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:, ::2] = 200
    striped = LabelExample(picture=picture, labels=np.zeros((8, 8), np.uint8), name="")
    shrunk = label_augment.resize(striped, (2, 2)).picture
    assert np.abs(shrunk.astype(int) - 100).max() <= 20  # not 0 or 200, as the nearest would be


def test_a_crop_beyond_the_picture_is_mean_colour_and_ignored():
    crop = label_augment.crop(example(), -2, 10, height=5, width=6)
    np.testing.assert_array_equal(crop.labels[:2, 2:], example().labels[10:, :4])
    np.testing.assert_array_equal(crop.picture[:2, 2:], example().picture[10:, :4])
    outside = np.ones((5, 6), bool)
    outside[:2, 2:] = False
    assert (crop.labels[outside] == IGNORE).all()
    assert (crop.picture[outside] == MEAN_COLOUR).all()
    assert (label_augment.crop(example(), 50, -40, height=2, width=3).labels == IGNORE).all()


def test_a_window_of_whole_pixels_at_its_own_size_is_a_crop():
    cut = label_augment.cut(example(), (3, 2, 9, 6), (4, 6))
    np.testing.assert_array_equal(cut.labels, example().labels[2:6, 3:9])
    np.testing.assert_array_equal(cut.picture, example().picture[2:6, 3:9])


def test_picture_and_labels_stay_together_under_any_window():
    rng = np.random.default_rng(0)
    large = example(240, 400)  # blocks of 4 pixels would blur into each other: enlarge them
    y, x = np.mgrid[:240, :400]
    labels = (x // 80 + 5 * (y // 80)).astype(np.uint8)
    large = LabelExample(
        picture=np.repeat((labels * 10)[..., None], 3, axis=2), labels=labels, name=""
    )
    for _ in range(20):
        shown = label_augment.random_window(large, rng, size=(96, 128))
        assert shown.picture.shape == (96, 128, 3) and shown.labels.shape == (96, 128)
        known = shown.labels != IGNORE
        assert known.any() and set(shown.labels[known]) <= set(range(15))
        same = np.abs(shown.picture[known][:, 0] - 10.0 * shown.labels[known]) < 1
        assert same.mean() > 0.8  # all but the edges of blocks


def test_scales_are_drawn_evenly_in_their_logarithm(monkeypatch):
    sides = []
    monkeypatch.setattr(
        label_augment, "cut", lambda shown, window, size: sides.append(window[2] - window[0])
    )
    rng = np.random.default_rng(0)
    for _ in range(400):
        label_augment.random_window(example(400, 400), rng, size=(100, 100))
    factors = 100 / np.asarray(sides)
    assert factors.min() >= 0.5 and factors.max() <= 2
    assert 160 < (factors < 1).sum() < 240


def test_a_window_lies_inside_a_larger_picture_and_holds_a_smaller_one():
    rng = np.random.default_rng(1)
    for _ in range(20):
        inside = label_augment.random_window(example(40, 60), rng, size=(8, 9), scales=(1, 1))
        assert (inside.labels != IGNORE).all()
        around = label_augment.random_window(example(8, 12), rng, size=(16, 24), scales=(1, 1))
        assert abs(int((around.labels != IGNORE).sum()) - 8 * 12) <= 20  # up to a row and column


def test_nothing_is_changed_in_place():
    before = example()
    kept = before.picture.copy(), before.labels.copy()
    rng = np.random.default_rng(0)
    for change in (label_augment.flip, label_augment.photometric):
        change(before, rng)
    label_augment.random_window(before, rng, size=(5, 6))
    np.testing.assert_array_equal(before.picture, kept[0])
    np.testing.assert_array_equal(before.labels, kept[1])


def test_pixels_are_counted_by_class_without_the_ignored(tmp_path):
    dataset = load_cityscapes(
        draw_streets(tmp_path, split="train", num_images=2, seed=0), split="train"
    )
    counts = count_pixels(dataset)
    assert counts.shape == (2, len(TABLE))
    for row, sample in zip(counts, dataset.samples, strict=True):
        labels = sample.read_labels()
        assert row.sum() == (labels != IGNORE).sum()
        assert row[TABLE.names.index("person")] == (labels == 11).sum() > 0


def test_a_class_of_one_picture_is_as_likely_as_one_of_all():
    # Class 0 is in three pictures, class 1 in the first alone, class 2 nowhere.
    odds = balanced_odds(np.asarray([[5, 900, 0], [5, 0, 0], [70, 0, 0], [0, 0, 0]]))
    assert odds == pytest.approx([1 / 6 + 1 / 2, 1 / 6, 1 / 6, 0])


def test_classes_weigh_by_their_share_and_pixels_by_one_on_average():
    pixels = np.asarray([[60, 10, 0], [20, 10, 0]])  # shares 0.8, 0.2, 0
    np.testing.assert_allclose(label_augment.class_weights(pixels, 0), [1, 1, 0])
    np.testing.assert_allclose(label_augment.class_weights(pixels, 1), [0.625, 2.5, 0])
    np.testing.assert_allclose(label_augment.class_weights(pixels, 0.5), [5 / 6, 5 / 3, 0])
