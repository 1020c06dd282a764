"""Masks apart from detection: predictors that return the truth, half of it, and nothing."""

from collections import Counter

import numpy as np
import pytest

from encompass.data.drawn import draw_people
from encompass.data.instances import Annotation, Dataset, Sample, rasterise
from encompass.evaluate.masks import score_masks
from encompass.evaluate.shapes import Grid
from encompass.schema import BoxMask

GRID = Grid((320, 320), 16)
GROUPS = ("all", "small", "medium", "large")


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return draw_people(tmp_path_factory.mktemp("drawn"), num_images=8, seed=3)


def truth_of(dataset, change=lambda mask: mask):
    """Answers with the annotated masks, changed, of the objects whose boxes it is given."""
    samples = {sample.path: sample for sample in dataset.samples}

    def predict(path, boxes_xyxy, labels):
        sample = samples[path]
        assert boxes_xyxy.dtype == np.float32 and len(labels) == len(boxes_xyxy)
        masks = []
        for box in boxes_xyxy:
            (i,) = np.flatnonzero((sample.boxes_xyxy == box).all(axis=1))
            masks.append(change(rasterise(sample.segmentations[i], sample.height, sample.width)))
        return tuple(masks)

    return predict


def nothing(mask):
    return BoxMask(0, 0, np.zeros((0, 0), bool))


def test_the_truth_overlaps_wholly(people):
    result = score_masks(people, truth_of(people), GRID)
    objects = sum(len(sample.objects) for sample in people.samples)
    assert result["all"] == {
        "num_objects": objects,
        "num_without_mask": 0,
        "mask_IoU": pytest.approx(100),
        "IoU_50": pytest.approx(100),
        "boundary_IoU": pytest.approx(100),
    }
    assert sum(result[size]["num_objects"] for size in GROUPS[1:]) == objects
    assert sum(group["num_objects"] for group in result["shapes"]) == objects


def test_no_mask_is_an_overlap_of_zero_and_is_counted(people):
    result = score_masks(people, truth_of(people, nothing), GRID)
    for group in [result["all"], *result["shapes"]]:
        assert group["num_without_mask"] == group["num_objects"] > 0
        assert group["mask_IoU"] == group["IoU_50"] == 0


def test_a_mask_without_a_set_pixel_is_still_a_mask(people):
    blank = lambda mask: BoxMask(mask.x, mask.y, np.zeros_like(mask.pixels))  # noqa: E731
    result = score_masks(people, truth_of(people, blank), GRID)
    assert result["all"]["num_without_mask"] == result["all"]["mask_IoU"] == 0


def squares(*sides, crowd=False):
    """One picture for each square object; its mask is the square."""
    samples = []
    for i, side in enumerate(sides):
        outline = [[10, 10, 10 + side, 10, 10 + side, 10 + side, 10, 10 + side]]
        annotations = [Annotation(0, (10, 10, side, side), side**2, crowd, outline)]
        samples.append(Sample(f"{i}.jpg", i, 320, 320, tuple(annotations)))
    return samples


def dataset_of(samples):
    from encompass.data.classes import ClassTable

    return Dataset(tuple(samples), ClassTable(("person",), (1,)), ())


def rows(part):
    """Keeps the upper part of a mask."""

    def change(mask):
        return BoxMask(mask.x, mask.y, mask.pixels[: int(len(mask.pixels) * part)])

    return change


def test_half_a_mask_overlaps_by_half():
    # 20 and 30 are small, 32 and 96 (at the limits) medium, 100 and 200 large.
    dataset = dataset_of(squares(20, 30, 32, 96, 100, 200))
    result = score_masks(dataset, truth_of(dataset, rows(0.5)), GRID, min_objects=1)
    for name in GROUPS:
        assert result[name]["mask_IoU"] == pytest.approx(50)
        assert result[name]["IoU_50"] == 100
    assert [result[name]["num_objects"] for name in GROUPS] == [6, 2, 2, 2]
    less = score_masks(dataset, truth_of(dataset, rows(0.45)), GRID)
    assert less["all"]["IoU_50"] == 0 < less["all"]["mask_IoU"] < 50


def test_groups_are_means_over_their_objects():
    dataset = dataset_of(squares(20, 20, 100))  # shapes 2x2, 2x2 and 7x7 in cells of 16 px

    def predict(path, boxes_xyxy, labels):
        (mask,) = truth_of(dataset)(path, boxes_xyxy, labels)
        return (rows({"0.jpg": 0.2, "1.jpg": 0.6, "2.jpg": 0}[path])(mask),)

    result = score_masks(dataset, predict, GRID, min_objects=2)
    assert result["small"]["mask_IoU"] == pytest.approx(40)
    assert result["small"]["IoU_50"] == pytest.approx(50)
    assert result["all"]["mask_IoU"] == pytest.approx(80 / 3)
    assert result["medium"]["mask_IoU"] is result["medium"]["IoU_50"] is None
    assert [(g["shape"], g["num_objects"]) for g in result["shapes"]] == [("2x2", 2), ("other", 1)]
    assert result["shapes"][0]["mask_IoU"] == pytest.approx(40)
    # No rows of a crop are no mask.
    assert [g["num_without_mask"] for g in result["shapes"]] == [0, 1]
    assert result["min_objects"] == 2


def test_crowds_and_objects_without_a_known_mask_are_left_out():
    boxed = Annotation(0, (5, 5, 40, 60), 2400, False, None)
    (crowd,) = squares(50, crowd=True)
    (plain,) = squares(60)
    mixed = Sample("m.jpg", 7, 320, 320, (boxed, *plain.annotations, *crowd.annotations))
    alone = Sample("a.jpg", 8, 320, 320, (boxed, *crowd.annotations))
    dataset = dataset_of([mixed, alone])
    calls, told = Counter(), []

    def predict(path, boxes_xyxy, labels):
        calls[path] += 1
        assert boxes_xyxy.tolist() == [[10, 10, 70, 70]]
        return (BoxMask(10, 10, np.ones((60, 60), bool)),)

    result = score_masks(dataset, predict, GRID, progress=lambda *done: told.append(done))
    assert result["all"]["num_objects"] == 1 and result["all"]["mask_IoU"] == 100
    assert calls == {"m.jpg": 1}
    assert told == [(1, 2), (2, 2)]


def test_a_dataset_without_objects_has_no_quality():
    result = score_masks(dataset_of([Sample("e.jpg", 1, 9, 9, ())]), truth_of, GRID)
    assert result["all"] == {
        "num_objects": 0,
        "num_without_mask": 0,
        "mask_IoU": None,
        "IoU_50": None,
        "boundary_IoU": None,
    }
    assert result["shapes"] == []
    assert result["pairs"] == result["equal_pairs"] == {"num_pairs": 0, "both_IoU_50": None}


def side_by_side(*lefts, top=8):
    """One picture of objects 40 wide and 60 high at these places; masks are their boxes."""
    annotations = []
    for left in lefts:
        right, bottom = left + 40, top + 60
        outline = [[left, top, right, top, right, bottom, left, bottom]]
        annotations.append(Annotation(0, (left, top, 40, 60), 2400, False, outline))
    return Sample(f"{lefts[0]}.jpg", lefts[0], 320, 320, tuple(annotations))


def test_pairs_share_their_cells_and_both_masks_must_be_right():
    # In cells of 16: columns 0 to 3, the same, 1 to 4 (IoU 2/4 with both), and 12 to 15.
    together = side_by_side(1, 5, 20, 200)
    dataset = dataset_of([together, side_by_side(100)])
    result = score_masks(dataset, truth_of(dataset), GRID)
    assert result["pairs"] == {"num_pairs": 3, "both_IoU_50": 100}
    assert result["equal_pairs"] == {"num_pairs": 1, "both_IoU_50": 100}

    def second_cut(path, boxes_xyxy, labels):
        masks = list(truth_of(dataset)(path, boxes_xyxy, labels))
        if len(masks) > 1:
            masks[1] = rows(0.4)(masks[1])
        return tuple(masks)

    worse = score_masks(dataset, second_cut, GRID)
    assert worse["equal_pairs"] == {"num_pairs": 1, "both_IoU_50": 0}
    # Of the three pairs only that of the first and the third has both right.
    assert worse["pairs"]["both_IoU_50"] == pytest.approx(100 / 3)
