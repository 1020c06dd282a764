"""Random changes of a training example: colour, zooming out, cropping and mirroring.

After Liu et al. 2016 (SSD, sections 2.2 and 3.6) and the TensorFlow Object Detection API. Each
function takes an example and a generator and gives a new example; nothing is changed in place.
Objects that get less than a pixel wide or high are dropped, with their labels and masks. Differs:
objects whose centre is cropped away leave their visible rest as a region to ignore, because a
person cut by the picture's edge is a person in COCO; the range of hues is half as wide.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from encompass.geometry import boxes as box_ops
from encompass.schema import BoxMask

MEAN_COLOUR = (124, 117, 104)  # of ImageNet, RGB; what is beyond the picture after zooming out

_MIN_SIDE = 1.0  # pixels
_CROP_OVERLAPS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, None)  # least IoU with some object; None: no crop
_CROP_TRIALS = 50
_CROP_AREA = (0.1, 1.0)  # of the picture's
_CROP_ASPECT = (0.5, 2.0)  # width / height
_MAX_EXPANSION = 2.0  # each way

# RGB to luma and two chroma axes (YIQ), where a change of hue is a rotation.
_TO_YIQ = np.asarray([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """A picture with its objects, before it becomes a network's input."""

    picture: np.ndarray  # (H, W, 3) uint8 RGB
    boxes_xyxy: np.ndarray  # (N, 4) float32, src pixels, inside the picture
    labels: np.ndarray  # (N,) int64
    masks: (
        tuple[BoxMask, ...] | None
    )  # N masks, inside the picture; None where only boxes are known
    ignore_xyxy: np.ndarray  # (M, 4) float32, src pixels: neither object nor background
    name: str  # of the file, for messages


def keep_objects(example: Example, kept: np.ndarray) -> Example:
    """The example with the objects of a (N,) boolean array only."""
    masks = example.masks
    if masks is not None:
        masks = tuple(mask for mask, keep in zip(masks, kept, strict=True) if keep)
    return dataclasses.replace(
        example, boxes_xyxy=example.boxes_xyxy[kept], labels=example.labels[kept], masks=masks
    )


def is_visible(boxes_xyxy: np.ndarray) -> np.ndarray:
    """(N, 4) to (N,) bool: whether both sides are at least a pixel long."""
    return np.all(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2] >= _MIN_SIDE, axis=1)


def flip(example: Example, rng: np.random.Generator) -> Example:
    """Mirrored left to right, in one of two cases."""
    return mirror(example) if rng.random() < 0.5 else example


def mirror(example: Example) -> Example:
    """The example seen in a mirror: x becomes width - x."""
    width = example.picture.shape[1]

    def mirror_boxes(boxes_xyxy: np.ndarray) -> np.ndarray:
        return np.stack(
            [
                width - boxes_xyxy[:, 2],
                boxes_xyxy[:, 1],
                width - boxes_xyxy[:, 0],
                boxes_xyxy[:, 3],
            ],
            axis=1,
        )

    masks = example.masks
    if masks is not None:
        masks = tuple(
            BoxMask(width - m.x - m.pixels.shape[1], m.y, np.fliplr(m.pixels)) for m in masks
        )
    return dataclasses.replace(
        example,
        picture=np.ascontiguousarray(example.picture[:, ::-1]),
        boxes_xyxy=mirror_boxes(example.boxes_xyxy),
        masks=masks,
        ignore_xyxy=mirror_boxes(example.ignore_xyxy),
    )


def ssd_crop(example: Example, rng: np.random.Generator) -> Example:
    """A random window that shows at least one object well enough, or the whole picture.

    How well is drawn first: a least IoU of window and object. Windows are tried until one has it
    and holds the centre of an object; a degree that none reaches gives way to another one. In a
    picture without objects every window will do.
    """
    height, width = example.picture.shape[:2]
    for choice in rng.permutation(len(_CROP_OVERLAPS)):
        overlap = _CROP_OVERLAPS[choice]
        if overlap is None:
            return example
        windows = _draw_windows(height, width, rng)
        good = np.ones(len(windows), dtype=bool)
        if len(example.boxes_xyxy):
            iou = box_ops.iou(windows.astype(np.float32), example.boxes_xyxy)
            good = (iou.max(axis=1) >= overlap) & _holds_centre(windows, example).any(axis=1)
        if good.any():
            return crop(example, windows[good.argmax()])
    raise AssertionError("the whole picture is always among the choices")


def _draw_windows(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """(K, 4) int64 windows inside the picture; those drawn longer than it are left out."""
    area = rng.uniform(*_CROP_AREA, _CROP_TRIALS) * height * width
    aspect = rng.uniform(*_CROP_ASPECT, _CROP_TRIALS)
    sides = np.stack([np.sqrt(area * aspect), np.sqrt(area / aspect)], axis=1)
    sides = np.maximum(np.rint(sides), 1).astype(np.int64)
    room = np.asarray([width, height]) - sides
    corners = np.floor(rng.random((_CROP_TRIALS, 2)) * (room + 1)).astype(np.int64)
    return np.concatenate([corners, corners + sides], axis=1)[(room >= 0).all(axis=1)]


def _holds_centre(windows: np.ndarray, example: Example) -> np.ndarray:
    """(K, 4) windows and N objects to (K, N) bool: whether the object's centre is in the window."""
    centres = (example.boxes_xyxy[:, :2] + example.boxes_xyxy[:, 2:]) / 2
    low, high = windows[:, None, :2], windows[:, None, 2:]
    return np.all((centres >= low) & (centres < high), axis=-1)


def crop(example: Example, window_xyxy: Sequence[int] | np.ndarray) -> Example:
    """What a window of whole pixels inside the picture shows, in the window's own pixels.

    Objects whose centre is inside stay, cut to the window; the visible rest of others is ignored.
    """
    x0, y0, x1, y1 = (int(edge) for edge in window_xyxy)
    height, width = y1 - y0, x1 - x0
    offset = np.asarray([x0, y0, x0, y0], dtype=np.float32)
    boxes_xyxy = box_ops.clip(example.boxes_xyxy - offset, height, width)
    kept = _holds_centre(np.asarray([[x0, y0, x1, y1]]), example)[0]
    ignore_xyxy = box_ops.clip(example.ignore_xyxy - offset, height, width)
    ignore_xyxy = np.concatenate([ignore_xyxy, boxes_xyxy[~kept]])
    masks = example.masks
    if masks is not None:
        masks = tuple(_crop_mask(mask, x0, y0, x1, y1) for mask in masks)
    shown = dataclasses.replace(
        example,
        picture=np.ascontiguousarray(example.picture[y0:y1, x0:x1]),
        boxes_xyxy=boxes_xyxy,
        masks=masks,
        ignore_xyxy=ignore_xyxy[is_visible(ignore_xyxy)],
    )
    return keep_objects(shown, kept & is_visible(boxes_xyxy))


def _crop_mask(mask: BoxMask, x0: int, y0: int, x1: int, y1: int) -> BoxMask:
    """The part of a mask inside a window, placed in the window's pixels."""
    h, w = mask.pixels.shape
    left, top = np.clip(mask.x, x0, x1), np.clip(mask.y, y0, y1)
    right, bottom = np.clip(mask.x + w, x0, x1), np.clip(mask.y + h, y0, y1)
    pixels = mask.pixels[top - mask.y : bottom - mask.y, left - mask.x : right - mask.x]
    return BoxMask(int(left) - x0, int(top) - y0, pixels)


def expand(example: Example, rng: np.random.Generator) -> Example:
    """Zoomed out, in one of two cases: somewhere on a larger canvas of the mean colour."""
    if rng.random() < 0.5:
        return example
    height, width = example.picture.shape[:2]
    factor = rng.uniform(1.0, _MAX_EXPANSION)
    canvas_height, canvas_width = round(height * factor), round(width * factor)
    x = int(rng.integers(canvas_width - width + 1))
    y = int(rng.integers(canvas_height - height + 1))
    canvas = np.full((canvas_height, canvas_width, 3), MEAN_COLOUR, dtype=np.uint8)
    canvas[y : y + height, x : x + width] = example.picture
    return move(dataclasses.replace(example, picture=canvas), x, y)


def move(example: Example, x: int, y: int) -> Example:
    """The objects where they are once the picture that they lie on begins at (x, y) of a canvas."""
    offset = np.asarray([x, y, x, y], dtype=np.float32)
    masks = example.masks
    if masks is not None:
        masks = tuple(BoxMask(mask.x + x, mask.y + y, mask.pixels) for mask in masks)
    return dataclasses.replace(
        example,
        boxes_xyxy=example.boxes_xyxy + offset,
        masks=masks,
        ignore_xyxy=example.ignore_xyxy + offset,
    )


def photometric(example: Example, rng: np.random.Generator) -> Example:
    """The example in other colours, as `recolour` draws them."""
    return dataclasses.replace(example, picture=recolour(example.picture, rng))


def recolour(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8 with contrast, saturation, hue and brightness changed, each in one of two
    cases.

    All four are linear maps of RGB, so that one pass over the picture does them together and values
    are cut to 0..255 once, at the end.
    """
    matrix, offset = np.eye(3), np.zeros(3)
    if rng.random() < 0.5:  # around the mean colour, of every fourth pixel each way
        contrast = rng.uniform(0.5, 1.5)
        mean = picture[::4, ::4].mean(axis=(0, 1))
        matrix, offset = contrast * matrix, (1 - contrast) * mean
    if rng.random() < 0.5:
        saturation = rng.uniform(0.5, 1.5)
        change = _FROM_YIQ @ np.diag([1, saturation, saturation]) @ _TO_YIQ
        matrix, offset = change @ matrix, change @ offset
    if rng.random() < 0.5:
        angle = rng.uniform(-np.pi / 10, np.pi / 10)  # 18 degrees keeps skin the colour of skin
        cosine, sine = np.cos(angle), np.sin(angle)
        change = _FROM_YIQ @ [[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]] @ _TO_YIQ
        matrix, offset = change @ matrix, change @ offset
    if rng.random() < 0.5:
        offset = offset + rng.uniform(-32, 32)
    rows = np.concatenate([matrix, offset[:, None]], axis=1)
    return np.array(Image.fromarray(picture).convert("RGB", tuple(rows.ravel().tolist())))
