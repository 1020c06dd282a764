"""Which models there are: each has a card in the bundle, and mostly its ONNX file as well.

Imports no numpy before a card is read: the help of the verbs needs the default's name alone.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from encompass.errors import ModelError, UsageError, did_you_mean
from encompass.run.engine import SUFFIXES

if TYPE_CHECKING:
    from encompass.schema import ModelCard

BUNDLE = Path(__file__).parent.parent / "bundle"
DEFAULT_MODEL = "encompass-s"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A model of the catalogue."""

    card: ModelCard
    path: Path  # where its ONNX file is, or would be
    sha256: str  # of the file, hexadecimal
    size_bytes: int  # of the file

    @property
    def bundled(self) -> bool:
        """Whether this installation has the file."""
        return self.path.is_file()


def entries() -> dict[str, Entry]:
    """All models by name, sorted. Raises ModelError for a card that cannot be read."""
    return {path.stem: _read_entry(path) for path in sorted(BUNDLE.glob("*.json"))}


def find_model(name_or_path: str | PathLike[str]) -> Path:
    """A model's name, or the path of an exported file, to the file.

    Raises UsageError for an unknown name, with the nearest; ModelError when the file is not there.
    """
    if _is_path(name_or_path):
        path = Path(name_or_path)
        if os.path.isdir(path):  # False, too, for a name that no file can have
            raise ModelError(f"{path}: is a folder; give the path of one exported file.")
        if not os.path.exists(path):
            raise ModelError(f"{path}: no such file; check the path, or give a name: {_known()}.")
        return path

    known = entries()
    if entry := known.get(str(name_or_path)):
        if not entry.bundled:
            raise ModelError(
                f"{entry.path}: the file of the model {name_or_path!r} is not here; "
                "reinstall encompass, or make the file with `encompass export`."
            )
        return entry.path
    hint = did_you_mean(str(name_or_path), known)
    raise UsageError(
        f"No model is called {str(name_or_path)!r}.{hint} Known: {_known()}; "
        f"or give the path of a file that ends in {', '.join(SUFFIXES)}."
    )


def _is_path(name_or_path: str | PathLike[str]) -> bool:
    """Names have neither a folder nor the suffix; a Path is always a path."""
    if not isinstance(name_or_path, str):
        return True
    folders = os.sep in name_or_path or "/" in name_or_path
    return folders or name_or_path.endswith(SUFFIXES)


def _known() -> str:
    return ", ".join(entries()) or "none is bundled"


def _read_entry(path: Path) -> Entry:
    from encompass.schema import ModelCard

    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return Entry(
            card=ModelCard.from_metadata({key: json.dumps(record[key]) for key in record}),
            path=path.with_suffix(".onnx"),
            sha256=record["sha256"],
            size_bytes=record["size_bytes"],
        )
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ModelError(
            f"{path}: is not a model card ({error!r}); reinstall encompass."
        ) from error
