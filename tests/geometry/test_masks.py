import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from encompass.geometry.masks import (
    boundary_iou,
    coverage,
    crop_mask,
    decode_mask,
    mask_iou,
    rle_decode,
    rle_encode,
)
from encompass.schema import BoxMask


def decode(logits, area, box, height=40, width=60):
    return decode_mask(
        np.asarray(logits, np.float32),
        np.asarray(area, np.float32),
        np.asarray(box, np.float32),
        height=height,
        width=width,
    )


def test_a_mask_is_cut_where_the_logits_cross_zero():
    # Two cells of 10 px with centres at x = 5 and 15; from 1 to -3, zero is a quarter of the way.
    mask = decode([[1, -3]], area=(0, 0, 20, 10), box=(0, 0, 20, 10))
    assert mask.pixels.shape == (10, 20)
    assert mask.pixels.all(axis=0).tolist() == [x + 0.5 < 7.5 for x in range(20)]


def test_a_mask_is_cropped_to_the_box_and_covers_each_pixel_that_the_box_touches():
    mask = decode([[5, 5], [5, 5]], area=(0, 0, 32, 32), box=(3.5, 4.0, 10.2, 9.9))
    assert (mask.x, mask.y, mask.pixels.shape) == (3, 4, (6, 8))
    assert mask.pixels.all()


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (8, 8, 4, 4), (60, 40, 80, 50), (-9, -9, -2, -2)])
def test_a_box_without_area_in_the_picture_has_an_empty_mask(box):
    assert decode([[5]], area=(0, 0, 32, 32), box=box).area == 0


def test_a_box_past_the_edge_is_cut_to_the_picture():
    mask = decode([[5]], area=(0, 0, 64, 64), box=(-3, -4, 64, 50))
    assert (mask.x, mask.y, mask.pixels.shape) == (0, 0, (40, 60))


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (1, 3), (15, 10)])
def test_logits_are_spread_as_pillow_resizes(shape):
    logits = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    height, width = shape[0] * 8, shape[1] * 8
    theirs = Image.fromarray(logits).resize((width, height), Image.Resampling.BILINEAR)
    mask = decode(
        logits, area=(0, 0, width, height), box=(0, 0, width, height), height=height, width=width
    )
    certain = np.abs(np.asarray(theirs)) > 1e-5
    assert (mask.pixels == (np.asarray(theirs) > 0))[certain].all()


def test_coverage_by_hand():
    # A 4 x 4 square at (2, 2) on a grid of 2 x 2 cells, each 4 px wide and 8 high, from (0, 0).
    mask = BoxMask(2, 2, np.ones((4, 4), bool))
    found = coverage(mask, np.asarray([0, 0, 8, 16], np.float32), (2, 2))
    assert found.tolist() == [[0.25, 0.25], [0, 0]]


def test_coverage_of_an_area_between_pixels():
    mask = BoxMask(0, 0, np.asarray([[True, False, False]]))
    found = coverage(mask, np.asarray([0.5, 0, 2.5, 1], np.float32), (1, 2))
    assert found.tolist() == [[0.5, 0]]


def test_coverage_adds_up_to_the_area_of_the_mask():
    mask = BoxMask(5, 7, np.random.default_rng(0).random((20, 30)) < 0.5)
    area = np.asarray([3.3, 2.2, 40.9, 33.3], np.float32)
    found = coverage(mask, area, (7, 5))
    cell = (40.9 - 3.3) * (33.3 - 2.2) / 35
    assert found.sum() * cell == pytest.approx(mask.area, rel=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (15, 10)])
def test_a_mask_of_whole_cells_comes_back_from_its_coverage(shape):
    cells = np.random.default_rng(0).random(shape) < 0.5
    height, width = shape[0] * 9, shape[1] * 7
    mask = BoxMask(0, 0, np.kron(cells, np.ones((9, 7), bool)))
    area = np.asarray([0, 0, width, height], np.float32)
    found = coverage(mask, area, shape)
    np.testing.assert_allclose(found, cells, atol=1e-5)
    back = decode(found - 0.5, area, area, height=height, width=width)
    assert (back.pixels[4::9, 3::7] == cells).all()  # at the centre of each cell


def test_to_full_puts_the_crop_in_its_place():
    full = BoxMask(1, 2, np.asarray([[True, False, True]])).to_full(4, 5)
    assert np.argwhere(full).tolist() == [[2, 1], [2, 3]]


def crops():
    rng = np.random.default_rng(0)
    yield BoxMask(0, 0, np.zeros((0, 0), bool))
    yield BoxMask(60, 40, np.zeros((0, 0), bool))
    yield BoxMask(5, 5, np.zeros((3, 3), bool))
    yield BoxMask(0, 0, np.ones((40, 60), bool))
    yield BoxMask(0, 0, np.ones((1, 1), bool))
    yield BoxMask(59, 39, np.ones((1, 1), bool))  # ends on the last pixel
    yield BoxMask(10, 0, np.ones((40, 5), bool))  # whole columns run on into each other
    for _ in range(60):
        x, y = int(rng.integers(60)), int(rng.integers(40))
        h, w = int(rng.integers(1, 41 - y)), int(rng.integers(1, 61 - x))
        yield BoxMask(x, y, rng.random((h, w)) < rng.random())


@pytest.mark.parametrize("mask", list(crops()))
def test_run_lengths_equal_pycocotools_and_come_back(mask):
    full = mask.to_full(40, 60)
    ours = rle_encode(mask, height=40, width=60)
    theirs = coco.encode(np.asfortranarray(full, np.uint8))
    assert ours == {"size": [40, 60], "counts": theirs["counts"].decode()}
    assert (rle_decode(ours) == full).all()
    assert coco.area(theirs) == mask.area


def test_long_runs_equal_pycocotools():
    mask = BoxMask(1500, 900, np.eye(300, dtype=bool))
    ours = rle_encode(mask, height=3000, width=4000)
    theirs = coco.encode(np.asfortranarray(mask.to_full(3000, 4000), np.uint8))
    assert ours["counts"] == theirs["counts"].decode()


def test_plain_counts_go_down_the_columns():
    full = rle_decode({"size": [2, 3], "counts": [1, 2, 3]})
    assert full.tolist() == [[False, True, False], [True, False, False]]


@pytest.mark.parametrize("counts", [[1, 2], [7], [-1, 7], [], "\x00", "a b", "P"])
def test_counts_that_describe_no_mask_are_refused(counts):
    with pytest.raises(ValueError, match="run"):
        rle_decode({"size": [2, 3], "counts": counts})


def test_the_overlap_of_two_crops_is_that_of_the_full_masks():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = (
            BoxMask(*rng.integers(0, 20, 2), rng.random(rng.integers(0, 12, 2)) < 0.7)
            for _ in range(2)
        )
        full_a, full_b = a.to_full(40, 40), b.to_full(40, 40)
        union = (full_a | full_b).sum()
        expected = (full_a & full_b).sum() / union if union else 0
        assert mask_iou(a, b) == mask_iou(b, a) == expected


def test_masks_of_a_row_that_share_one_of_three_pixels_overlap_by_a_third():
    row = np.ones((1, 2), bool)
    assert mask_iou(BoxMask(4, 7, row), BoxMask(5, 7, row)) == 1 / 3
    assert mask_iou(BoxMask(4, 7, row), BoxMask(6, 7, row)) == 0
    nothing = BoxMask(0, 0, np.zeros((0, 0), bool))
    assert mask_iou(nothing, nothing) == 0


def test_a_mask_is_cropped_to_its_extent_and_placed_back():
    full = np.zeros((9, 12), bool)
    full[2:5, 3:7] = np.asarray([[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]])
    mask = crop_mask(full)
    assert (mask.x, mask.y, mask.pixels.shape) == (3, 2, (3, 4))
    np.testing.assert_array_equal(mask.to_full(9, 12), full)
    assert crop_mask(full & False).pixels.shape == (0, 0)


def square(x, y, side):
    return BoxMask(x, y, np.ones((side, side), bool))


def test_boundary_iou_worked_out():
    """In 30x40 pixels the boundary is one pixel wide: two squares of 4, one a column beside."""
    edges = boundary_iou(square(5, 5, 4), square(6, 5, 4), height=30, width=40)
    # Rings of 12 each; they share the 3 upper and the 3 lower pixels, and no upright side.
    assert edges == pytest.approx(6 / 18)
    assert mask_iou(square(5, 5, 4), square(6, 5, 4)) == pytest.approx(12 / 20)


def test_boundary_iou_counts_what_lies_at_the_pictures_edge_and_all_of_a_small_object():
    whole = BoxMask(0, 0, np.ones((30, 40), bool))
    ring = np.ones((30, 40), bool)
    ring[1:-1, 1:-1] = False
    assert boundary_iou(whole, BoxMask(0, 0, ring), height=30, width=40) == 1
    one, other = square(100, 100, 12), square(103, 100, 12)
    size = {"height": 480, "width": 640}  # 16 pixels wide
    assert boundary_iou(one, other, **size) == mask_iou(one, other)


def test_boundary_iou_is_that_of_repeated_erosion():
    rng = np.random.default_rng(0)
    height, width = 90, 120  # 3 pixels wide
    coarse = rng.random((2, 9, 12)) > 0.3
    full = coarse.repeat(10, axis=1).repeat(10, axis=2)

    def edge(pixels):
        inside = np.pad(pixels, 3)
        for _ in range(3):
            rows = np.pad(inside, 1)
            parts = [rows[y : y + 96, x : x + 126] for y in range(3) for x in range(3)]
            inside = np.all(parts, axis=0)
        return pixels & ~inside[3:-3, 3:-3]

    one, other = map(edge, full)
    expected = (one & other).sum() / (one | other).sum()
    masks = [crop_mask(pixels) for pixels in full]
    assert boundary_iou(*masks, height=height, width=width) == pytest.approx(expected)


def test_boundary_iou_of_nothing_is_zero():
    nothing = BoxMask(0, 0, np.zeros((0, 0), bool))
    assert boundary_iou(nothing, square(1, 1, 3), height=9, width=9) == 0
