"""Measures of a list of shapes worked by hand, and proposals against all lists there are."""

from itertools import combinations
from math import log

import numpy as np
import pytest

from encompass.data.classes import ClassTable
from encompass.data.instances import Annotation, Dataset, Sample
from encompass.data.shapes import (
    BranchWidths,
    ShapeHistogram,
    branch_multiply_adds,
    count_shapes,
    format_row,
    measure_multiply_add,
    propose_shapes,
    report_shapes,
)
from encompass.errors import AnnotationError, UsageError

WIDTHS = BranchWidths(channels=(2,), depth=3, skip_depth=1, num_classes=1)  # 27 a cell
CELL = branch_multiply_adds((1, 1), WIDTHS)


def histogram(counts, num_images=1):
    shapes = sorted(counts)
    return ShapeHistogram(np.asarray(shapes), np.asarray([counts[s] for s in shapes]), num_images)


def drawn_histogram(seed, num_shapes=12):
    rng = np.random.default_rng(seed)
    shapes = {tuple(s) for s in rng.integers(1, 6, (num_shapes, 2)).tolist()}
    return histogram({shape: int(rng.integers(1, 50)) for shape in shapes}, num_images=10)


def reports_of_all(counted, num_shapes, coverage):
    """Those of every list of candidates that holds so many objects."""
    heights, widths = np.unique(counted.shapes[:, 0]), np.unique(counted.shapes[:, 1])
    candidates = [(int(h), int(w)) for h in heights for w in widths]
    candidates.sort(key=lambda s: (-s[0] * s[1], -s[0]))
    reports = [report_shapes(counted, c, WIDTHS) for c in combinations(candidates, num_shapes)]
    return [r for r in reports if r.coverage >= coverage - 1e-9]


def test_multiply_adds_worked_by_hand():
    # Two cells of 4 channels: 9 * 4 and 4 * 5 each. The transposed convolution: 16 * 5 * 3 each.
    # Eight cells of the skip's 6 channels to 3, and of 3 to 2 classes.
    widths = BranchWidths(channels=(4, 6), depth=5, skip_depth=3, num_classes=2)
    assert branch_multiply_adds((2, 1), widths) == 2 * (36 + 20 + 240) + 8 * (18 + 6)


@pytest.mark.parametrize("blocks", [(1024, 512, 256), (384, 192), (768,)])
@pytest.mark.parametrize("shape", [(15, 10), (2, 1)])
def test_multiply_adds_are_those_of_the_branch(blocks, shape):
    torch = pytest.importorskip("torch", reason="the branch is a torch module")
    from torch.utils.flop_counter import FlopCounterMode

    from encompass.models.branches import DEPTH, SKIP_DEPTH, Branch

    crops = [torch.zeros(1, c, shape[0] * 2**i, shape[1] * 2**i) for i, c in enumerate(blocks)]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        Branch(blocks, num_classes=3)(crops)
    widths = BranchWidths(channels=blocks, depth=DEPTH, skip_depth=SKIP_DEPTH, num_classes=3)
    assert branch_multiply_adds(shape, widths) * 2 == counter.get_total_flops()


def test_a_multiply_add_takes_time():
    assert 0 < measure_multiply_add(runs=3) < 1e-6


def sample(image_id, *boxes, crowd=False):
    annotations = tuple(Annotation(0, box, 1.0, crowd, None) for box in boxes)
    return Sample(None, image_id, 64, 64, annotations)


def test_objects_are_counted_and_crowd_regions_are_not():
    samples = (
        sample(1, (0, 0, 32, 64), (0, 0, 8, 8)),
        sample(2, (1, 2, 3, 40)),
        sample(3),
        sample(4, (0, 0, 64, 64), crowd=True),
    )
    table = ClassTable(("person",), (1,))
    counted = count_shapes(Dataset(samples, table, ("a.json",)), input_size=64, stride=32)
    assert counted.shapes.tolist() == [[1, 1], [2, 1]]
    assert counted.counts.tolist() == [1, 2]
    assert counted.num_images == 4
    with pytest.raises(AnnotationError, match=r"a\.json: has no objects"):
        count_shapes(Dataset(samples[2:], table, ("a.json",)), input_size=64, stride=32)


def test_measures_worked_by_hand():
    # (1, 1) is exact, (2, 1) is stretched to (2, 2), (8, 2) is shrunk to (4, 4) and widened.
    counted = histogram({(1, 1): 5, (2, 1): 3, (8, 2): 2}, num_images=4)
    report = report_shapes(counted, [(4, 4), (2, 2), (1, 1)], WIDTHS)
    assert report.objects_per_image == (0.5, 0.75, 1.25)
    assert report.coverage == pytest.approx(0.8)
    assert report.exact == pytest.approx(0.5)
    assert report.distortion == pytest.approx((3 * log(2) + 2 * (log(2) + log(2))) / 10)
    assert report.multiply_adds == pytest.approx(CELL * (16 * 0.5 + 4 * 0.75 + 1.25))


def test_enough_branches_are_exact():
    counted = drawn_histogram(0)
    proposal = propose_shapes(counted, 20, WIDTHS, coverage=1)
    assert sorted(proposal) == [tuple(s) for s in counted.shapes.tolist()]
    assert report_shapes(counted, proposal, WIDTHS).distortion == 0


def test_one_branch_that_holds_all_is_the_elementwise_maximum():
    counted = histogram({(5, 1): 9, (1, 3): 9, (2, 2): 90})
    assert propose_shapes(counted, 1, WIDTHS, coverage=1) == ((5, 3),)


def test_without_coverage_one_branch_is_the_most_frequent_shape():
    counted = histogram({(5, 1): 9, (1, 3): 9, (2, 2): 90})
    assert propose_shapes(counted, 1, WIDTHS, coverage=0) == ((2, 2),)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("coverage", [1, 0.8, 0])
def test_a_proposal_is_nearly_the_best_of_all_lists(seed, coverage):
    counted = drawn_histogram(seed)
    proposal = propose_shapes(counted, 3, WIDTHS, coverage=coverage)
    report = report_shapes(counted, proposal, WIDTHS)
    best = min(r.distortion for r in reports_of_all(counted, 3, coverage))
    assert report.coverage >= coverage - 1e-9
    assert best - 1e-9 <= report.distortion <= 1.05 * best


@pytest.mark.parametrize("seed", range(4))
def test_a_budget_is_kept_at_nearly_the_least_distortion(seed):
    counted = drawn_histogram(seed)
    every = reports_of_all(counted, 3, 0.7)
    least = min(r.multiply_adds for r in every)
    budget = (least + min(every, key=lambda r: r.distortion).multiply_adds) / 2
    proposal = propose_shapes(counted, 3, WIDTHS, coverage=0.7, budget=budget)
    report = report_shapes(counted, proposal, WIDTHS)
    assert report.coverage >= 0.7
    assert report.multiply_adds <= budget
    assert report.distortion <= 1.05 * min(r.distortion for r in every if r.multiply_adds <= budget)


def test_a_budget_that_cannot_be_kept_is_refused():
    counted = drawn_histogram(1)
    least = CELL * (counted.shapes.prod(axis=1) @ counted.counts) / counted.num_images
    with pytest.raises(UsageError, match=r"nearest holds .* of it\. Raise the budget"):
        propose_shapes(counted, 3, WIDTHS, coverage=1, budget=0.9 * least)


def test_proposals_are_ordered_by_area_and_differ():
    for seed in range(5):
        proposal = propose_shapes(drawn_histogram(seed, 30), 6, WIDTHS, coverage=0.9)
        assert list(proposal) == sorted(set(proposal), key=lambda s: (-s[0] * s[1], -s[0]))


def test_the_text_of_a_row_file():
    settings = {"multiplier": 1.0, "input_size": 640, "crop_blocks": (13, 11, 5), "flag": True}
    assert format_row("mine", [(15, 10), (1, 1)], settings, max_boxes=30) == (
        'name = "mine"\n'
        "multiplier = 1.0\n"
        "input_size = 640\n"
        "crop_blocks = [13, 11, 5]\n"
        "flag = true\n"
        "\n"
        "[[branches]]\n"
        "shape = [15, 10]  # height, width in cells of the coarse map\n"
        "max_boxes = 30\n"
        "\n"
        "[[branches]]\n"
        "shape = [1, 1]  # height, width in cells of the coarse map\n"
        "max_boxes = 30\n"
    )
