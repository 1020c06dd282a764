from pathlib import Path

import numpy as np

from encompass.geometry.boxes import iou
from encompass.studies.box_figures import HALF, cells_of
from encompass.studies.pair_figure import draw_pair, lay_pair

EXAMPLES = Path(__file__).parents[2] / "examples"
WEIGHTS = Path(__file__).parents[2] / "weights"


def test_the_two_share_half_of_their_cells_and_no_pixel():
    picture, people = lay_pair(EXAMPLES)
    boxes = [(m.x, m.y, m.x + m.pixels.shape[1], m.y + m.pixels.shape[0]) for m in people]
    cells = cells_of(np.asarray(boxes, dtype=np.float32), picture.shape[:2]).astype(np.float64)
    assert iou(cells[:1], cells[1:])[0, 0] >= HALF
    full = sum(mask.to_full(*picture.shape[:2]).astype(int) for mask in people)
    assert full.max() == 1


def test_each_row_has_a_line_of_panels():
    path = WEIGHTS / "encompass-s.safetensors"
    one, two = draw_pair(EXAMPLES, [path]), draw_pair(EXAMPLES, [path, path])
    assert one.width == two.width
    assert one.height < two.height < 2 * one.height
