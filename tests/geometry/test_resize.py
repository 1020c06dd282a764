import numpy as np
import pytest
from PIL import Image

from encompass.geometry.resize import Stretch, reduce_picture


@pytest.mark.parametrize(
    ("src", "reduction", "reduced"),
    [
        ((480, 640), (1, 1), (480, 640)),
        ((1279, 5000), (1, 7), (1279, 715)),  # each side for itself
        ((100_000, 1000), (156, 1), (642, 1000)),
        ((1280, 1280), (2, 2), (640, 640)),
        ((1921, 2000), (3, 3), (641, 667)),  # part blocks count as whole
        ((100, 100), (1, 1), (100, 100)),  # smaller than the network's input
        ((100, 1300), (1, 2), (100, 650)),
    ],
)
def test_reduction_by_hand(src, reduction, reduced):
    stretch = Stretch(src=src, net=(320, 320))
    assert stretch.reduction == reduction
    assert stretch.reduced == reduced


def test_the_picture_is_reduced_to_the_size_that_the_boxes_expect():
    stretch = Stretch(src=(67, 49), net=(10, 12))
    assert stretch.reduction == (3, 2)
    picture = np.zeros((67, 49, 3), np.uint8)
    assert reduce_picture(picture, stretch.reduction).shape == (*stretch.reduced, 3)


def test_reducing_averages_whole_blocks_and_the_part_that_is_left():
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[:, :, 0] = [[0, 10, 40], [20, 30, 60]]
    assert reduce_picture(picture, (2, 2))[:, :, 0].tolist() == [[15, 50]]
    assert reduce_picture(picture, (1, 2))[:, :, 0].tolist() == [[5, 40], [25, 60]]
    assert reduce_picture(picture, (2, 1))[:, :, 0].tolist() == [[10, 20, 50]]


def test_reducing_by_one_is_nothing():
    picture = np.zeros((2, 3, 3), np.uint8)
    assert reduce_picture(picture, (1, 1)) is picture


def test_boxes_by_hand():
    stretch = Stretch(src=(50, 100), net=(100, 50))
    box = np.asarray([[10, 10, 100, 50]], np.float32)
    assert stretch.forward_xyxy(box).tolist() == [[5, 20, 50, 100]]


@pytest.mark.parametrize("src", [(480, 640), (1923, 2222), (7, 3), (400, 5001)])
def test_boxes_there_and_back(src):
    stretch = Stretch(src=src, net=(320, 320))
    boxes = np.random.default_rng(0).uniform(0, max(src), (50, 4)).astype(np.float32)
    back = stretch.inverse_xyxy(stretch.forward_xyxy(boxes))
    np.testing.assert_allclose(back, boxes, rtol=1e-5)
    assert back.dtype == np.float32


@pytest.mark.parametrize("repeats", [1, 5])
def test_a_square_lies_where_the_boxes_say(repeats):
    # Reduced by 3 in y, by 4 or 20 in x.
    stretch = Stretch(src=(240, 400 * repeats), net=(40, 50))
    box = np.asarray([[150, 60, 249, 180]], np.float32)
    picture = np.zeros((240, 400, 3), np.uint8)
    picture[60:180, 150:249] = 255
    picture = np.repeat(picture, repeats, axis=1)
    box[:, ::2] *= repeats
    reduced = Image.fromarray(reduce_picture(picture, stretch.reduction))
    seen = np.asarray(reduced.resize((50, 40), Image.Resampling.BILINEAR))[..., 0]
    x0, y0, x1, y1 = stretch.forward_xyxy(box)[0]
    rows, columns = np.nonzero(seen > 127)
    assert abs(columns.min() - x0) <= 0.5
    assert abs(columns.max() + 1 - x1) <= 0.5
    assert abs(rows.min() - y0) <= 0.5
    assert abs(rows.max() + 1 - y1) <= 0.5
