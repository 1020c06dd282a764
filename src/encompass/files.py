"""Writing files whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from encompass.errors import EncompassError


@contextmanager
def replacing(path: str | PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` once it is whole and on the disk.

    After a fault, whatever stood at `path` still does. Raises EncompassError when the disk refuses.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        raise EncompassError(f"{path}: cannot be written ({error}).") from error
    finally:
        unfinished.unlink(missing_ok=True)
