"""COCO instance annotations, validated before any C code sees them.

A file is either read whole or refused with the record and the value at fault: native mask code
trusts its input, so a hostile outline or run-length code would end the process or exhaust the
machine. What real COCO contains is accepted: outlines a little outside the picture, tiny parts,
missing masks. A box of zero width or height, which can be neither learnt nor found, is left out
with its annotation. Crowd regions (iscrowd=1) are never objects; they are kept as regions to
ignore.
"""

from __future__ import annotations

import json
import os
import re
import reprlib
import unicodedata
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from encompass.data.classes import ClassTable, check_names
from encompass.data.instances import Annotation, Dataset, Sample
from encompass.errors import AnnotationError
from encompass.geometry.masks import rle_decode
from encompass.pictures import MAX_PIXELS

# For each picture: polygon corners and runs, and the length of all outlines in pixels. The
# rasteriser takes memory by the pixel of outline: three far corners, repeated, would exhaust it.
MAX_POINTS = 1_000_000
MAX_OUTLINE = 1_000_000

# Groups of five bits: up to five with more to come (P..o), then a last one (0..O). That holds runs
# up to 2^29 and leaves no room for numbers whose mere length takes minutes.
_RLE_TEXT = re.compile(r"(?:[P-o]{0,5}[0-O])*")


def load_coco(
    annotations: str | PathLike[str],
    images: str | PathLike[str],
    *,
    categories: Sequence[str] | None = None,
) -> Dataset:
    """Read a COCO instances file. Samples come in the order of their image ids.

    Annotations whose box has zero width or height are left out.

    Args:
        annotations: the JSON file.
        images: the folder that `file_name` is relative to.
        categories: names of the classes to keep; all in the file when None.

    Raises:
        AnnotationError: the file is missing or breaks the format; names the record and the value.
        UsageError: a name in `categories` is not in the file.
    """
    reader = _Reader(Path(annotations), Path(images))
    return reader.read(reader.parse(), categories)


def load_records(
    annotations: str | PathLike[str], *, categories: Sequence[str] | None = None
) -> dict[str, Any]:
    """The content of a COCO instances file as it stands, once `load_coco` would accept all of it.

    Raises what `load_coco` raises.
    """
    path = Path(annotations)
    reader = _Reader(path, path.parent / "images")
    content = reader.parse()
    reader.read(content, categories)
    return content


class _Reader:
    """Reads one file; every refusal names the file, the record and the value."""

    def __init__(self, path: Path, images: Path) -> None:
        self.path = path
        self.images = images
        self.root = os.path.realpath(images)

    def refuse(self, where: str, reason: str) -> AnnotationError:
        return AnnotationError(self.path, f"{where}: {reason}")

    def read(self, content: dict[str, list], categories: Sequence[str] | None) -> Dataset:
        names = self.categories(content["categories"])
        classes = self.choose(names, categories)
        pictures = self.pictures(content["images"])
        found = self.annotations(content["annotations"], names, classes, pictures)
        samples = tuple(
            Sample(path, image_id, height, width, tuple(found[image_id]))
            for image_id, (path, height, width) in sorted(pictures.items())
        )
        return Dataset(samples, classes, (self.path,))

    def parse(self) -> dict[str, list]:
        try:
            content = json.loads(self.path.read_bytes())
        except FileNotFoundError as error:
            raise AnnotationError(self.path, "no such file; check the path.") from error
        except OSError as error:
            raise AnnotationError(
                self.path, f"cannot be read ({error.strerror}); give the path of a JSON file."
            ) from error
        except (ValueError, RecursionError) as error:  # of JSON, of UTF-8, of nesting
            raise AnnotationError(
                self.path, f"is not JSON ({error}); give a COCO instances file."
            ) from error
        if not isinstance(content, dict):
            raise AnnotationError(self.path, "is not a JSON object; give a COCO instances file.")
        for key in ("images", "annotations", "categories"):
            if not isinstance(content.get(key), list):
                raise AnnotationError(
                    self.path, f"has no list {key!r}; give a COCO instances file."
                )
        return content

    def categories(self, records: list) -> dict[int, str]:
        names: dict[int, str] = {}
        for index, record in enumerate(records):
            where, category = self.identify("categories", index, record, names)
            name = record.get("name")
            if not isinstance(name, str) or not name:
                raise self.refuse(where, f"name {reprlib.repr(name)} is not a text.")
            if name in names.values():
                raise self.refuse(where, f"name {name!r} occurs twice; merge the two categories.")
            names[category] = name
        return dict(sorted(names.items()))

    def choose(self, names: dict[int, str], wanted: Sequence[str] | None) -> ClassTable:
        check_names(self.path, wanted or (), tuple(names.values()))
        kept = {i: name for i, name in names.items() if wanted is None or name in wanted}
        return ClassTable(names=tuple(kept.values()), category_ids=tuple(kept))

    def pictures(self, records: list) -> dict[int, tuple[Path, int, int]]:
        pictures: dict[int, tuple[Path, int, int]] = {}
        for index, record in enumerate(records):
            where, image_id = self.identify("images", index, record, pictures)
            height, width = record.get("height"), record.get("width")
            for key, side in (("height", height), ("width", width)):
                if type(side) is not int or side < 1:
                    raise self.refuse(
                        where, f"{key} {reprlib.repr(side)} is not a positive integer."
                    )
            if height * width > MAX_PIXELS:
                raise self.refuse(
                    where, f"{width} x {height} is over {MAX_PIXELS} pixels; shrink the picture."
                )
            pictures[image_id] = self.locate(where, record.get("file_name")), height, width
        return pictures

    def locate(self, where: str, name: Any) -> Path:
        """The picture's path, refused when it could lead out of the folder of pictures."""
        if not isinstance(name, str) or not name:
            raise self.refuse(where, f"file_name {reprlib.repr(name)} is not a text.")
        # Compatibility forms are looked at too: some file systems fold a "two dot leader" to "..".
        plain = unicodedata.normalize("NFKC", name)
        suspicious = (
            not name.isprintable()
            or "\\" in plain
            or ".." in PurePosixPath(plain).parts
            or PurePosixPath(plain).is_absolute()
            or re.match("[A-Za-z]:", plain)
        )
        path = self.images / name
        if suspicious or not _is_inside(path, self.root):
            raise self.refuse(
                where,
                f"file_name {reprlib.repr(name)} leaves the folder of pictures; use a plain name.",
            )
        return path

    def annotations(
        self,
        records: list,
        names: dict[int, str],
        classes: ClassTable,
        pictures: dict[int, tuple[Path, int, int]],
    ) -> dict[int, list[Annotation]]:
        labels = classes.labels
        found: dict[int, list[Annotation]] = {image_id: [] for image_id in pictures}
        points = dict.fromkeys(pictures, 0)
        outline = dict.fromkeys(pictures, 0.0)
        seen: set[int] = set()
        for index, record in enumerate(records):
            where, identity = self.identify("annotations", index, record, seen)
            seen.add(identity)
            image_id, category = record.get("image_id"), record.get("category_id")
            if type(image_id) is not int or image_id not in pictures:
                raise self.refuse(where, f"image_id {reprlib.repr(image_id)} is not in 'images'.")
            if type(category) is not int or category not in names:
                raise self.refuse(
                    where, f"category_id {reprlib.repr(category)} is not in 'categories'."
                )
            _, height, width = pictures[image_id]
            box_xywh = self.box(where, record.get("bbox"), height, width)
            area = _number(record.get("area"))
            if area is None or area < 0:
                raise self.refuse(
                    where, f"area {reprlib.repr(record.get('area'))} is not a number >= 0."
                )
            crowd = record.get("iscrowd", 0)
            if crowd not in (0, 1):
                raise self.refuse(where, f"iscrowd {reprlib.repr(crowd)} is not 0 or 1.")
            segmentation = record.get("segmentation") or None
            if segmentation is not None:
                more, longer = self.segmentation(where, segmentation, height, width)
                points[image_id] += more
                outline[image_id] += longer
                if points[image_id] > MAX_POINTS or outline[image_id] > MAX_OUTLINE:
                    raise self.refuse(
                        where,
                        f"image {image_id} has {points[image_id]} points and outlines of "
                        f"{outline[image_id]:.0f} pixels, over {MAX_POINTS} and {MAX_OUTLINE}; "
                        "simplify its masks.",
                    )
            if category in labels and box_xywh[2] and box_xywh[3]:
                found[image_id].append(
                    Annotation(labels[category], box_xywh, area, bool(crowd), segmentation)
                )
        return found

    def identify(self, table: str, index: int, record: Any, seen: Iterable[int]) -> tuple[str, int]:
        """How messages call a record, and its id."""
        where = f"{table}[{index}]"
        if not isinstance(record, dict):
            raise self.refuse(where, f"{reprlib.repr(record)} is not a JSON object.")
        identity = record.get("id")
        if type(identity) is not int:
            raise self.refuse(where, f"id {reprlib.repr(identity)} is not an integer.")
        if identity in seen:
            raise self.refuse(where, f"id {identity} occurs twice; give each record its own.")
        return f"{where} with id {identity}", identity

    def box(
        self, where: str, value: Any, height: int, width: int
    ) -> tuple[float, float, float, float]:
        numbers = _numbers(value)
        if numbers is None or len(numbers) != 4:
            raise self.refuse(where, f"bbox {reprlib.repr(value)} is not four finite numbers.")
        x, y, w, h = numbers.tolist()
        if w < 0 or h < 0:
            raise self.refuse(where, f"bbox {reprlib.repr(value)} has a negative side.")
        if not _is_near(np.asarray([x, x + w]), width) or not _is_near(
            np.asarray([y, y + h]), height
        ):
            raise self.refuse(
                where, f"bbox {reprlib.repr(value)} is far outside {width} x {height}."
            )
        return x, y, w, h

    def segmentation(self, where: str, value: Any, height: int, width: int) -> tuple[int, float]:
        """Check a mask; returns its number of points and the length of its outline in pixels."""
        if isinstance(value, dict):
            return self.run_lengths(where, value, height, width), 0.0
        if not isinstance(value, list):
            raise self.refuse(
                where, f"segmentation {reprlib.repr(value)} is neither polygons nor RLE."
            )
        points, outline = 0, 0.0
        for polygon in value:
            numbers = _numbers(polygon)
            if numbers is None or len(numbers) < 6 or len(numbers) % 2:
                raise self.refuse(
                    where,
                    f"polygon {reprlib.repr(polygon)} is not three or more finite points x, y.",
                )
            corners = numbers.reshape(-1, 2)
            if not _is_near(corners[:, 0], width) or not _is_near(corners[:, 1], height):
                raise self.refuse(
                    where, f"polygon {reprlib.repr(polygon)} is far outside {width} x {height}."
                )
            points += len(corners)
            outline += np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1).sum()
        return points, float(outline)

    def run_lengths(self, where: str, value: dict, height: int, width: int) -> int:
        size, counts = value.get("size"), value.get("counts")
        whole = isinstance(size, list) and all(type(side) is int for side in size)
        if not whole or size != [height, width]:
            raise self.refuse(where, f"RLE size {reprlib.repr(size)} is not [{height}, {width}].")
        if isinstance(counts, str):
            if not _RLE_TEXT.fullmatch(counts):
                raise self.refuse(
                    where, f"RLE counts {reprlib.repr(counts)} are not a run-length code."
                )
        elif not isinstance(counts, list) or any(type(run) is not int for run in counts):
            raise self.refuse(
                where, f"RLE counts {reprlib.repr(counts)} are not a list of integers."
            )
        if len(counts) > MAX_POINTS:
            raise self.refuse(where, f"RLE has {len(counts)} counts, over {MAX_POINTS}.")
        try:
            rle_decode(value)
        except ValueError as error:
            raise self.refuse(where, f"RLE: {error}.") from error
        return len(counts)


def _is_inside(path: Path, root: str) -> bool:
    """Whether the path, with symbolic links followed, lies in the folder; it need not exist."""
    return os.path.realpath(path).startswith(root.rstrip(os.sep) + os.sep)


def _is_near(positions: np.ndarray, side: float) -> bool:
    """Whether positions lie at most one side of the picture outside it."""
    return bool(positions.min() >= -side and positions.max() <= 2 * side)


def _number(value: Any) -> float | None:
    """A finite number as float; None for everything else."""
    numbers = _numbers([value])
    return None if numbers is None else float(numbers[0])


def _numbers(value: Any) -> np.ndarray | None:
    """A list of finite numbers as float64; None for everything else."""
    if not isinstance(value, list) or not {int, float}.issuperset(map(type, value)):
        return None
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except OverflowError:  # an integer that no float holds
        return None
    return numbers if np.isfinite(numbers).all() else None
