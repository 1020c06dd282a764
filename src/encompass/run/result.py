"""What a model found in one picture, and the ways out: overlay, COCO results, supervision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from encompass.errors import UsageError
from encompass.geometry.boxes import xyxy_to_xywh
from encompass.geometry.masks import rle_encode
from encompass.run.draw import draw_instances, write_picture
from encompass.schema import Instances

if TYPE_CHECKING:
    import supervision


@dataclass(frozen=True, kw_only=True, eq=False)
class Result(Instances):
    """The objects of one picture, best first. Boxes and masks are in pixels of `picture`."""

    picture: np.ndarray  # (H, W, 3) uint8 RGB, what the model was shown
    path: Path | None  # the picture's file or video, where it came from one
    category_ids: tuple[int, ...]  # the dataset's id of each class, by label
    speed: Mapping[str, float]  # milliseconds of each of `predictor.STAGES`; "read" for files alone
    frame: int | None = None  # its place in a video, from 0
    time: float | None = None  # of that frame: seconds from the first

    def __repr__(self) -> str:
        objects = "object" if len(self) == 1 else "objects"
        return f"<Result: {len(self)} {objects} in {self.path or 'a picture'}>"

    def full_masks(self) -> np.ndarray:
        """The masks on the whole picture, (N, H, W) bool."""
        full = np.zeros((len(self), self.height, self.width), dtype=bool)
        for i, mask in enumerate(self.masks):
            h, w = mask.pixels.shape
            full[i, mask.y : mask.y + h, mask.x : mask.x + w] = mask.pixels
        return full

    def plot(self) -> Image.Image:
        """The picture with masks, boxes and labels drawn over it."""
        return draw_instances(self.picture, self)

    def save(self, path: str | PathLike[str]) -> None:
        """Write `plot()` to a picture file of the kind that the suffix names, whole or not at all.

        Raises UsageError for a suffix of no known kind, EncompassError when it cannot be written.
        """
        write_picture(self.plot(), path)

    def to_coco(self, *, image_id: int) -> list[dict[str, Any]]:
        """COCO results: boxes as left, top, width, height and masks in run-length code."""
        return [
            {
                "image_id": image_id,
                "category_id": self.category_ids[label],
                "bbox": box,
                "score": score,
                "segmentation": rle_encode(mask, height=self.height, width=self.width),
            }
            for label, box, score, mask in zip(
                self.labels.tolist(),
                xyxy_to_xywh(self.boxes).tolist(),
                self.scores.tolist(),
                self.masks,
                strict=True,
            )
        ]

    def to_supervision(self) -> supervision.Detections:
        """As `supervision.Detections`, masks full size. Raises UsageError where it is missing."""
        try:
            import supervision
        except ModuleNotFoundError as error:
            raise UsageError(
                "supervision is not installed: install the extra 'supervision' "
                "(pip install '.[supervision]' in the checkout)."
            ) from error
        return supervision.Detections(
            xyxy=self.boxes,
            mask=self.full_masks(),
            confidence=self.scores,
            class_id=self.labels,
            data={"class_name": np.asarray(self.names)[self.labels]},
        )
