import torch

from encompass.models.branches import Branch, crop_cells


def ramps(size: int, stride: int) -> torch.Tensor:
    """(2, size, size): the x and y, in pixels, of the centre of each cell of a map."""
    centre = (torch.arange(size) + 0.5) * stride
    return torch.stack([centre.expand(size, size), centre[:, None].expand(size, size)])


def test_a_crop_of_the_same_shape_is_a_copy():
    feature = torch.randn(5, 20, 20)
    crop = crop_cells(feature, torch.tensor([[3, 4, 5, 9]]), (5, 2))
    assert torch.equal(crop[0], feature[:, 4:9, 3:5])


def test_crops_of_strides_32_16_and_8_cover_the_same_pixels():
    """A 640-pixel picture whose value is its position: resized or not, all three see one region."""
    cells = torch.tensor([[3, 4, 6, 11], [0, 0, 20, 20], [7, 2, 8, 3]])
    shape = (9, 4)
    for i, stride in enumerate((32, 16, 8)):
        scale = 2**i
        crops = crop_cells(
            ramps(20 * scale, stride), cells * scale, (shape[0] * scale, shape[1] * scale)
        )
        for (x0, y0, x1, y1), crop in zip((cells * 32).tolist(), crops, strict=True):
            # Half the way to the next sample beyond the outermost ones is the region's edge. Where
            # a crop is enlarged at the picture's edge its outermost samples are held inside the
            # map.
            step_x, step_y = (x1 - x0) / crop.shape[2], (y1 - y0) / crop.shape[1]
            if min(step_x, step_y) >= stride or (x0 > 0 and y0 > 0):
                torch.testing.assert_close(crop[0, 0, 0].item(), x0 + step_x / 2)
                torch.testing.assert_close(crop[1, 0, 0].item(), y0 + step_y / 2)
                torch.testing.assert_close(crop[0, -1, -1].item(), x1 - step_x / 2)
                torch.testing.assert_close(crop[1, -1, -1].item(), y1 - step_y / 2)
            torch.testing.assert_close(crop[0].mean().item(), (x0 + x1) / 2)
            torch.testing.assert_close(crop[1].mean().item(), (y0 + y1) / 2)


def test_a_branch_gives_four_mask_cells_for_a_cell():
    branch = Branch((8, 6, 4), num_classes=2)
    crops = [torch.randn(3, 8, 5, 2), torch.randn(3, 6, 10, 4), torch.randn(3, 4, 20, 8)]
    assert branch(crops).shape == (3, 2, 20, 8)
    assert branch.upsampling == 4


def test_a_branch_takes_no_crops_at_all():
    branch = Branch((8, 6, 4), num_classes=1)
    crops = [torch.zeros(0, 8, 5, 2), torch.zeros(0, 6, 10, 4), torch.zeros(0, 4, 20, 8)]
    assert branch(crops).shape == (0, 1, 20, 8)
