"""Copy-paste (Ghiasi et al. 2021): objects of one example put into another, cut out by their masks.

Each object is scaled and laid where chance has it, in front of what was there; what it hides is
taken from the masks behind it.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image

from encompass.data.augment import Example, is_visible, keep_objects
from encompass.geometry.masks import crop_mask, mask_extent
from encompass.schema import BoxMask

MOST = 4  # objects that are pasted at once
SCALES = (0.4, 1.0)  # of the picture that an object comes from, brought to the one it goes to
LEAST_VISIBLE = 0.2  # of an object behind; what less is left of is neither object nor background


def paste(example: Example, other: Example, rng: np.random.Generator) -> Example:
    """The example with some objects of another in front of its own.

    Args:
        example: with masks.
        other: with masks, of the same classes; without objects nothing changes.
        rng: chooses the objects, their size and their place.
    """
    assert example.masks is not None
    assert other.masks is not None
    if not other.masks:
        return example
    count = min(int(rng.integers(1, MOST + 1)), len(other.masks))
    whole = np.asarray([mask.area for mask in example.masks])
    for index in rng.choice(len(other.masks), count, replace=False):
        example, whole = _paste_one(example, whole, other, int(index), rng)
    return example


def _paste_one(
    example: Example, whole: np.ndarray, other: Example, index: int, rng: np.random.Generator
) -> tuple[Example, np.ndarray]:
    """One object more, in front; the example itself where it would be less than a pixel.

    `whole` has the pixels of each object before any was hidden, (N,), and comes back with them.
    """
    height, width = example.picture.shape[:2]
    mask = other.masks[index]  # pyright: ignore[reportOptionalSubscript]
    h, w = mask.pixels.shape
    fit = min(height / other.picture.shape[0], width / other.picture.shape[1])
    scale = rng.uniform(*SCALES) * fit
    rows, columns = round(h * scale), round(w * scale)
    if min(rows, columns) < 1:
        return example, whole
    cut = other.picture[mask.y : mask.y + h, mask.x : mask.x + w]
    pixels = Image.fromarray(cut).resize((columns, rows), Image.Resampling.BILINEAR)
    outline = Image.fromarray(mask.pixels.astype(np.uint8) * 255)
    cover = np.asarray(outline.resize((columns, rows), Image.Resampling.BILINEAR)) / 255
    x, y = int(rng.integers(width - columns + 1)), int(rng.integers(height - rows + 1))

    picture = example.picture.copy()
    place = picture[y : y + rows, x : x + columns]
    alpha = cover[..., None]
    place[:] = np.rint(alpha * np.asarray(pixels) + (1 - alpha) * place).astype(np.uint8)
    front = np.zeros((height, width), dtype=bool)
    front[y : y + rows, x : x + columns] = cover > 0.5
    new = crop_mask(front)
    if not new.pixels.size:
        return example, whole
    old = example.masks or ()
    behind = [_hide(mask, front) for mask in old]
    boxes = example.boxes_xyxy.copy()
    for box, before, seen in zip(boxes, old, behind, strict=True):
        if 0 < seen.area < before.area:
            box[:] = mask_extent(seen)
    seen = np.asarray([mask.area for mask in behind])
    kept = (seen >= LEAST_VISIBLE * whole) & is_visible(boxes)
    lost = boxes[~kept & (seen > 0)]
    shown = dataclasses.replace(
        example,
        picture=picture,
        boxes_xyxy=boxes,
        masks=tuple(behind),
        ignore_xyxy=np.concatenate([example.ignore_xyxy, lost[is_visible(lost)]]),
    )
    shown = keep_objects(shown, kept)
    shown = dataclasses.replace(
        shown,
        boxes_xyxy=np.concatenate([shown.boxes_xyxy, mask_extent(new)[None]]),
        labels=np.concatenate([shown.labels, other.labels[index : index + 1]]),
        masks=(*(shown.masks or ()), new),
    )
    return shown, np.append(whole[kept], new.area)


def _hide(mask: BoxMask, front: np.ndarray) -> BoxMask:
    """A mask without the pixels that a (H, W) bool covers, cropped to what is left."""
    h, w = mask.pixels.shape
    over = front[mask.y : mask.y + h, mask.x : mask.x + w]
    if not (mask.pixels & over).any():
        return mask
    left = crop_mask(mask.pixels & ~over)
    return BoxMask(mask.x + left.x, mask.y + left.y, left.pixels)
