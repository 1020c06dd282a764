import numpy as np
import pytest

from encompass.geometry.grid import (
    encompassing_cells,
    encompassing_shapes,
    route,
    route_by_aspect,
)
from encompass.geometry.resize import Stretch
from encompass.models.zoo import TEN_SHAPES

SHAPES = ((4, 4), (4, 2), (2, 2), (1, 1))
THESIS = ((15, 10), (9, 4), (7, 3), (6, 3), (5, 2), (4, 2), (3, 2), (2, 2), (2, 1), (1, 1))


def cells(*box, stride=10, grid=(6, 8)):
    return encompassing_cells(np.asarray([box], np.float32), stride=stride, grid=grid)[0].tolist()


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((10, 20, 30, 40), [1, 2, 3, 4]),  # on the lines: nothing is added
        ((10.5, 20.5, 29.5, 39.5), [1, 2, 3, 4]),  # within the same cells
        ((9.9, 19.9, 30.1, 40.1), [0, 1, 4, 5]),  # just over each line
        ((-15, -15, 200, 200), [0, 0, 8, 6]),  # cut to the map
        ((12, 12, 12, 12), [1, 1, 2, 2]),  # a point still needs a cell
        ((20, 20, 20, 20), [2, 2, 3, 3]),
        ((80, 60, 80, 60), [7, 5, 8, 6]),  # on the far corner
        ((500, 500, 600, 600), [7, 5, 8, 6]),  # past it
        ((-90, -90, -80, -80), [0, 0, 1, 1]),
    ],
)
def test_cells_by_hand(box, expected):
    assert cells(*box) == expected


def test_cells_encompass_every_box_inside_the_map():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 40, (200, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.1, 20, (200, 2))], axis=1)
    found = encompassing_cells(boxes, stride=10, grid=(6, 8)) * 10
    assert (found[:, :2] <= boxes[:, :2]).all()
    assert (found[:, 2:] >= boxes[:, 2:]).all()
    assert (found[:, 2:] - found[:, :2] < boxes[:, 2:] - boxes[:, :2] + 20).all()


def test_no_boxes_give_no_cells_and_no_branches():
    none = encompassing_cells(np.zeros((0, 4), np.float32), stride=10, grid=(6, 8))
    assert none.shape == (0, 4)
    assert route(none, SHAPES).shape == (0,)


@pytest.mark.parametrize(
    ("width", "height", "branch"),
    [
        (1, 1, 3),
        (2, 1, 2),
        (2, 2, 2),
        (2, 3, 1),  # (4, 2) holds it and is smaller than (4, 4)
        (3, 2, 0),  # (4, 2) is high, not wide
        (4, 4, 0),
        (8, 6, 0),  # no shape holds it: the largest
    ],
)
def test_route_by_hand(width, height, branch):
    assert route(np.asarray([[3, 1, 3 + width, 1 + height]]), SHAPES).tolist() == [branch]


@pytest.mark.parametrize(
    ("size", "branch"),  # (height, width) of the box
    [
        ((15, 10), 0),
        ((10, 3), 0),
        ((9, 4), 1),
        ((8, 2), 1),
        ((7, 1), 2),
        ((6, 3), 3),
        ((5, 3), 3),
        ((5, 1), 4),
        ((4, 2), 5),
        ((1, 2), 7),
        ((1, 3), 3),
        ((2, 1), 8),
        ((1, 1), 9),
        ((16, 2), 0),  # no shape holds these two
        ((3, 11), 0),
    ],
)
def test_the_thesis_routes_to_its_ten_shapes(size, branch):
    height, width = size
    assert route(np.asarray([[4, 2, 4 + width, 2 + height]]), THESIS).tolist() == [branch]


def test_the_zoo_has_the_thesis_shapes():
    assert TEN_SHAPES == THESIS


def test_route_finds_the_largest_wherever_it_stands():
    assert route(np.asarray([[0, 0, 9, 9]]), ((1, 1), (4, 2), (4, 4))).tolist() == [2]


def test_shapes_are_those_of_the_stretched_picture():
    # 20 cells each way: 5 pixels high and 10 wide.
    boxes = np.asarray([[0, 0, 10, 5], [9, 4, 11, 6], [0, 0, 200, 100]], np.float32)
    shapes = encompassing_shapes(boxes, Stretch((100, 200), (640, 640)), stride=32)
    assert shapes.tolist() == [[1, 1], [2, 2], [20, 20]]


def cells_of(*shapes):
    """Encompassing boxes of the given (height, width), all from the first cell."""
    return np.asarray([[0, 0, w, h] for h, w in shapes])


def test_exact_branches_take_their_shape_alone():
    shapes = [(3, 2), (2, 2)]
    cells = cells_of((3, 2), (2, 2), (1, 1), (2, 1), (4, 4))
    assert route(cells, shapes, exact=[True, True]).tolist() == [0, 1, -1, -1, -1]


def test_beside_exact_branches_a_resizing_one_takes_the_rest():
    shapes = [(3, 2), (14, 14), (2, 2)]
    cells = cells_of((3, 2), (2, 2), (1, 1), (5, 9), (15, 3))
    assert route(cells, shapes, exact=[True, False, True]).tolist() == [0, 2, 1, 1, 1]


def test_an_exact_shape_goes_before_a_resizing_one_of_the_same_shape():
    cells = cells_of((2, 2), (2, 1))
    assert route(cells, [(2, 2), (2, 2)], exact=[False, True]).tolist() == [1, 0]


def test_boxes_that_are_not_whole_cells_are_routed_by_what_holds_them():
    cells = np.asarray([[0.5, 0.5, 2.25, 1.75], [0, 0, 2.5, 1]], np.float32)
    assert route(cells, [(2, 2), (3, 3)]).tolist() == [0, 1]


def test_by_aspect_a_box_goes_to_the_shape_most_like_it():
    shapes = [(8, 14), (10, 10), (14, 7)]
    # 1x2, 3x3, 20x12 (nearer to 2:1 than to 1:1 by logarithm), 1x9, 2x1 in height x width.
    cells = np.asarray(
        [[0, 0, 2, 1], [4, 4, 7, 7], [0, 0, 12, 20], [0, 0, 9, 1], [5, 5, 6, 7]], np.int64
    )
    assert route_by_aspect(cells, shapes).tolist() == [0, 1, 2, 0, 2]
    # 1.2 x 1.1 cells touch two by two.
    assert route_by_aspect(np.asarray([[0, 0, 1.1, 1.2]]), shapes).tolist() == [1]
