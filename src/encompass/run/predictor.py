"""From a model file and a picture to a `Result` or a `LabelMap`.

Of an instance model resizing to the network's size, decoding of boxes and non-maximum suppression
are inside the file. Here big pictures are reduced before, and masks are made from the branches'
logits after. Of a semantic model all but the interpolation to the picture's pixels is inside. A
file that takes pictures of one size alone is given them at that size, aspect ratio not kept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from encompass.errors import ModelError, UsageError
from encompass.geometry.boxes import clip
from encompass.geometry.labels import label_pixels
from encompass.geometry.masks import decode_mask
from encompass.geometry.resize import Stretch, reduce_picture
from encompass.run.catalogue import find_model
from encompass.run.engine import Engine, open_engine
from encompass.run.label_map import LabelMap
from encompass.run.machine import usable_cores
from encompass.run.result import Result
from encompass.run.source import as_picture
from encompass.schema import ANY_SIZE, ModelCard

STAGES: tuple[str, ...] = ("read", "pre", "network", "mask decode")
LABEL_STAGES: tuple[str, ...] = ("read", "network", "label decode")

Picture = str | PathLike[str] | Image.Image | np.ndarray


class Model(ABC):
    """A model file, ready to be called. Calls from several threads at once are allowed."""

    # What files of the kind take and give, by name.
    INPUTS: ClassVar[Mapping[str, str]]
    OUTPUTS: ClassVar[Mapping[str, str]]

    def __init__(self, engine: Engine, *, card: ModelCard, path: Path):
        self._engine = engine
        self.card = card
        self.path = path

    @property
    def names(self) -> tuple[str, ...]:
        """Class names, by label."""
        return self.card.names

    @property
    def runtime(self) -> str:
        """The package on PyPI that computes."""
        return self._engine.runtime

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.card.name}: {', '.join(self.names)}>"

    @abstractmethod
    def __call__(self, image: Picture) -> Result | LabelMap:
        """Predict one picture."""

    def _run(self, feed: Mapping[str, np.ndarray]) -> list[Any]:
        """The outputs of the file: arrays in the order of `OUTPUTS`."""
        try:
            return self._engine.run(list(self.OUTPUTS), feed)
        except Exception as error:  # the runtime's exceptions share no base class
            raise ModelError(f"{self.path}: does not run on a picture ({error}).") from error

    def fit(self, picture: np.ndarray) -> np.ndarray:
        """The picture at the size that the file takes, by `geometry.resize`'s filter.

        Files of one size stretch every picture; OpenVINO's want none larger than their network.
        """
        height, width = self._engine.picture_size or picture.shape[:2]
        if not self._engine.antialiases and self.card.input_size != ANY_SIZE:
            height, width = map(min, (height, width), self.card.input_size)
        if (height, width) == picture.shape[:2]:
            return picture
        return np.asarray(
            Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)
        )


class InstanceModel(Model):
    """A model that finds objects and their masks."""

    INPUTS: ClassVar = {"picture": "uint8", "score_threshold": "float32"}
    OUTPUTS: ClassVar = {
        "boxes": "float32",  # (N, 4) xyxy
        "scores": "float32",  # (N,) descending
        "labels": "int64",  # (N,)
        "mask_areas": "float32",  # (N, 4) xyxy, what the logits cover
        "mask_sizes": "int64",  # (N, 2) height and width of each branch
        "mask_logits": "float32",  # (N, Hm, Wm), valid at [:h, :w]
    }

    def __call__(self, image: Picture, score: float = 0.5) -> Result:
        """Find the objects of one picture.

        Args:
            image: a picture file, a Pillow image, or (H, W, 3) RGB or (H, W) grey uint8.
            score: objects below this score, in [0, 1], are left out.

        Returns:
            The objects, best first, in pixels of the picture as its file shows it; `speed` has the
            milliseconds of each stage, with "read" for a file alone.

        Raises ImageError for a bad file, UsageError for any other bad argument and ModelError when
        the model file does not run.
        """
        if not 0 <= score <= 1:
            raise UsageError(f"score={score} is not between 0 and 1.")
        times = [perf_counter()]
        picture = as_picture(image)
        times.append(perf_counter())

        height, width = picture.shape[:2]
        fy, fx = Stretch((height, width), self.card.input_size).reduction
        reduced = reduce_picture(picture, (fy, fx))
        shown = self.fit(reduced)
        times.append(perf_counter())

        feed = {"picture": shown, "score_threshold": np.asarray(score, dtype=np.float32)}
        boxes, scores, labels, areas, sizes, logits = self._run(feed)
        times.append(perf_counter())

        # A part block at the right or bottom counts as a whole one, so boxes and areas may reach
        # past the edge. The areas are left so, because the logits are spread over all of them.
        sy, sx = np.divide(reduced.shape[:2], shown.shape[:2])
        scale = np.asarray([fx * sx, fy * sy] * 2, dtype=np.float32)
        boxes = clip(boxes * scale, height, width)
        areas = areas * scale
        masks = tuple(
            decode_mask(logit[:h, :w], area, box, height=height, width=width)
            for logit, (h, w), area, box in zip(logits, sizes.tolist(), areas, boxes, strict=True)
        )
        times.append(perf_counter())

        path, speed = _origin(image, STAGES, times)
        return Result(
            height=height,
            width=width,
            boxes=boxes,
            scores=scores,
            labels=labels,
            masks=masks,
            names=self.card.names,
            category_ids=self.card.category_ids,
            picture=picture,
            path=path,
            speed=speed,
        )


class SemanticModel(Model):
    """A model that tells the class of every pixel."""

    INPUTS: ClassVar = {"picture": "uint8"}
    OUTPUTS: ClassVar = {
        "logits": "float32",  # (classes, h, w)
        "stride": "int64",  # (), pixels of the picture for one cell of the logits
    }

    def __call__(self, image: Picture) -> LabelMap:
        """Tell the class of every pixel of one picture.

        Args:
            image: a picture file, a Pillow image, or (H, W, 3) RGB or (H, W) grey uint8.

        Returns:
            The labels in pixels of the picture as its file shows it; `speed` has the milliseconds
            of each stage, with "read" for a file alone.

        Raises ImageError for a bad file, UsageError for any other bad argument and ModelError when
        the model file does not run.
        """
        times = [perf_counter()]
        picture = as_picture(image)
        times.append(perf_counter())

        shown = self.fit(picture)
        logits, stride = self._run({"picture": shown})
        times.append(perf_counter())

        height, width = shown.shape[:2]
        labels = label_pixels(logits, stride=int(stride), height=height, width=width)
        if labels.shape != picture.shape[:2]:
            whole = Image.fromarray(labels).resize(picture.shape[1::-1], Image.Resampling.NEAREST)
            labels = np.asarray(whole)
        times.append(perf_counter())

        path, speed = _origin(image, LABEL_STAGES, times)
        return LabelMap(
            labels=labels,
            names=self.card.names,
            colours=self.card.colours,
            picture=picture,
            path=path,
            speed=speed,
        )


def _origin(
    image: Picture, stages: tuple[str, ...], times: list[float]
) -> tuple[Path | None, dict[str, float]]:
    """The picture's file, if it came from one, and the milliseconds between the times, by stage."""
    path = Path(image) if isinstance(image, (str, PathLike)) else None
    speed = dict(zip(stages, (np.diff(times) * 1000).tolist(), strict=True))
    if path is None:
        del speed["read"]
    return path, speed


def load(name_or_path: str | PathLike[str], *, threads: int | None = None) -> InstanceModel | Any:
    """Open a model: an `InstanceModel` or a `SemanticModel`, whichever the file is.

    Only the file tells which. Type checkers are told the first, and let the second pass (`Any`).

    Args:
        name_or_path: a name that `encompass models` lists, or the path of a file that `encompass
            export` made: .onnx, .xml (OpenVINO) or .tflite (LiteRT).
        threads: how many cores to compute on; all that this process may use when None.

    Raises UsageError for an unknown name, ModelError for a file that is not such a model.
    """
    if threads is None:
        threads = usable_cores()
    if threads < 1:
        raise UsageError(f"threads={threads} is not at least 1.")
    path = find_model(name_or_path)
    engine = open_engine(path, threads=threads)
    return _kind_of(engine, path)(engine, card=_read_card(engine, path), path=path)


def _kind_of(engine: Engine, path: Path) -> type[InstanceModel] | type[SemanticModel]:
    """By the inputs and outputs that the file has."""
    for kind in (InstanceModel, SemanticModel):
        if engine.inputs == kind.INPUTS and kind.OUTPUTS.items() <= engine.outputs.items():
            return kind
    raise ModelError(
        f"{path}: is a model of another kind, with inputs {', '.join(engine.inputs)} and outputs "
        f"{', '.join(engine.outputs)}; use one that `encompass export` made."
    )


def _read_card(engine: Engine, path: Path) -> ModelCard:
    try:
        return ModelCard.from_metadata(engine.metadata)
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(
            f"{path}: has no model card in its metadata ({error!r}); use a file that "
            "`encompass export` made."
        ) from error
