"""A size of picture as options have it, height first as in tensors, crops and shapes."""

from __future__ import annotations

import re

from encompass.errors import UsageError


def parse_size(text: str) -> tuple[int, int]:
    """HEIGHTxWIDTH in pixels, such as 480x640, as (height, width). Raises UsageError."""
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text, re.ASCII | re.IGNORECASE)
    if found is None:
        raise UsageError(
            f"--size {text}: write HEIGHTxWIDTH in pixels, such as 480x640 for a picture that is "
            "640 wide."
        )
    return int(found[1]), int(found[2])
