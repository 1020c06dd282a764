import numpy as np
import pytest
import torch

from encompass.models.anchors import (
    anchor_sizes,
    build_anchors,
    cell_centres,
    decode,
    encode,
    nms,
    pixel_anchors,
)
from encompass.models.layers import same_padding

GRIDS_640 = [(40, 40), (20, 20), (10, 10), (5, 5), (3, 3), (2, 2)]


def test_there_are_8028_anchors_at_640():
    assert len(build_anchors(GRIDS_640)) == 8028


def test_sizes_of_the_first_two_maps_worked_by_hand():
    first, second = anchor_sizes()[:2]
    expected = [(0.1, 0.1), (0.2 * 2**0.5, 0.2 / 2**0.5), (0.2 / 2**0.5, 0.2 * 2**0.5)]
    np.testing.assert_allclose(first, expected)
    assert second[0] == pytest.approx((0.35, 0.35))
    assert second[5] == pytest.approx(((0.35 * 0.5) ** 0.5,) * 2)


def test_the_last_map_goes_up_to_the_whole_picture():
    assert anchor_sizes()[5][5] == pytest.approx(((0.95 * 1.0) ** 0.5,) * 2)


def test_centres_run_along_the_rows():
    anchors = build_anchors([(2, 4), *[(1, 1)] * 5])
    centres = anchors[: 2 * 4 * 3 : 3, :2].tolist()
    assert centres[:2] == [[0.125, 0.25], [0.375, 0.25]]
    assert centres[4] == [0.125, 0.75]


def test_at_the_releases_size_pixel_anchors_are_the_releases():
    grids = [(19, 19), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)]
    theirs, ours = build_anchors(grids), pixel_anchors(300)
    assert torch.equal(ours[-6:], ours[-12:-6])  # here the two of the last map are the same
    ours = ours[:-6]
    torch.testing.assert_close(ours[:, 2:], theirs[:, 2:])
    # Cells are 16 and 32 pixels apart, not 300 / 19 and 30; in the mean they are at the same place.
    first, second = slice(0, 19 * 19 * 3), slice(19 * 19 * 3, 19 * 19 * 3 + 10 * 10 * 6)
    for of_map, pixels in ((first, 9 * (16 - 300 / 19)), (second, 4.5 * 2)):
        apart = (ours[of_map, :2] - theirs[of_map, :2]) * 300
        torch.testing.assert_close(apart.mean(dim=0), torch.zeros(2), rtol=0, atol=1e-3)
        assert apart.abs().max().item() == pytest.approx(pixels, abs=1e-3)


def test_pixel_anchors_worked_by_hand():
    # At 300 pixels cells look 5.5 pixels right of their anchors at strides 16 and 32. At 448, where
    # all sizes are even, the first cells look at 15.5 and 31.5.
    anchors = pixel_anchors(448) * 448
    assert anchors[0].tolist() == pytest.approx([10, 10, 30, 30])
    assert anchors[28 * 28 * 3].tolist() == pytest.approx([26, 26, 105, 105])
    assert anchors[28 * 28 * 3 + 6, 0] == pytest.approx(26 + 32)
    assert anchors[-12, 2:].tolist() == pytest.approx([0.95 * 300] * 2)
    assert anchors[-6, 2:].tolist() == pytest.approx([0.95 * 448] * 2)


def test_the_fine_map_comes_last_with_anchors_half_as_large():
    six, all_ = pixel_anchors(448), pixel_anchors(448, fine_map=True)
    assert torch.equal(all_[: len(six)], six)
    assert len(all_) == len(six) + 56 * 56 * 3
    torch.testing.assert_close(2 * all_[-3:, 2:], six[:3, 2:])


@pytest.mark.parametrize("size", [300, 320, 448])
def test_cells_look_where_a_change_of_a_pixel_moves_them(size):
    # Three layers of kernel 3 and stride 2 as TensorFlow pads them; weights 1/3 keep the centroid.
    line = torch.arange(size, dtype=torch.float64) + 0.5
    for _ in range(3):
        before, after = same_padding(len(line), 3, 2)
        padded = torch.cat([line.new_zeros(before), line, line.new_zeros(after)])
        line = padded.unfold(0, 3, 2).mean(dim=1)
    torch.testing.assert_close(cell_centres(size)[0][2:-2], line[2:-2])


def test_no_offset_is_the_anchor_itself():
    anchor = torch.tensor([[0.5, 0.4, 0.2, 0.6]])
    expected = torch.tensor([[0.4, 0.1, 0.6, 0.7]])
    torch.testing.assert_close(decode(torch.zeros(1, 4), anchor), expected)


def test_an_offset_worked_by_hand():
    # ty = 10 moves the centre down by the anchor's height; tw = 5 ln 2 doubles the width.
    offset = torch.tensor([[10.0, 0.0, 0.0, 5 * torch.tensor(2.0).log()]])
    anchor = torch.tensor([[0.5, 0.2, 0.2, 0.4]])
    expected = torch.tensor([[0.3, 0.4, 0.7, 0.8]])
    torch.testing.assert_close(decode(offset, anchor), expected)


def test_encode_inverts_decode():
    generator = torch.Generator().manual_seed(0)
    anchors = build_anchors(GRIDS_640)[::37]
    offsets = torch.randn(len(anchors), 4, generator=generator)
    torch.testing.assert_close(
        encode(decode(offsets, anchors), anchors), offsets, rtol=1e-3, atol=1e-3
    )


def test_nms_drops_the_worse_of_two_that_overlap():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10], [0, 0, 10, 5]])
    scores = torch.tensor([0.8, 0.9, 0.3, 0.5])
    # Against box 1 (area 90): box 0 has IoU 0.9, box 3 has 50 / 90 = 0.56.
    assert nms(boxes, scores, iou=0.6, limit=10).tolist() == [1, 3, 2]
    assert nms(boxes, scores, iou=0.5, limit=10).tolist() == [1, 2]
    assert nms(boxes, scores, iou=0.6, limit=1).tolist() == [1]


def test_nms_of_nothing_is_nothing():
    assert nms(torch.zeros(0, 4), torch.zeros(0), iou=0.6, limit=10).tolist() == []
