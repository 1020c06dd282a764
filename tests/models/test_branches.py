import numpy as np
import pytest
import torch

from encompass.models.branches import Branch, crop_cells
from encompass.models.instance import SsdIsb
from encompass.models.zoo import MODELS


def ramps(size: int, stride: int) -> torch.Tensor:
    """(2, size, size): the x and y, in pixels, of the centre of each cell of a map."""
    centre = (torch.arange(size) + 0.5) * stride
    return torch.stack([centre.expand(size, size), centre[:, None].expand(size, size)])


def test_a_crop_of_the_same_shape_is_a_copy():
    feature = torch.randn(5, 20, 20)
    crop = crop_cells(feature, torch.tensor([[3, 4, 5, 9]]), (5, 2))
    assert torch.equal(crop[0], feature[:, 4:9, 3:5])


@pytest.mark.parametrize(
    ("name", "strides"),
    [("multi-shape-mn0.75", (32, 16, 8)), ("multi-shape-mn0.75-320", (16, 8, 4))],
)
def test_crops_of_a_row_cover_the_same_pixels(name, strides):
    """On maps whose value is their position: copied or resized, all three crops see one region."""
    spec = MODELS[name]
    network = SsdIsb(spec, num_classes=1)
    trunk = network.detector.trunk
    assert tuple(trunk.STRIDES[block] for block in spec.crop_blocks) == strides
    features = {
        block: ramps(spec.input_size // trunk.STRIDES[block], trunk.STRIDES[block])
        for block in spec.crop_blocks
    }
    cells = np.asarray([[3, 4, 6, 11], [1, 2, 19, 18], [7, 2, 8, 3]])
    for branch, (height, width) in enumerate(spec.shapes):
        for i, crops in enumerate(network.crops(features, cells, branch)):
            assert crops.shape[2:] == (height * 2**i, width * 2**i)
            for (x0, y0, x1, y1), (x, y) in zip((cells * strides[0]).tolist(), crops, strict=True):
                # Half a step beyond the outermost samples is the region's edge.
                half_x, half_y = (x1 - x0) / x.shape[1] / 2, (y1 - y0) / x.shape[0] / 2
                assert x[0, 0].item() == pytest.approx(x0 + half_x, abs=1e-3)
                assert y[0, 0].item() == pytest.approx(y0 + half_y, abs=1e-3)
                assert x[-1, -1].item() == pytest.approx(x1 - half_x, abs=1e-3)
                assert y[-1, -1].item() == pytest.approx(y1 - half_y, abs=1e-3)


def test_a_branch_gives_four_mask_cells_for_a_cell():
    branch = Branch((8, 6, 4), num_classes=2)
    crops = [torch.randn(3, 8, 5, 2), torch.randn(3, 6, 10, 4), torch.randn(3, 4, 20, 8)]
    assert branch(crops).shape == (3, 2, 20, 8)
    assert branch.upsampling == 4


def test_a_branch_takes_no_crops_at_all():
    branch = Branch((8, 6, 4), num_classes=1)
    crops = [torch.zeros(0, 8, 5, 2), torch.zeros(0, 6, 10, 4), torch.zeros(0, 4, 20, 8)]
    assert branch(crops).shape == (0, 1, 20, 8)
