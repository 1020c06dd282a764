"""Sizes of pictures and numbers of tiles as options have them, height first as in tensors."""

from __future__ import annotations

import re

from encompass.errors import UsageError


def parse_size(text: str) -> tuple[int, int]:
    """HEIGHTxWIDTH in pixels, such as 480x640, as (height, width). Raises UsageError."""
    return _parse(
        text,
        f"--size {text}: write HEIGHTxWIDTH in pixels, such as 480x640 for a picture that is "
        "640 wide.",
    )


def parse_tiles(text: str) -> tuple[int, int]:
    """ROWSxCOLUMNS, such as 2x3, as (rows, columns). Raises UsageError."""
    return _parse(text, f"--tiles {text}: write ROWSxCOLUMNS, such as 2x3.")


def _parse(text: str, fault: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text, re.ASCII | re.IGNORECASE)
    if found is None:
        raise UsageError(fault)
    return int(found[1]), int(found[2])
