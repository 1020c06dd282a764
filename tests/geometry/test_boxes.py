import numpy as np
import pytest
from pycocotools import mask as coco

from encompass.geometry import boxes


def random_boxes(rng, n):
    low = rng.integers(0, 50, (n, 2))
    return np.concatenate([low, low + rng.integers(1, 50, (n, 2))], axis=1).astype(np.float32)


def test_area_is_width_times_height_and_zero_when_inside_out():
    given = np.asarray([[1, 2, 4, 6], [4, 6, 1, 2], [4, 2, 1, 6]], np.float32)
    assert boxes.area(given).tolist() == [12, 0, 0]


def test_iou_of_squares_sharing_a_corner_cell():
    one, two = np.asarray([[0, 0, 2, 2]], np.float32), np.asarray([[1, 1, 3, 3]], np.float32)
    assert boxes.iou(one, two).item() == pytest.approx(1 / 7)


def test_iou_is_one_for_itself_and_zero_for_touching_and_for_empty_boxes():
    box = np.asarray([[0, 0, 2, 2]], np.float32)
    others = np.asarray([[0, 0, 2, 2], [2, 0, 4, 2], [1, 1, 1, 1]], np.float32)
    assert boxes.iou(box, others).tolist() == [[1, 0, 0]]
    assert boxes.iou(others[2:], others[2:]).tolist() == [[0]]


def test_iou_equals_pycocotools():
    rng = np.random.default_rng(0)
    a, b = random_boxes(rng, 20), random_boxes(rng, 30)
    theirs = coco.iou(
        boxes.xyxy_to_xywh(a).astype(float), boxes.xyxy_to_xywh(b).astype(float), [0] * 30
    )
    np.testing.assert_allclose(boxes.iou(a, b), theirs, rtol=1e-6)


def test_iou_with_no_boxes_has_no_rows():
    assert boxes.iou(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)


def test_clip_cuts_to_the_picture_and_keeps_the_type():
    given = np.asarray([[-5, -1, 70, 50], [1, 2, 3, 4]], np.float32)
    cut = boxes.clip(given, height=40, width=60)
    assert cut.tolist() == [[0, 0, 60, 40], [1, 2, 3, 4]]
    assert cut.dtype == np.float32


def test_xywh_by_hand_and_back():
    xyxy = np.asarray([[1, 2, 4, 8]], np.float32)
    assert boxes.xyxy_to_xywh(xyxy).tolist() == [[1, 2, 3, 6]]
    assert boxes.xywh_to_xyxy(boxes.xyxy_to_xywh(xyxy)).tolist() == xyxy.tolist()
