"""Files written whole or not at all, and known by their hash."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

from encompass.errors import EncompassError, UsageError


@contextmanager
def replacing(path: str | PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` once it is whole and on the disk.

    The folder is made where it is missing. After a fault, whatever stood at `path` still does.
    Raises EncompassError when the disk refuses.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
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


@contextmanager
def new_folder(path: str | PathLike[str]) -> Iterator[Path]:
    """A folder to write into that becomes `path` once the block is through.

    After a fault nothing is left. Raises UsageError when `path` is there and not an empty folder,
    EncompassError when the disk refuses.
    """
    import shutil  # only here: predicting does without

    path = Path(os.path.abspath(path))
    if os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir())):
        raise UsageError(f"{path} is there already; give the name of a new folder.")
    unfinished = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        os.replace(unfinished, path)
    except OSError as error:
        raise EncompassError(f"{path}: cannot be written ({error}).") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_json(path: str | PathLike[str], value: Any) -> None:
    """Plain data as JSON, by `replacing`."""
    with replacing(path) as file:
        file.write((json.dumps(value, indent=2) + "\n").encode())


def sha256(path: str | PathLike[str]) -> str:
    """Of a file's bytes, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_data(path: Path, split: str | None = None) -> str:
    """A dataset's path as records name it: its last two parts, wherever the command ran."""
    path = path.absolute()
    return f"{path.parent.name}/{path.name}" + (f" {split}" if split else "")
