"""Results of a study as files, one for each training: what is there is not made again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from encompass.files import replacing


def is_made_from(path: Path, facts: Mapping[str, Any]) -> bool:
    """Whether a result is there and says of itself that it was made from these."""
    if not path.exists():
        return False
    before = json.loads(path.read_text())
    return {key: before.get(key) for key in facts} == json.loads(json.dumps(facts))


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Write a result, which holds the facts of `is_made_from`: whole, or not at all."""
    with replacing(path) as file:
        file.write((json.dumps(result, indent=1) + "\n").encode())
