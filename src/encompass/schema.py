"""The frozen records that the parts exchange. Beside each field stand its shape, type, unit and
frame.

Frames: `src` is the picture as its file shows it (EXIF orientation applied), x right and y down,
pixel (0, 0) covering [0, 1) x [0, 1). Boxes are corner form (x0, y0, x1, y1) with x1 and y1
exclusive edges.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, Self

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class BoxMask:
    """The mask of one object, kept only where the object can be: a crop and where it lies."""

    x: int  # left edge of the crop, src pixels
    y: int  # top edge of the crop, src pixels
    pixels: np.ndarray  # (h, w) bool

    @property
    def area(self) -> int:
        """Number of set pixels."""
        return int(np.count_nonzero(self.pixels))

    def to_full(self, height: int, width: int) -> np.ndarray:
        """The mask on the whole picture, (height, width) bool."""
        full = np.zeros((height, width), dtype=bool)
        h, w = self.pixels.shape
        full[self.y : self.y + h, self.x : self.x + w] = self.pixels
        return full


@dataclass(frozen=True, kw_only=True, eq=False)
class Instances:
    """What one picture contains. Indexing and boolean filtering give the same type."""

    height: int  # src pixels
    width: int  # src pixels
    boxes: np.ndarray  # (N, 4) float32, xyxy, src pixels
    scores: np.ndarray  # (N,) float32 in [0, 1], descending
    labels: np.ndarray  # (N,) int64, index into `names`
    masks: tuple[BoxMask, ...]  # N box-local masks
    names: tuple[str, ...]  # class names

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: int | slice | np.ndarray | list) -> Self:
        """One object (an int), or those picked by a slice, a list of ints or a boolean mask."""
        if isinstance(index, (int, np.integer)):
            index = [int(index)]
        if isinstance(index, list):  # an empty one has no type of its own
            index = np.asarray(index) if index else np.zeros(0, dtype=np.int64)
        picked = np.arange(len(self))[index]
        return dataclasses.replace(
            self,
            boxes=self.boxes[picked],
            scores=self.scores[picked],
            labels=self.labels[picked],
            masks=tuple(self.masks[i] for i in picked),
        )

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))


Colour = tuple[int, int, int]  # RGB, 0 .. 255

# Where a file that is not ONNX keeps the metadata of its card, as JSON.
OPENVINO_ENTRY = "encompass"  # of the `rt_info`
OPENVINO_CRC = "encompass_weights_crc32"  # likewise, of the .bin
LITERT_ENTRY = "encompass.json"  # of the zip at the end
ANY_SIZE = (0, 0)  # the `input_size` of a network that takes pictures as they are


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a model is, what it was made from and how good it is. Travels inside the ONNX file."""

    name: str  # row of the zoo
    task: str  # "instance" or "semantic"
    parameters: int  # as TensorFlow counts them (batch norm: four numbers a channel)
    input_size: tuple[int, int]  # (height, width) of the network's input, pixels; or `ANY_SIZE`
    names: tuple[str, ...]  # class names, by label
    category_ids: tuple[int, ...]  # the dataset's id of each class, by label; semantic: none
    licence: str  # SPDX identifier of the weights
    training_data: str  # one sentence
    scores: Mapping[str, float] = field(default_factory=dict)  # e.g. {"mask AP50": 36.1}, in points
    recipe: Mapping[str, Any] = field(default_factory=dict)  # command, steps, seed, ...
    commit: str = ""  # of the code that exported the file
    colours: tuple[Colour, ...] = ()  # of the classes of a semantic model, by label
    version: str = ""  # of encompass that exported the file
    precision: str = "fp32"  # of the file: "fp32", "fp16", "bf16" or "int8"
    # Of an instance model: "score", below which it leaves out objects unless told otherwise;
    # "nms_iou", the overlap at which the lower of two boxes is dropped; "best_F1", where it was
    # measured, the score at which its F1 is best.
    thresholds: Mapping[str, float] = field(default_factory=dict)
    # Of an int8 file: "data", "pictures" and, by name, the "float_layers" that are not in int8.
    calibration: Mapping[str, Any] = field(default_factory=dict)

    def to_metadata(self) -> dict[str, str]:
        """Flat string map for ONNX `metadata_props`: every value is JSON."""
        record = dataclasses.asdict(self)
        return {key: json.dumps(value, sort_keys=True) for key, value in record.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> ModelCard:
        """Inverse of `to_metadata`; other keys are ignored. Raises KeyError, ValueError, TypeError.

        What has a default may be missing: the first cards had less.
        """
        record = {
            f.name: json.loads(metadata[f.name])
            for f in dataclasses.fields(cls)
            if f.name in metadata or (f.default is MISSING and f.default_factory is MISSING)
        }
        for key in ("input_size", "names", "category_ids"):
            record[key] = tuple(record[key])
        record["colours"] = tuple(map(tuple, record.get("colours", ())))
        return cls(**record)
