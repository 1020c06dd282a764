"""`encompass predict` of videos and cameras: an overlay video, and a line of JSON a frame."""

from __future__ import annotations

import json
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from encompass.cli._predict_names import video_paths
from encompass.cli._predict_report import Report
from encompass.errors import EncompassError, UsageError, VideoError
from encompass.files import replacing
from encompass.run.camera import TIME_BASE, Newest, camera_frames, camera_name, camera_stem
from encompass.run.label_map import LabelMap
from encompass.run.pipeline import prefetched, started
from encompass.run.result import Result
from encompass.run.stream import Predict, predicted
from encompass.run.video import Video
from encompass.run.video_writer import VideoWriter

RECENT = 1000  # frames, the last ones, whose stages are told; a camera may run for days
CAMERA_RATE = Fraction(30)  # frames a second, what the file says until their times tell better


def predict_videos(paths: Sequence[Path], predict: Predict, out: Path, report: Report) -> None:
    """Write the overlay of each video, and its predictions beside it.

    Of a video that is broken the frames before are kept.
    """
    for path, overlay in zip(paths, video_paths(paths, out), strict=True):
        try:
            _predict_video(path, predict, overlay, report)
        except UsageError:
            raise
        except EncompassError as error:
            report.fault(path, error)


def _predict_video(path: Path, predict: Predict, overlay: Path, report: Report) -> None:
    with Video(path) as video, closing(prefetched(video)) as frames:
        task = report.progress.add_task(str(path), total=video.length)
        shape = {
            "rate": video.rate,
            "time_base": video.time_base,
            "sample_aspect_ratio": video.sample_aspect_ratio,
        }
        results = predicted(frames, predict, path=path)
        about, fault = _write(results, overlay, shape, lambda: _advance(report, task, str(path)))
    report.videos.append({"file": str(path), **about})
    if fault:
        report.fault(path, fault)


def predict_camera(source: str, predict: Predict, out: Path, report: Report) -> None:
    """The same of a camera, until it ends or Ctrl-C."""
    name, overlay = camera_name(source), out / f"{camera_stem(source)}.mp4"
    shape = {"rate": CAMERA_RATE, "time_base": TIME_BASE}
    frames = Newest(camera_frames(source))
    with _stopped_by_interrupt(frames), frames:
        task = report.progress.add_task(name, total=None)
        results = predicted(frames, predict, path=None)
        about, fault = _write(
            results,
            overlay,
            shape,
            lambda: _advance(report, task, name, f", {frames.dropped} dropped"),
        )
    report.videos.append({"file": name, **about, "dropped": frames.dropped})
    if fault:
        report.fault(name, fault)


def _write(
    results: Iterable[Result | LabelMap],
    overlay: Path,
    shape: dict[str, Fraction],
    advance: Callable[[], None],
) -> tuple[dict[str, Any], VideoError | None]:
    """Write all frames and tell about them, with the fault that ended them, if any.

    Raises the fault when it came before the first frame; then nothing is written.
    """
    lines = overlay.with_suffix(".jsonl")
    fault, last, frames = None, None, 0
    speeds: deque[Mapping[str, float]] = deque(maxlen=RECENT)
    with (
        replacing(overlay) as video_file,
        replacing(lines) as lines_file,
        VideoWriter(video_file, **shape) as video,
    ):

        def write(result: Result | LabelMap) -> None:
            assert result.time is not None
            video.add(np.asarray(result.plot()), result.time)
            lines_file.write(_line(result))

        begun = perf_counter()
        try:
            with closing(started(write, results, threads=1)) as done:
                for result, written in done:
                    written.result()
                    speeds.append(result.speed)
                    last, frames = result, frames + 1
                    advance()
        except VideoError as error:
            fault = error
        if last is None:
            raise fault or EncompassError("No frame came.")
        elapsed = perf_counter() - begun
    return {
        "height": last.height,
        "width": last.width,
        "frames": frames,
        "seconds": round(last.time or 0.0, 3),
        "frames_per_second": round(frames / elapsed, 2),
        "overlay": str(overlay),
        "predictions": str(lines),
        "speed": {
            stage: round(float(np.median([speed[stage] for speed in speeds])), 3)
            for stage in last.speed
        },
    }, fault


def _line(result: Result | LabelMap) -> bytes:
    """One frame: its number, its time in seconds, and COCO results or the areas of classes."""
    assert result.frame is not None
    record: dict[str, Any] = {"frame": result.frame, "time": round(result.time or 0.0, 6)}
    if isinstance(result, LabelMap):
        record["areas"] = result.areas
    else:
        record["detections"] = result.to_coco(image_id=result.frame)
    return json.dumps(record).encode() + b"\n"


def _advance(report: Report, task: Any, name: str, more: str = "") -> None:
    speed = report.progress.tasks[task].speed or 0.0
    text = f"{name}: {speed:.1f} frames/s{more}"
    report.progress.update(task, advance=1, description=text)


@contextmanager
def _stopped_by_interrupt(frames: Newest) -> Iterator[None]:
    """The first Ctrl-C ends the frames, so that the files are completed; a second one aborts."""

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        frames.stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
