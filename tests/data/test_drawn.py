"""The drawn people: repeatable, exact, with a crowd and an empty picture."""

import numpy as np

from encompass.data.drawn import draw_people
from encompass.data.instances import rasterise
from encompass.pictures import read_picture


def test_the_same_seed_draws_the_same_and_more_pictures_begin_alike(tmp_path):
    few = draw_people(tmp_path / "few", num_images=3, seed=4, size=(60, 80))
    more = draw_people(tmp_path / "more", num_images=5, seed=4, size=(60, 80))
    other = draw_people(tmp_path / "other", num_images=3, seed=5, size=(60, 80))
    assert len(few) == 3 and len(more) == 5
    for a, b, c in zip(few.samples, more.samples, other.samples, strict=False):
        assert a.path.read_bytes() == b.path.read_bytes() != c.path.read_bytes()
        np.testing.assert_array_equal(a.boxes_xyxy, b.boxes_xyxy)
        assert read_picture(a.path).shape == (60, 80, 3)


def test_there_are_a_crowd_and_an_empty_picture(tmp_path):
    for seed in range(5):
        samples = draw_people(tmp_path, num_images=4, seed=seed, size=(60, 80)).samples
        assert [len(sample.ignore_xyxy) for sample in samples] == [0, 1, 0, 0]
        assert [len(sample.objects) > 0 for sample in samples] == [True, True, False, True]


def test_boxes_and_areas_are_those_of_the_masks(tmp_path):
    for sample in draw_people(tmp_path, num_images=12, seed=0).samples:
        taken = np.zeros((sample.height, sample.width), int)
        for found in sample.annotations:
            mask = rasterise(found.segmentation, sample.height, sample.width)
            taken += mask.to_full(sample.height, sample.width)
            h, w = mask.pixels.shape
            assert found.area == mask.area
            assert np.abs(np.subtract(found.box_xywh, (mask.x, mask.y, w, h))).max() <= 2
        assert taken.max(initial=0) <= 1  # nobody hides anybody
