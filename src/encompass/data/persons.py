"""The thesis's three person datasets from COCO instances, and its Table 5.1 (5.1.2 and 5.2.1).

From one file, with the words defined below:

- *persons*: every picture with at least one person annotation, with its person annotations;
- *isb*: every picture with at least one matching annotation, with all its person annotations;
- *isb-matching*: the same pictures, with their matching annotations alone.

Which records count:

- A **person annotation** is any record of the category named "person", crowd region (iscrowd=1) or
  not. A picture with nothing but a crowd region is therefore in *persons*.
- Its **shape** is that of its encompassing box: the picture is stretched to 640x640 (aspect not
  kept), and the box grown to the cells of 32 pixels that it touches, on a grid of 20x20.
- It is **matching** if the shape is one of the twelve of Table 5.1. Crowd regions may match.
- A box of zero width or height has no shape: the table leaves it out and it never matches, but its
  record stays where all person annotations stay.
- What *isb-matching* drops, people and crowd regions alike, is background there.

The published counts say that these are the thesis's rules. On train2017 and val2017, *persons* has
64,116 and 2,693 pictures and *isb* 30,545 and 1,284. Table 5.1 sums to 262,466 and 11,004
annotations; 11,004 is all of val2017's person annotations, which without crowd regions are 10,777.

That one matching annotation is enough was tested on 2,457 of val2017's 2,693 person pictures, with
10,044 of the annotations. No shape is more frequent there than printed, and 1,178 pictures have a
match. "All annotations match" gives 261 and "at least half" 878, which even with all of the 236
other pictures stay below 1,284. Those others hold the up to 442 matching annotations that the
table has more; at 4.1 a picture, as in the known ones, they lie in about 107 pictures, and 1,178
and 107 are 1,285. Crowd regions that match (2 of 46) decided no picture, so that they may match
rests on the table's total alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from encompass.data.coco import load_records
from encompass.errors import AnnotationError
from encompass.files import replacing
from encompass.geometry.boxes import xywh_to_xyxy
from encompass.geometry.grid import ISB_SHAPES, Shape, encompassing_shapes
from encompass.geometry.resize import Stretch

PERSON = "person"
INPUT_SIZE, STRIDE = 640, 32  # of the grid on which shapes are counted


@dataclass(frozen=True, kw_only=True)
class PersonCounts:
    """One row of Table 5.1, and how many pictures the datasets have."""

    shapes: tuple[int, ...]  # annotations of each of ISB_SHAPES
    other: int  # annotations of any other shape
    person_images: int
    isb_images: int

    @property
    def annotations(self) -> int:
        """All that have a shape."""
        return sum(self.shapes) + self.other


@dataclass(frozen=True, kw_only=True, eq=False)
class PersonSets:
    """The three datasets, each the content of a COCO file, and their counts."""

    persons: dict[str, Any]
    isb: dict[str, Any]
    isb_matching: dict[str, Any]
    counts: PersonCounts

    def files(self, stem: str) -> dict[str, dict[str, Any]]:
        """The contents by the name of their file, that of the file they are from at its start."""
        return {
            f"{stem}-persons.json": self.persons,
            f"{stem}-isb.json": self.isb,
            f"{stem}-isb-matching.json": self.isb_matching,
        }


def build_person_sets(annotations: str | PathLike[str]) -> PersonSets:
    """The three datasets of a COCO instances file; its pictures are not opened.

    Pictures and annotations keep the file's records and order; of the rest of the file, `info` and
    `licenses` stay, and of `categories` the person's.

    Raises:
        AnnotationError: the file is missing, breaks the format or has no person annotation.
        UsageError: it has no category "person".
    """
    content = load_records(annotations, categories=[PERSON])
    categories = [c for c in content["categories"] if c["name"] == PERSON]
    people: dict[int, list[dict]] = {}
    for record in content["annotations"]:
        if record["category_id"] == categories[0]["id"]:
            people.setdefault(record["image_id"], []).append(record)
    if not people:
        raise AnnotationError(annotations, "has no annotation of a person; give COCO instances.")

    frequency = dict.fromkeys(ISB_SHAPES, 0)
    other = 0
    matching: set[int] = set()  # ids of annotations
    isb: set[int] = set()  # ids of pictures
    for image in content["images"]:
        boxed = [r for r in people.get(image["id"], ()) if r["bbox"][2] and r["bbox"][3]]
        for record, shape in zip(boxed, _shapes(boxed, image), strict=True):
            if shape in frequency:
                frequency[shape] += 1
                matching.add(record["id"])
                isb.add(image["id"])
            else:
                other += 1

    kept = {key: content[key] for key in ("info", "licenses") if key in content}
    records = [r for r in content["annotations"] if r["category_id"] == categories[0]["id"]]

    def subset(images: set[int], annotations: list[dict]) -> dict[str, Any]:
        return {
            **kept,
            "images": [i for i in content["images"] if i["id"] in images],
            "annotations": annotations,
            "categories": categories,
        }

    return PersonSets(
        persons=subset(set(people), records),
        isb=subset(isb, [r for r in records if r["image_id"] in isb]),
        isb_matching=subset(isb, [r for r in records if r["id"] in matching]),
        counts=PersonCounts(
            shapes=tuple(frequency.values()),
            other=other,
            person_images=len(people),
            isb_images=len(isb),
        ),
    )


def _shapes(records: list[dict], image: dict) -> list[Shape]:
    """Shapes of the encompassing boxes of one picture's records, in float32 as training has it."""
    boxes_xywh = np.asarray([r["bbox"] for r in records], dtype=np.float64).reshape(-1, 4)
    boxes_xyxy = xywh_to_xyxy(boxes_xywh).astype(np.float32)
    stretch = Stretch((image["height"], image["width"]), (INPUT_SIZE, INPUT_SIZE))
    found = encompassing_shapes(boxes_xyxy, stretch, stride=STRIDE)
    return [(height, width) for height, width in found.tolist()]


def save_coco(contents: Mapping[Path, dict[str, Any]]) -> None:
    """Write COCO files. No file takes its place before all are whole.

    Raises EncompassError when the disk refuses.
    """
    with ExitStack() as stack:
        for path, content in contents.items():
            stack.enter_context(replacing(path)).write(json.dumps(content).encode())
