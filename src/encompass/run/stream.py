"""A model over a video or a camera: one result for each frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from encompass.errors import UsageError
from encompass.run.camera import Newest, camera_frames, is_camera
from encompass.run.catalogue import DEFAULT_MODEL
from encompass.run.pipeline import prefetched
from encompass.run.predictor import InstanceModel, Model, load
from encompass.run.result import Result
from encompass.run.video import Frame, Video

Predict = Callable[[np.ndarray], Any]  # a picture to its Result or LabelMap


def stream(
    source: str | PathLike[str],
    model: Model | str | PathLike[str] = DEFAULT_MODEL,
    *,
    score: float | None = None,
) -> Iterator[Result | Any]:
    """Predict a video frame by frame, or a camera as it goes.

    Of a file every frame comes, in order, and is decoded while the one before is predicted. Of a
    camera the newest frame comes each time; those in between are dropped, which `frame` shows.

    Args:
        source: a video file; `camera:0`; or a URL that begins with rtsp://, http:// or https://.
        model: as `load` returns it, or what `load` takes.
        score: of an instance model, as it takes it; its own default when None.

    Yields:
        A `Result` (or a `LabelMap`, of a semantic model) with `frame`, from 0, and `time`, seconds
        from the first frame.

    Raises UsageError for a bad argument, VideoError for a bad source, EncompassError where PyAV is
    not installed; all at the first frame or later.
    """
    loaded = model if isinstance(model, Model) else load(model)
    if score is not None and not isinstance(loaded, InstanceModel):
        raise UsageError(f"score={score}: {loaded.card.name} labels every pixel, without scores.")
    predict = loaded if score is None else partial(loaded, score=score)
    if is_camera(source):
        with Newest(camera_frames(str(source))) as frames:
            yield from predicted(frames, predict, path=None)
    else:
        with Video(source) as video, closing(prefetched(video)) as frames:
            yield from predicted(frames, predict, path=video.path)


def predicted(
    frames: Iterable[Frame], predict: Predict, *, path: Path | None
) -> Iterator[Result | Any]:
    """What a model finds in each frame."""
    for frame in frames:
        yield replace(
            from_file(predict(frame.picture), path=path, read_ms=frame.read_ms),
            frame=frame.index,
            time=float(frame.time),
        )


def from_file(result: Any, *, path: Path | None, read_ms: float) -> Any:
    """A result of pixels that were read beforehand, as the model gives it of their file."""
    return replace(result, path=path, speed={"read": read_ms, **result.speed})
