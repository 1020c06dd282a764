"""The one way a picture becomes a network input: stretched to the input size, aspect ratio not
kept.

Thesis 3.2.1 resizes every picture to the network's square input. `Stretch` is that map and its
inverse. Pixels are resampled by an antialiased triangle filter (Pillow's BILINEAR, torch's and
ONNX's antialiased linear resize: the same numbers), in training, scoring, the exported graph and
the runtime alike: without antialiasing the detector loses half a point of AP. A side four times
the input's or more is first averaged over whole blocks down to at least twice the input's, so that
a large photo costs little more.
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
    def reduction(self) -> tuple[int, int]:
        """(along y, along x) the whole factors of the average that comes first; 1 is without."""
        fy, fx = (max(1, src // net // 2) for src, net in zip(self.src, self.net, strict=True))
        return fy, fx

    @property
    def reduced(self) -> tuple[int, int]:
        """(height, width) after the reduction; a part block at an edge counts as one."""
        fy, fx = self.reduction
        return -(-self.src[0] // fy), -(-self.src[1] // fx)

    @property
    def scale_xy(self) -> np.ndarray:
        """(2,) network pixels for one source pixel, along x and y."""
        height, width = self.reduced
        fy, fx = self.reduction
        return np.asarray([self.net[1] / (width * fx), self.net[0] / (height * fy)])

    def forward_xyxy(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """(N, 4) source pixels to network pixels."""
        return boxes_xyxy * np.tile(self.scale_xy, 2).astype(boxes_xyxy.dtype)

    def inverse_xyxy(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """(N, 4) network pixels to source pixels."""
        return boxes_xyxy / np.tile(self.scale_xy, 2).astype(boxes_xyxy.dtype)


def reduce_picture(picture: np.ndarray, factors: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8 averaged over (fy, fx) blocks, to (ceil(H/fy), ceil(W/fx), 3) uint8."""
    if factors == (1, 1):
        return picture
    from PIL import Image

    fy, fx = factors
    return np.asarray(Image.fromarray(picture).reduce((fx, fy)))
