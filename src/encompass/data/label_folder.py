"""A user's own semantic dataset: pictures, masks and a list of the classes.

    images/NAME.jpg   or .png
    masks/NAME.png    value k of a pixel (or palette index k) is class k of the list; or labels/
    classes.txt       one class a line, the first is value 0: NAME or NAME #RRGGBB
    classes.json      instead: a list of NAME or {"name": NAME, "colour": "#RRGGBB", "ignore": true}

A line whose name is "ignore" (in JSON also any entry with "ignore": true) gives a value that is
neither learnt nor scored and takes no label: the classes after it move up. Value 255 is always
ignored. The list may also lie one folder above, beside the folders of the splits.
"""

from __future__ import annotations

import json
import re
import reprlib
from os import PathLike
from pathlib import Path
from typing import Any

from encompass.data.labels import (
    IGNORE,
    MAX_CLASSES,
    Colour,
    LabelDataset,
    LabelTable,
    default_colours,
    pair_folders,
)
from encompass.errors import AnnotationError, UsageError

_LISTS = ("classes.txt", "classes.json")
_MASKS = ("masks", "labels")
_IGNORE_NAME = "ignore"
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")

# A name, its colour where one is given, and whether it is ignored.
_Entry = tuple[str, Colour | None, bool]


def find_classes(root: Path) -> Path | None:
    """The list of classes in the folder, else in the one above; None without a list."""
    candidates = (folder / name for folder in (root, root.absolute().parent) for name in _LISTS)
    return next((path for path in candidates if path.is_file()), None)


def find_masks(root: Path) -> Path | None:
    """The folder of masks in the folder; None without one."""
    return next((root / name for name in _MASKS if (root / name).is_dir()), None)


def is_label_folder(root: Path) -> bool:
    """Whether the folder has pictures, masks and a list of classes."""
    has_folders = (root / "images").is_dir() and find_masks(root) is not None
    return has_folders and find_classes(root) is not None


def load_label_folder(root: str | PathLike[str]) -> LabelDataset:
    """Read images/, masks/ (or labels/) and the list of classes.

    Raises:
        UsageError: the folder lacks one of the three.
        AnnotationError: the list is broken or a picture has no mask.
    """
    root = Path(root)
    classes, masks = find_classes(root), find_masks(root)
    if classes is None or masks is None or not is_label_folder(root):
        raise UsageError(
            f"{root} is not a folder of labels: it needs images/, masks/ and {' or '.join(_LISTS)}."
        )
    table, meaning = read_classes(classes)
    return LabelDataset(pair_folders(root / "images", masks, meaning), table, (masks,))


def read_classes(path: Path) -> tuple[LabelTable, dict[int, int]]:
    """A list of classes to their table and the label (or IGNORE) of each value of a mask.

    Raises AnnotationError, which names the line or entry.
    """
    entries = _read_json(path) if path.suffix == ".json" else _read_text(path)
    learnt = [(name, colour) for name, colour, ignored in entries if not ignored]
    names = tuple(name for name, _ in learnt)
    if not names:
        raise AnnotationError(path, "has no class; list at least one name.")
    if len(entries) > MAX_CLASSES:
        raise AnnotationError(
            path, f"has {len(entries)} entries; masks have room for {MAX_CLASSES}."
        )
    for name in names:
        if names.count(name) > 1:
            raise AnnotationError(path, f"name {name!r} occurs twice; give each class its own.")
    colours = default_colours(names)
    meaning = {IGNORE: IGNORE}
    label = 0
    for value, (_, _, ignored) in enumerate(entries):
        meaning[value] = IGNORE if ignored else label
        label += not ignored
    chosen = tuple(own or colour for (_, own), colour in zip(learnt, colours, strict=True))
    return LabelTable(names, chosen), meaning


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise AnnotationError(path, f"cannot be read ({error}); give a UTF-8 text.") from error


def _read_text(path: Path) -> list[_Entry]:
    entries: list[_Entry] = []
    for number, line in enumerate(_read(path).rstrip().splitlines(), start=1):
        name, colour = line.strip(), None
        head, _, last = name.rpartition(" ")
        if _COLOUR.fullmatch(last):
            name, colour = head.strip(), _parse_colour(last)
        if not name:
            raise AnnotationError(
                path, f"line {number} has no name; each line is a class, the first is value 0."
            )
        entries.append((name, colour, name == _IGNORE_NAME))
    return entries


def _read_json(path: Path) -> list[_Entry]:
    text = _read(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AnnotationError(path, f"is not JSON ({error}); give a list of classes.") from error
    if not isinstance(content, list):
        raise AnnotationError(path, "is not a list; give one name or object for each class.")
    return [_json_entry(path, position, entry) for position, entry in enumerate(content)]


def _json_entry(path: Path, position: int, entry: Any) -> _Entry:
    record = {"name": entry} if isinstance(entry, str) else entry
    where = f"entry {position}"
    if not isinstance(record, dict) or not record.keys() <= {"name", "colour", "ignore"}:
        raise AnnotationError(
            path,
            f"{where} is {reprlib.repr(entry)}; give a name or an object of name, colour, ignore.",
        )
    name, colour, ignored = record.get("name"), record.get("colour"), record.get("ignore", False)
    if not isinstance(name, str) or not name.strip():
        raise AnnotationError(path, f"{where}: name {reprlib.repr(name)} is not a text.")
    if colour is not None and not (isinstance(colour, str) and _COLOUR.fullmatch(colour)):
        raise AnnotationError(path, f"{where}: colour {reprlib.repr(colour)} is not '#RRGGBB'.")
    if not isinstance(ignored, bool):
        raise AnnotationError(
            path, f"{where}: ignore {reprlib.repr(ignored)} is not true or false."
        )
    name = name.strip()
    chosen = None if colour is None else _parse_colour(colour)
    return name, chosen, ignored or name == _IGNORE_NAME


def _parse_colour(text: str) -> Colour:
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue
