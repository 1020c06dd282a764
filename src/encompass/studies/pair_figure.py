"""The thesis's Figure 3.7 on a picture that may be shown, and the same masks by our rows.

The person of one example photo, cut out and laid twice into another, so near that the same cells of
the thesis's 20x20 map encompass both. Boxes are given, so that rows differ in their masks alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

import encompass
from encompass.evaluate.network import load_network, mask_predictor
from encompass.geometry.masks import crop_mask, mask_extent
from encompass.pictures import read_picture
from encompass.run.draw import write_picture
from encompass.schema import BoxMask
from encompass.studies.box_figures import HEIGHT, mask_panels
from encompass.studies.panels import side_by_side

PERSON, PLACE = "astronaut.jpg", "palace.jpg"
CUTTER = "encompass-s"  # the bundled model that is surest of the person
VIEW = (140, 150, 480, 427)  # what is shown of the picture, xyxy
TALL = 150  # pixels of each figure
CORNERS = ((226, 218), (255, 246))  # of the two, x and y, the second in front


def draw_pair(examples: Path, checkpoints: Iterable[Path]) -> Image.Image:
    """A row of panels for each checkpoint: the boxes, and what it makes of the two people."""
    picture, people = lay_pair(examples)
    boxes = np.asarray([mask_extent(mask) for mask in people], dtype=np.float32)
    labels = np.zeros(len(boxes), dtype=np.int64)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pair.png")
        write_picture(Image.fromarray(picture), path)
        for checkpoint in checkpoints:
            network, record = load_network(checkpoint)
            masks = mask_predictor(network)(path, boxes, labels)
            panels = mask_panels(picture, boxes, masks)
            rows.append([(p.crop(VIEW), f"{record['name']}: {text}") for p, text in panels])
    return side_by_side(rows, height=HEIGHT)


def lay_pair(examples: Path) -> tuple[np.ndarray, list[BoxMask]]:
    """The picture, (H, W, 3) uint8, and what is seen of the two, the second in front."""
    photo = read_picture(examples / PERSON)
    mask = encompass.load(CUTTER)(photo).masks[0]
    h, w = mask.pixels.shape
    cut = Image.fromarray(photo[mask.y : mask.y + h, mask.x : mask.x + w])
    size = (round(w * TALL / h), TALL)
    cut = cut.resize(size, Image.Resampling.LANCZOS)
    stencil = Image.fromarray(mask.pixels.astype(np.uint8) * 255).resize(size)
    scene = Image.fromarray(read_picture(examples / PLACE))
    masks = []
    for (x, y), flip in zip(CORNERS, (False, True), strict=True):
        turned = [
            part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else part
            for part in (cut, stencil)
        ]
        scene.paste(turned[0], (x, y), turned[1])
        full = np.zeros((scene.height, scene.width), dtype=bool)
        full[y : y + TALL, x : x + size[0]] = np.asarray(turned[1]) > 127
        masks = [old & ~full for old in masks] + [full]
    return np.asarray(scene), [crop_mask(full) for full in masks]
