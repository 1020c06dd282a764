"""The class of every pixel of one picture, and the ways out: overlay, palette PNG, areas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from encompass.errors import UsageError
from encompass.files import replacing
from encompass.run.draw import draw_labels
from encompass.schema import Colour


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelMap:
    """What a semantic model says of one picture, in the pixels of `picture`."""

    labels: np.ndarray  # (H, W) uint8, index into `names`
    names: tuple[str, ...]  # class names
    colours: tuple[Colour, ...]  # by label
    picture: np.ndarray  # (H, W, 3) uint8 RGB, what the model was shown
    path: Path | None  # the picture's file or video, where it came from one
    speed: Mapping[str, float]  # milliseconds of each stage; "read" for files alone
    frame: int | None = None  # its place in a video, from 0
    time: float | None = None  # of that frame: seconds from the first

    def __repr__(self) -> str:
        found = sum(area > 0 for area in self.areas.values())
        classes = "class" if found == 1 else "classes"
        return f"<LabelMap: {found} {classes} in {self.path or 'a picture'}>"

    @property
    def height(self) -> int:
        """Of the picture, pixels."""
        return self.labels.shape[0]

    @property
    def width(self) -> int:
        """Of the picture, pixels."""
        return self.labels.shape[1]

    @property
    def areas(self) -> dict[str, int]:
        """Pixels of each class, all classes in the order of their labels."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.names))
        return dict(zip(self.names, counts.tolist(), strict=True))

    def plot(self) -> Image.Image:
        """The picture tinted in the colours of the classes; a black class leaves it as it is."""
        return draw_labels(self.picture, self.labels, self.colours)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the labels as a PNG of palette indices, whole or not at all.

        Its values are the labels, shown in the classes' colours: a mask as `encompass.data` reads
        them. The overlay is `plot().save(...)`.

        Raises UsageError for another suffix, EncompassError when it cannot be written.
        """
        if Path(path).suffix.lower() != ".png":
            raise UsageError(
                f"{path}: labels are saved as .png, which keeps them exact; "
                "use plot().save(...) for the overlay."
            )
        image = Image.fromarray(self.labels)
        image.putpalette(np.asarray(self.colours, dtype=np.uint8).tobytes())
        with replacing(path) as file:
            image.save(file, format="PNG")
