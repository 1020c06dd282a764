"""Sizes of pictures and numbers of tiles, as options have them."""

import pytest

from encompass.cli._size import parse_size, parse_tiles
from encompass.errors import UsageError


@pytest.mark.parametrize("text", ["480x640", "480X640"])
def test_the_height_comes_first(text):
    assert parse_size(text) == (480, 640)


@pytest.mark.parametrize(
    "text", ["480", "0x64", "64x", "x64", "-1x64", "64x64x3", "64 x 64", "٣x4"]
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(UsageError, match=f"--size {text}: write HEIGHTxWIDTH in pixels, such as"):
        parse_size(text)


def test_rows_of_tiles_come_first():
    assert parse_tiles("2x3") == (2, 3)
    with pytest.raises(UsageError, match="--tiles 0x3: write ROWSxCOLUMNS, such as 2x3"):
        parse_tiles("0x3")
