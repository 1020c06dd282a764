"""From a model file and a picture to a `Result`, on ONNX Runtime.

Resizing to the network's size, decoding of boxes and non-maximum suppression are inside the file.
Here big pictures are reduced before, and masks are made from the branches' logits after.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from encompass.errors import ModelError, UsageError
from encompass.geometry.boxes import clip
from encompass.geometry.masks import decode_mask
from encompass.geometry.resize import Stretch, reduce_picture
from encompass.run.catalogue import find_model
from encompass.run.result import Result
from encompass.run.source import as_picture
from encompass.schema import ModelCard

if TYPE_CHECKING:
    import onnxruntime

STAGES: tuple[str, ...] = ("read", "pre", "network", "mask decode")

_INPUTS = {"picture": "tensor(uint8)", "score_threshold": "tensor(float)"}
_OUTPUTS = {
    "boxes": "tensor(float)",  # (N, 4) xyxy
    "scores": "tensor(float)",  # (N,) descending
    "labels": "tensor(int64)",  # (N,)
    "mask_areas": "tensor(float)",  # (N, 4) xyxy, what the logits cover
    "mask_sizes": "tensor(int64)",  # (N, 2) height and width of each branch
    "mask_logits": "tensor(float)",  # (N, Hm, Wm), valid at [:h, :w]
}


class Model:
    """A model file, ready to be called. Calls from several threads at once are allowed."""

    def __init__(self, session: onnxruntime.InferenceSession, *, card: ModelCard, path: Path):
        self._session = session
        self.card = card
        self.path = path

    @property
    def names(self) -> tuple[str, ...]:
        """Class names, by label."""
        return self.card.names

    def __repr__(self) -> str:
        return f"<Model {self.card.name}: {', '.join(self.names)}>"

    def __call__(
        self, image: str | PathLike[str] | Image.Image | np.ndarray, score: float = 0.5
    ) -> Result:
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
        times.append(perf_counter())

        boxes, scores, labels, areas, sizes, logits = self._run(reduced, score)
        times.append(perf_counter())

        # A part block at the right or bottom counts as a whole one, so boxes and areas may reach
        # past the edge. The areas are left so, because the logits are spread over all of them.
        scale = np.asarray([fx, fy, fx, fy], dtype=np.float32)
        boxes = clip(boxes * scale, height, width)
        areas = areas * scale
        masks = tuple(
            decode_mask(logit[:h, :w], area, box, height=height, width=width)
            for logit, (h, w), area, box in zip(logits, sizes.tolist(), areas, boxes, strict=True)
        )
        times.append(perf_counter())

        path = Path(image) if isinstance(image, (str, PathLike)) else None
        speed = dict(zip(STAGES, (np.diff(times) * 1000).tolist(), strict=True))
        if path is None:
            del speed["read"]
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

    def _run(self, picture: np.ndarray, score: float) -> Sequence[Any]:
        """The outputs of the file: arrays in the order of `_OUTPUTS`."""
        feed = {"picture": picture, "score_threshold": np.asarray(score, dtype=np.float32)}
        try:
            return self._session.run(list(_OUTPUTS), feed)
        except Exception as error:  # the runtime's exceptions share no base class
            raise ModelError(f"{self.path}: does not run on a picture ({error}).") from error


def load(name_or_path: str | PathLike[str], *, threads: int | None = None) -> Model:
    """Open a model.

    Args:
        name_or_path: a name that `encompass models` lists, or the path of an .onnx file.
        threads: how many cores to compute on; all that this process may use when None.

    Raises UsageError for an unknown name, ModelError for a file that is not such a model.
    """
    if threads is None:
        threads = usable_cores()
    if threads < 1:
        raise UsageError(f"threads={threads} is not at least 1.")
    path = find_model(name_or_path)

    import onnxruntime  # here, because it takes longer to import than all the rest

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # errors; warnings are for the maker of the file
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's exceptions share no base class
        raise ModelError(
            f"{path}: is not an ONNX file that ONNX Runtime can open ({error}); "
            "make it again with `encompass export`."
        ) from error
    return Model(session, card=_read_card(session, path), path=path)


def _read_card(session: onnxruntime.InferenceSession, path: Path) -> ModelCard:
    """The card in the file, once the file is seen to have our inputs and outputs."""
    given = [*session.get_inputs(), *session.get_overridable_initializers()]
    inputs = {value.name: value.type for value in given}
    outputs = {value.name: value.type for value in session.get_outputs()}
    if inputs != _INPUTS or not _OUTPUTS.items() <= outputs.items():
        raise ModelError(
            f"{path}: is an ONNX file of another kind, with inputs {', '.join(inputs)} and outputs "
            f"{', '.join(outputs)}; use one that `encompass export` made."
        )
    try:
        return ModelCard.from_metadata(session.get_modelmeta().custom_metadata_map)
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(
            f"{path}: has no model card in its metadata ({error!r}); use a file that "
            "`encompass export` made."
        ) from error


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
