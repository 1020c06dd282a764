"""Files written whole or not at all, and known by their hash."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from encompass.errors import EncompassError


@contextmanager
def replacing(path: str | PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` once it is whole and on the disk.

    The folder is made where it is missing. After a fault, whatever stood at `path` still does.
    Raises EncompassError when the disk refuses.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        raise EncompassError(f"{path}: cannot be written ({error}).") from error
    finally:
        with suppress(OSError):  # of a name or folder that was refused above
            unfinished.unlink(missing_ok=True)


def sha256(path: str | PathLike[str]) -> str:
    """Of a file's bytes, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
