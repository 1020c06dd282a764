import dataclasses

import numpy as np
import pytest
import torch

from encompass.models.branches import Branch, box_channels, crop_batch, crop_cells
from encompass.models.instance import SsdIsb
from encompass.models.mask_head import MaskHead
from encompass.models.zoo import MODELS, BranchSpec, InstanceSpec, resizing


def ramps(size: int, stride: int) -> torch.Tensor:
    """(2, size, size): the x and y, in pixels, of the centre of each cell of a map."""
    centre = (torch.arange(size) + 0.5) * stride
    return torch.stack([centre.expand(size, size), centre[:, None].expand(size, size)])


def test_a_crop_of_the_same_shape_is_a_copy():
    feature = torch.randn(5, 20, 20)
    crop = crop_cells(feature, torch.tensor([[3, 4, 5, 9]]), (5, 2))
    assert torch.equal(crop[0], feature[:, 4:9, 3:5])


@pytest.mark.parametrize(("count", "rows", "atol"), [(3, 11, 1e-5), (48, 128, 5e-3)])
def test_crops_of_several_pictures_are_those_of_each_alone(count, rows, atol):
    maps = torch.randn(count, 5, rows, 20).to(memory_format=torch.channels_last)
    cells = torch.tensor([[0.0, 0, 20, rows], [3.2, 4, 5, 9.7], [18, 9, 20, 11], [2, 1, 4, 6]])
    pictures = torch.tensor([count - 1, 0, 0, 1])
    crops = crop_batch(maps, pictures, cells, (5, 2))
    for crop, picture, edges in zip(crops, pictures, cells, strict=True):
        alone = crop_cells(maps[picture], edges[None], (5, 2))[0]
        torch.testing.assert_close(crop, alone, atol=atol, rtol=0)


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


def test_a_deeper_branch_has_a_separable_layer_more():
    plain, deeper = (Branch((8, 4), num_classes=1, convolutions=n) for n in (1, 3))
    more = sum(p.numel() for p in deeper.parameters()) - sum(p.numel() for p in plain.parameters())
    assert more == 2 * (9 * 128 + 128 * 128 + 128)
    assert deeper([torch.randn(2, 8, 3, 5), torch.randn(2, 4, 6, 10)]).shape == (2, 1, 6, 10)


def test_an_atrous_branch_sees_further_with_the_same_weights():
    """What changes when the middle of a crop does: 3 cells each way plain, 7 at rate 3."""
    seen = []
    for rate in (1, 3):
        torch.manual_seed(0)
        branch = Branch((8,), num_classes=1, rate=rate)
        crop = torch.randn(1, 8, 15, 15)
        changed = crop.clone()
        changed[..., 7, 7] += 1
        rows = (branch([crop]) != branch([changed])).any(dim=-1).flatten().nonzero()[:, 0]
        seen.append((int(rows.min()), int(rows.max()), sum(p.numel() for p in branch.parameters())))
    assert [span[:2] for span in seen] == [(6, 8), (4, 10)]
    assert seen[0][2] == seen[1][2]


def test_a_mask_head_doubles_what_it_is_given():
    head = MaskHead((8, 6, 4), num_classes=2)
    crops = [torch.randn(3, width, 7, 7) for width in (8, 6, 4)]
    assert head(crops).shape == (3, 2, 14, 14)
    # Three 1x1 to 256, four 3x3, a transposed 2x2, a score.
    expected = (8 + 6 + 4) * 256 + 3 * 256 + 4 * (9 * 256**2 + 256) + 4 * 256**2 + 256
    assert sum(p.numel() for p in head.parameters()) == expected + 2 * 256 + 2


@pytest.mark.parametrize("pool", ["max", "mean"])
def test_pooled_crops_are_twice_as_fine_before(pool):
    spec = dataclasses.replace(
        MODELS["single-branch"],
        branches=(BranchSpec(shape=(2, 2), pool=pool),),
        crop_blocks=(13,),
    )
    network = SsdIsb(spec, num_classes=1)
    # Cells 0..3 of a row hold 0..3: the crop of 4x4 is the map itself, pooled to 2x2.
    feature = torch.arange(4.0).expand(1, 4, 4)
    crops = network.crops({13: feature}, np.asarray([[0, 0, 4, 4]]), 0)
    expected = {"max": [1.0, 3.0], "mean": [0.5, 2.5]}[pool]
    assert crops[0][0, 0].tolist() == [expected, expected]


def test_the_best_boxes_of_a_full_branch_have_masks_and_later_ones_none():
    spec = InstanceSpec(
        multiplier=0.25,
        input_size=64,
        branches=(
            BranchSpec(shape=(1, 1), max_boxes=2),
            BranchSpec(shape=(2, 2), exact=True),
        ),
        crop_blocks=(11, 5, 3),
    )
    network = SsdIsb(spec, num_classes=1).eval()
    boxes = torch.tensor([[1.0, 1, 9, 9], [0, 0, 30, 30], [17, 1, 25, 9], [1, 17, 9, 25]])
    with torch.no_grad():
        features = {b: f[0] for b, f in network(torch.zeros(1, 3, 64, 64)).features.items()}
        said = network.masks(features, boxes)
    assert said.branches.tolist() == [0, 1, 0, -1]
    assert [mask.shape[1:].numel() for mask in said.logits] == [16, 64, 16, 0]


def test_box_channels_worked_out():
    """A box from x 1.5 to 3 and y 0 to 2 in a crop of the cells 1..4 by 0..2."""
    boxes = np.asarray([[1.5, 0, 3, 2]], np.float32)
    x, y, cover = box_channels(boxes, np.asarray([[1, 0, 4, 2]]), (2, 3))[0]
    # Samples lie at x 1.5, 2.5 and 3.5; the box's middle at 2.25, its half side is 0.75.
    third = pytest.approx(1 / 3)
    assert x.tolist() == [[-1, third, 1]] * 2
    assert y.tolist() == [[-0.5] * 3, [0.5] * 3]
    assert cover.tolist() == [[0.5, 1, 0]] * 2


def test_box_channels_of_a_crop_that_is_brought_to_another_shape():
    """A crop of 2 cells as 4 samples: a sample's own part is half a cell."""
    boxes = np.asarray([[5.25, 7, 7, 9], [5, 7.75, 7, 8.5]], np.float32)
    where = box_channels(boxes, np.asarray([[5, 7, 7, 9]] * 2), (4, 4))
    assert where.shape == (2, 3, 4, 4) and where.dtype == torch.float32
    assert where[0, 2].tolist() == [[0.5, 1, 1, 1]] * 4
    assert where[1, 2].tolist() == [[0] * 4, [0.5] * 4, [1] * 4, [0] * 4]


def test_a_box_without_extent_has_channels_too():
    boxes = np.asarray([[3, 4, 3, 4]], np.float32)
    where = box_channels(boxes, np.asarray([[3, 4, 4, 5]]), (2, 2))
    assert where.isfinite().all()
    assert where[0, 2].sum() == 0


def small(**changes):
    torch.manual_seed(0)
    spec = InstanceSpec(
        multiplier=0.25,
        input_size=64,
        branches=resizing([(4, 3), (2, 2), (1, 1)]),
        crop_blocks=(11, 5, 3),
    )
    return SsdIsb(dataclasses.replace(spec, **changes), num_classes=1).eval()


@torch.no_grad()
def logits_of(network, boxes):
    pictures = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    features = {b: f[0] for b, f in network(pictures).features.items()}
    return network.masks(features, torch.tensor(boxes)).logits


def test_two_boxes_in_the_same_cells_are_told_apart_by_the_channels_alone():
    boxes = [[1.0, 1, 20, 31], [12.0, 2, 31, 30]]  # both encompassed by the first 2x2 cells
    one, other = logits_of(small(), boxes)
    assert torch.equal(one, other)
    one, other = logits_of(small(box_channels=True), boxes)
    assert not torch.allclose(one, other)


def test_a_box_has_the_same_mask_alone_and_among_others():
    network = small(box_channels=True, shared=True)
    boxes = [[1.0, 1, 20, 31], [12.0, 2, 31, 30], [3.0, 3, 12, 12]]
    together = logits_of(network, boxes)
    for box, mask in zip(boxes, together, strict=True):
        assert torch.allclose(logits_of(network, [box])[0], mask, atol=1e-6)


def test_box_channels_add_a_depthwise_kernel_and_a_pointwise_row_each():
    plain, boxed = (small(box_channels=on) for on in (False, True))
    more = sum(p.numel() for p in boxed.parameters()) - sum(p.numel() for p in plain.parameters())
    assert more == 3 * 3 * (9 + 128)


def test_a_refined_branch_has_a_separable_layer_after_each_skip():
    plain, refined = (small(refine=on, shared=True) for on in (False, True))
    more = sum(p.numel() for p in refined.parameters()) - sum(p.numel() for p in plain.parameters())
    assert more == 2 * (9 * 32 + 32 * 32 + 32)
    assert [mask.shape for mask in logits_of(refined, [[1.0, 1, 20, 31]])] == [(1, 8, 8)]


def test_shared_branches_are_one():
    network = small(shared=True)
    assert len(network.branches) == 1
    assert network.head(0) is network.head(2)
    assert [network.mask_shape(i) for i in range(3)] == [(16, 12), (8, 8), (4, 4)]


def test_no_gradient_passes_the_crop_with_box_channels():
    network = small(box_channels=True)
    features = {b: f[0] for b, f in network(torch.zeros(1, 3, 64, 64)).features.items()}
    network.masks(features, torch.tensor([[1.0, 1, 20, 31]])).logits[0].sum().backward()
    assert all(p.grad is None for p in network.detector.parameters())
    assert network.head(1).pointwise.weight.grad is not None
