"""Panels side by side, and what is drawn on them."""

import numpy as np
from PIL import Image

from encompass.schema import BoxMask
from encompass.studies.panels import (
    GREEN,
    draw_boxes,
    draw_grid,
    side_by_side,
    tint,
    with_legend,
)


def test_a_box_beyond_the_picture_shows_its_edge():
    image = Image.new("RGB", (50, 40), "white")
    draw_boxes(image, np.asarray([[-5.0, 10, 99, 99]]), GREEN)
    pixels = np.asarray(image)
    assert tuple(pixels[20, 0]) == tuple(pixels[20, 49]) == tuple(pixels[39, 20]) == GREEN
    assert tuple(pixels[20, 20]) == (255, 255, 255)


def test_a_mask_is_tinted_and_nothing_else():
    image = Image.new("RGB", (10, 10), "black")
    tint(image, BoxMask(2, 3, np.ones((2, 4), bool)), GREEN)
    coloured = np.asarray(image).any(axis=2)
    assert coloured.sum() == 8
    assert coloured[3:5, 2:6].all()
    tint(image, BoxMask(0, 0, np.ones((0, 0), bool)), GREEN)


def test_grid_lines_lie_between_cells():
    image = Image.new("RGB", (40, 20), "black")
    draw_grid(image, (2, 4), (255, 255, 255))
    rows, columns = np.asarray(image)[5, :, 0] > 0, np.asarray(image)[:, 5, 0] > 0
    assert np.flatnonzero(rows).tolist() == [10, 20, 30]
    assert np.flatnonzero(columns).tolist() == [10]


def test_panels_have_one_height_and_room_for_their_text():
    wide, high = Image.new("RGB", (200, 100)), Image.new("RGB", (50, 100))
    sheet = side_by_side([[(wide, "a few words"), (high, "")], [(high, "")]], height=50)
    assert sheet.width == 100 + 25 + 3 * 8
    assert sheet.height == (50 + 4 + 17) + (50 + 4) + 3 * 8


def test_a_legend_has_each_colour_below_the_sheet_in_as_many_lines_as_it_needs():
    colours = {"road": (10, 20, 30), "pavement": (40, 50, 60), "sky": (70, 80, 90)}
    sheet = Image.new("RGB", (120, 50), "white")
    narrow, wide = with_legend(sheet, colours), with_legend(sheet.resize((400, 50)), colours)
    assert narrow.width == 120
    assert wide.height == 50 + 13 + 8
    assert narrow.height > wide.height
    for drawn in (narrow, wide):
        shown = {tuple(pixel) for pixel in np.asarray(drawn)[50:].reshape(-1, 3)}
        assert {*colours.values()} <= shown
        assert tuple(np.asarray(drawn)[56, 12]) == colours["road"]
