"""What `encompass predict` calls pictures and the files that it writes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path


def image_ids(paths: Sequence[Path]) -> list[int]:
    """A different number for each file: its stem where that is one, as COCO names its pictures.

    Otherwise the position, counted from 1, or the next number that is free.
    """
    owner: dict[int, Path] = {}
    for path in paths:
        if path.stem.isascii() and path.stem.isdecimal():
            owner.setdefault(int(path.stem), path)
    numbered = {path: number for number, path in owner.items()}
    for position, path in enumerate(paths, start=1):
        if path not in numbered:
            numbered[path] = next(n for n in count(position) if n not in owner)
            owner[numbered[path]] = path
    return [numbered[path] for path in paths]


def file_names(paths: Sequence[Path]) -> list[str]:
    """Each path from the folder that holds all of them: for one folder, the plain names."""
    full = [path.absolute() for path in paths]
    folder = os.path.commonpath([path.parent for path in full])
    return [path.relative_to(folder).as_posix() for path in full]


def overlay_paths(paths: Sequence[Path], out: Path) -> list[Path]:
    """OUT/STEM.jpg for each file, numbered where it would replace another or a picture given."""
    return _output_paths(paths, out, ".jpg")


def mask_paths(paths: Sequence[Path], out: Path) -> list[Path]:
    """OUT/labels/STEM.png for each file, numbered likewise."""
    return _output_paths(paths, out / "labels", ".png")


def video_paths(paths: Sequence[Path], out: Path) -> list[Path]:
    """OUT/STEM.mp4 for each video, numbered likewise."""
    return _output_paths(paths, out, ".mp4")


def _output_paths(paths: Sequence[Path], folder: Path, suffix: str) -> list[Path]:
    taken = {place(path) for path in paths}
    chosen = []
    for path in paths:
        chosen.append(free(path, folder, suffix, taken))
        taken.add(place(chosen[-1]))
    return chosen


def free(path: Path, out: Path, suffix: str, taken: set[str]) -> Path:
    """OUT/STEM.suffix, or the first of OUT/STEM-2.suffix, ... whose place is not taken."""
    numbered = (out / f"{path.stem}-{n}{suffix}" for n in count(2))
    names = chain([out / f"{path.stem}{suffix}"], numbered)
    return next(name for name in names if place(name) not in taken)


def place(path: Path) -> str:
    """The same for all spellings of a path, also where upper and lower case are one."""
    return str(path.resolve()).casefold()
