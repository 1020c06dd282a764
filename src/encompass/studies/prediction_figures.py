"""Figures 5.2 and 5.3 of the thesis: black ground truth, green predictions.

The thesis shows what it chose; here rules choose among the pictures that are scored, with finds of
a score of 0.3 or more that meet a person at a box IoU of 0.5 or more, each with one at most; a
find that meets nobody and lies by half or more in a crowd region counts for nothing, as in COCO:

- 5.2 (`single-shape`): of the pictures whose largest person is large (COCO: over 96x96 pixels) and
  has no mask, the one with the most people that have one.
- 5.3 (`multi-shape`): a and b, the two pictures with several people whose masks are best on
  average, a person without a find counting 0; c, the picture with the most people not found; d, the
  one with the most finds that meet nobody. The first in the file's order of equals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from encompass.data.instances import Dataset, Sample, rasterise
from encompass.geometry.boxes import area, iou
from encompass.geometry.masks import mask_iou
from encompass.pictures import read_picture
from encompass.schema import Instances
from encompass.studies.panels import BLACK, GREEN, draw_boxes, side_by_side, tint

SCORE = 0.3  # of the finds that are drawn
MATCH = 0.5  # box IoU, and the part of a find that lies in a crowd region
LARGE = 96**2  # pixels
HEIGHT = 320  # of a panel, pixels

Predict = Callable[[Path], Instances]


@dataclass(frozen=True)
class Case:
    """One picture with what a network found in it."""

    sample: Sample
    found: Instances
    quality: float  # mean IoU of the masks of its people, 0 of one not found
    met: np.ndarray  # (N,) bool: people that a find meets
    wrong: int  # finds that meet nobody

    @property
    def missed(self) -> int:
        """People that no find meets."""
        return int((~self.met).sum())


def look(sample: Sample, found: Instances) -> Case:
    """Match finds with people, the best find first, and count."""
    boxes = found.boxes.astype(np.float64)
    overlaps = iou(boxes, sample.boxes_xyxy.astype(np.float64))
    crowded = _part_inside(boxes, sample.ignore_xyxy.astype(np.float64)) >= MATCH
    ious, wrong = np.zeros(len(sample.objects)), 0
    met = np.zeros(len(sample.objects), dtype=bool)
    for mask, row, in_crowd in zip(found.masks, overlaps, crowded, strict=True):
        fits = np.where(met, 0, row)
        if not fits.size or fits.max() < MATCH:
            wrong += not in_crowd
            continue
        person = int(fits.argmax())
        met[person] = True
        outline = sample.objects[person].segmentation
        if outline is not None and mask.pixels.size:
            ious[person] = mask_iou(mask, rasterise(outline, sample.height, sample.width))
    return Case(sample, found, float(ious.mean()) if len(ious) else 0.0, met, wrong)


def _part_inside(boxes_xyxy: np.ndarray, regions_xyxy: np.ndarray) -> np.ndarray:
    """(N,) the largest part of each box that lies in one of (M, 4) regions; 0 without regions."""
    parts = np.zeros(len(boxes_xyxy))
    for x0, y0, x1, y1 in regions_xyxy:
        inside = np.clip(boxes_xyxy, [x0, y0, x0, y0], [x1, y1, x1, y1])
        parts = np.maximum(parts, area(inside) / np.maximum(area(boxes_xyxy), 1e-9))
    return parts


def without_its_largest(cases: Sequence[Case]) -> Case:
    """The picture of Figure 5.2."""

    def misses(case: Case) -> bool:
        areas = [person.area for person in case.sample.objects]
        return bool(areas) and max(areas) > LARGE and not case.met[int(np.argmax(areas))]

    failing = [case for case in cases if misses(case)]
    return max(failing or cases, key=lambda case: int(case.met.sum()))


def choose(cases: Sequence[Case]) -> list[tuple[str, Case]]:
    """The four pictures of Figure 5.3 and what they show."""
    several = [case for case in cases if len(case.sample.objects) > 1]
    best = sorted(several or cases, key=lambda case: -case.quality)[:2]
    return [
        *((f"mean mask IoU {100 * case.quality:.0f}", case) for case in best),
        (f"{(c := max(cases, key=lambda case: case.missed)).missed} people not found", c),
        (f"{(d := max(cases, key=lambda case: case.wrong)).wrong} finds that meet nobody", d),
    ]


def draw_case(case: Case) -> Image.Image:
    """Masks and boxes of the finds in green, the people's boxes in black."""
    image = Image.fromarray(read_picture(case.sample.path))
    for mask in case.found.masks:
        tint(image, mask, GREEN)
    draw_boxes(image, case.found.boxes, GREEN)
    draw_boxes(image, case.sample.boxes_xyxy, BLACK)
    return image


def figure_5_2(dataset: Dataset, predict: Predict) -> Image.Image:
    """Single-Shape, which has no mask for the largest people."""
    cases = [look(sample, with_masks(predict(sample.path))) for sample in dataset.samples]
    case = without_its_largest(cases)
    text = f"{len(case.met)} people, {case.missed} of them without a mask"
    return side_by_side([[(draw_case(case), text)]], height=2 * HEIGHT)


def with_masks(found: Instances) -> Instances:
    """What a network without a branch for some boxes shows: finds that have a mask."""
    return found[np.asarray([mask.pixels.size > 0 for mask in found.masks], dtype=bool)]


def figure_5_3(dataset: Dataset, predict: Predict) -> Image.Image:
    """Multi-Shape's good and failing cases."""
    cases = [look(sample, predict(sample.path)) for sample in dataset.samples]
    panels = [(draw_case(case), text) for text, case in choose(cases)]
    return side_by_side([panels[:2], panels[2:]], height=HEIGHT)
