"""Every error a user can meet. The message names the thing, the value and the way out.

    EncompassError (ValueError)
    |-- UsageError         an option, name or setting is wrong              (exit code 2)
    |-- BadData            a file is missing, broken or not what it claims  (exit code 3)
    |   |-- ImageError       a picture
    |   |-- VideoError       a video or a camera
    |   `-- AnnotationError  a dataset file
    |-- ModelError         a model file is missing, broken or of another kind (exit code 1)
    |-- ParityError        an exported file disagrees with its network      (exit code 1)
    `-- Diverged           training met a loss that is not finite           (exit code 1)

Our own broken invariants are `assert`, never one of these.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from os import PathLike


class EncompassError(ValueError):
    """Base of all errors raised on purpose; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(EncompassError):
    """The caller asked for something that does not exist or cannot be combined."""

    exit_code = 2


class BadData(EncompassError):
    """An input file is not usable; `path` names it."""

    exit_code = 3

    def __init__(self, path: str | PathLike[str], reason: str = "") -> None:
        # A data loader's worker hands errors on as one text, which then is `path` and has it all.
        super().__init__(f"{path}: {reason}" if reason else str(path))
        self.path = str(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.path, self.reason)


class ImageError(BadData):
    """A picture is missing, empty, truncated, too large or not a picture."""


class VideoError(BadData):
    """A video is missing, broken or not a video, or a camera gives no pictures."""


class AnnotationError(BadData):
    """A dataset file breaks the COCO format; the reason names the record's id."""


class ModelError(EncompassError):
    """A model file cannot be used."""


class ParityError(EncompassError):
    """An exported model does not compute what its network computes."""


class Diverged(EncompassError):
    """A loss became NaN or infinite."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest of the known names as a sentence to put after another, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
