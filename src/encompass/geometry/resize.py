"""The one way a picture becomes a network input: stretched to the input size, aspect ratio not
kept.

Thesis 3.2.1 resizes every picture to the network's square input. `Stretch` is that map and its
inverse. Pixels are resampled by an antialiased triangle filter (Pillow's BILINEAR, torch's and
ONNX's antialiased linear resize: the same numbers), in training, scoring, the exported graph and
the runtime alike: without antialiasing the detector loses half a point of AP. A picture four times
the input or more is first averaged over whole blocks down to at least twice the input, so that a
large photo costs little more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Stretch:
    """Source picture to network input. Sizes are (height, width) in pixels."""

    src: tuple[int, int]
    net: tuple[int, int]

    @property
    def reduction(self) -> int:
        """The whole factor by which the picture is box-averaged first; 1 leaves it as it is."""
        return max(1, min(self.src[0] // self.net[0], self.src[1] // self.net[1]) // 2)

    @property
    def reduced(self) -> tuple[int, int]:
        """(height, width) after the reduction; a part block at an edge counts as one."""
        k = self.reduction
        return -(-self.src[0] // k), -(-self.src[1] // k)

    @property
    def scale_xy(self) -> np.ndarray:
        """(2,) network pixels for one source pixel, along x and y."""
        height, width = self.reduced
        return np.asarray([self.net[1] / width, self.net[0] / height]) / self.reduction

    def forward_xyxy(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """(N, 4) source pixels to network pixels."""
        return boxes_xyxy * np.tile(self.scale_xy, 2).astype(boxes_xyxy.dtype)

    def inverse_xyxy(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """(N, 4) network pixels to source pixels."""
        return boxes_xyxy / np.tile(self.scale_xy, 2).astype(boxes_xyxy.dtype)


def reduce_picture(picture: np.ndarray, factor: int) -> np.ndarray:
    """(H, W, 3) uint8 averaged over factor x factor blocks, to (ceil(H/f), ceil(W/f), 3) uint8."""
    if factor == 1:
        return picture
    from PIL import Image

    return np.asarray(Image.fromarray(picture).reduce(factor))
