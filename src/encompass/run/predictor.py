"""From a model file and a picture to a `Result` or a `LabelMap`.

Of an instance model resizing to the network's size, decoding of boxes and non-maximum suppression
are inside the file. Here big pictures are reduced before, and masks are made from the branches'
logits after. Of a semantic model all but the interpolation to the picture's pixels is inside. A
file that takes pictures of one size alone is given them at that size, aspect ratio not kept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
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

    @property
    def batch(self) -> int:
        """Pictures that the file takes in one call."""
        return self._engine.batch

    @abstractmethod
    def __call__(self, image: Picture) -> Result | LabelMap:
        """Predict one picture."""

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

    def _run(self, pictures: Sequence[_Shown], **feed: np.ndarray) -> list[tuple[Any, ...]]:
        """The outputs of the file for each picture: arrays in the order of `OUTPUTS`.

        Raises UsageError when the pictures of a batch differ in size, ModelError when the file
        does not run.
        """
        shown = [picture.shown for picture in pictures]
        if len(sizes := {one.shape[:2] for one in shown}) > 1:
            (h, w), (other_h, other_w), *_ = sizes
            raise UsageError(
                f"{self.path}: the pictures of a batch must have one size, and these have {w}x{h} "
                f"and {other_w}x{other_h}; give them one by one, or export with --size."
            )
        begun = perf_counter()
        try:
            if self.batch == 1:
                found = [tuple(self._engine.run(list(self.OUTPUTS), {"picture": shown[0], **feed}))]
            else:
                shown += shown[-1:] * (self.batch - len(shown))
                found = self._of_batch({"picture": np.stack(shown), **feed})
        except Exception as error:  # the runtime's exceptions share no base class
            raise ModelError(f"{self.path}: does not run on a picture ({error}).") from error
        for picture in pictures:
            picture.speed["network"] = (perf_counter() - begun) * 1000 / len(pictures)
        return found[: len(pictures)]

    @abstractmethod
    def _of_batch(self, feed: Mapping[str, np.ndarray]) -> list[tuple[Any, ...]]:
        """The outputs of a file that takes several pictures, for each of them."""

    def _chunks(self, images: Sequence[Picture]) -> Iterator[Sequence[Picture]]:
        """As many at a time as the file takes."""
        for start in range(0, len(images), self.batch):
            yield images[start : start + self.batch]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shown:
    """A picture on its way through a model."""

    path: Path | None  # its file, where it came from one
    picture: np.ndarray  # (H, W, 3) uint8 RGB
    shown: np.ndarray  # what the file gets of it, likewise
    speed: dict[str, float]  # milliseconds by stage, "read" for files alone


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
    PICTURES = "pictures"  # output of a batch: (N,) int64, the place of each object's picture

    @property
    def default_score(self) -> float:
        """The threshold of a call without one: of the best F1, as the card has it, or 0.5."""
        return self.card.thresholds.get("best_F1", 0.5)

    def __call__(
        self,
        image: Picture,
        score: float | None = None,
        *,
        tiles: tuple[int, int] | None = None,
    ) -> Result:
        """Find the objects of one picture.

        Args:
            image: a picture file, a Pillow image, or (H, W, 3) RGB or (H, W) grey uint8.
            score: objects below this score, in [0, 1], are left out; `default_score` when None.
            tiles: rows and columns of overlapping tiles to look at, besides the whole picture, for
                small objects (`run.tiles`); the time is that of one picture more than there are
                tiles.

        Returns:
            The objects, best first, in pixels of the picture as its file shows it; `speed` has the
            milliseconds of each stage, with "read" for a file alone.

        Raises ImageError for a bad file, UsageError for any other bad argument and ModelError when
        the model file does not run.
        """
        if tiles is None:
            return self.many([image], score)[0]
        from encompass.run.tiles import predict_tiled  # few need it

        path, picture, speed = _read(image)
        found = predict_tiled(partial(self, score=score), picture, tiles)
        return replace(found, path=path, speed={**speed, **found.speed})

    def many(self, images: Sequence[Picture], score: float | None = None) -> list[Result]:
        """Find the objects of several pictures, `batch` of them at a time.

        Takes and gives what a call does for each; "network" in `speed` is a picture's share of its
        batch. Raises UsageError, too, when the pictures of a batch differ in size.
        """
        score = self.default_score if score is None else score
        if not 0 <= score <= 1:
            raise UsageError(f"score={score} is not between 0 and 1.")
        results = []
        for chunk in self._chunks(images):
            shown = [self._show(image) for image in chunk]
            found = self._run(shown, score_threshold=np.asarray(score, dtype=np.float32))
            results += [self._result(*pair) for pair in zip(shown, found, strict=True)]
        return results

    def _show(self, image: Picture) -> _Shown:
        path, picture, speed = _read(image)
        begun = perf_counter()
        reduction = Stretch(picture.shape[:2], self.card.input_size).reduction
        shown = self.fit(reduce_picture(picture, reduction))
        speed["pre"] = (perf_counter() - begun) * 1000
        return _Shown(path=path, picture=picture, shown=shown, speed=speed)

    def _of_batch(self, feed: Mapping[str, np.ndarray]) -> list[tuple[Any, ...]]:
        *found, pictures = self._engine.run([*self.OUTPUTS, self.PICTURES], feed)
        of_each = (pictures == number for number in range(self.batch))
        return [tuple(value[mine] for value in found) for mine in of_each]

    def _result(self, given: _Shown, found: tuple[Any, ...]) -> Result:
        begun = perf_counter()
        boxes, scores, labels, areas, sizes, logits = found
        height, width = given.picture.shape[:2]
        stretch = Stretch((height, width), self.card.input_size)
        (fy, fx), (sy, sx) = stretch.reduction, np.divide(stretch.reduced, given.shown.shape[:2])
        scale = np.asarray([fx * sx, fy * sy] * 2, dtype=np.float32)
        # A part block at the right or bottom counts as a whole one, so boxes and areas may reach
        # past the edge. The areas are left so, because the logits are spread over all of them.
        boxes = clip(boxes * scale, height, width)
        areas = areas * scale
        masks = tuple(
            decode_mask(logit[:h, :w], area, box, height=height, width=width)
            for logit, (h, w), area, box in zip(logits, sizes.tolist(), areas, boxes, strict=True)
        )
        given.speed["mask decode"] = (perf_counter() - begun) * 1000
        return Result(
            height=height,
            width=width,
            boxes=boxes,
            scores=scores,
            labels=labels,
            masks=masks,
            names=self.card.names,
            category_ids=self.card.category_ids,
            picture=given.picture,
            path=given.path,
            speed=given.speed,
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
        return self.many([image])[0]

    def many(self, images: Sequence[Picture]) -> list[LabelMap]:
        """Tell the class of every pixel of several pictures, `batch` of them at a time.

        Takes and gives what a call does for each; "network" in `speed` is a picture's share of its
        batch. Raises UsageError, too, when the pictures of a batch differ in size.
        """
        results = []
        for chunk in self._chunks(images):
            shown = [self._show(image) for image in chunk]
            results += [self._labels(*pair) for pair in zip(shown, self._run(shown), strict=True)]
        return results

    def _show(self, image: Picture) -> _Shown:
        path, picture, speed = _read(image)
        return _Shown(path=path, picture=picture, shown=self.fit(picture), speed=speed)

    def _of_batch(self, feed: Mapping[str, np.ndarray]) -> list[tuple[Any, ...]]:
        logits, stride = self._engine.run(list(self.OUTPUTS), feed)
        return [(of_one, stride) for of_one in logits]

    def _labels(self, given: _Shown, found: tuple[Any, ...]) -> LabelMap:
        begun = perf_counter()
        logits, stride = found
        height, width = given.shown.shape[:2]
        labels = label_pixels(logits, stride=int(stride), height=height, width=width)
        if labels.shape != given.picture.shape[:2]:
            size = given.picture.shape[1::-1]
            labels = np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))
        given.speed["label decode"] = (perf_counter() - begun) * 1000
        return LabelMap(
            labels=labels,
            names=self.card.names,
            colours=self.card.colours,
            picture=given.picture,
            path=given.path,
            speed=given.speed,
        )


def _read(image: Picture) -> tuple[Path | None, np.ndarray, dict[str, float]]:
    """The picture's file, if it came from one, its pixels, and how long that took."""
    begun = perf_counter()
    picture = as_picture(image)
    if isinstance(image, (str, PathLike)):
        return Path(image), picture, {"read": (perf_counter() - begun) * 1000}
    return None, picture, {}


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
