"""Results of a study as files, one for each training: what is there is not made again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def is_made_from(path: Path, facts: Mapping[str, Any]) -> bool:
    """Whether a result is there and says of itself that it was made from these."""
    if not path.exists():
        return False
    before = json.loads(path.read_text())
    return {key: before.get(key) for key in facts} == json.loads(json.dumps(facts))
