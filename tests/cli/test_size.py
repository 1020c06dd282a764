"""Sizes of pictures, as options have them."""

import pytest

from encompass.cli._size import parse_size
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
