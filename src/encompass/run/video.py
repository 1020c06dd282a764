"""The frames of a video file through PyAV, strictly: a broken file is never guessed at.

Only files of the containers below are opened, and nothing that they may refer to: a playlist that
calls itself .mp4 is refused. A video is its first video stream. Its frames come as a player would
show them, in order and none dropped: turned as the file says, each as large as the first.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np

from encompass.errors import EncompassError, VideoError
from encompass.pictures import MAX_PIXELS

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
_CONTAINERS = "mov,matroska,avi"  # FFmpeg's names; mov is also MP4, matroska also WebM
_MISSING = Fraction(1, 2)  # seconds; a video that ends so much before its promised end was cut off


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One picture of a video or a camera."""

    index: int  # from 0; of a camera those dropped count
    time: Fraction  # seconds from the first
    picture: np.ndarray  # (H, W, 3) uint8 RGB, as shown
    read_ms: float  # that decoding took


class Video:
    """A video file, to be iterated once: its frames. A context that closes it.

    Raises VideoError when the file is missing, of another kind or larger than `max_pixels` a frame;
    while iterating, when it is broken or cut off. EncompassError where PyAV is not installed.
    """

    def __init__(self, path: str | PathLike[str], *, max_pixels: int = MAX_PIXELS) -> None:
        self.path = Path(path)
        self._av = import_av(self.path)
        _check_file(self.path)
        options = {
            "protocol_whitelist": "file",
            "format_whitelist": _CONTAINERS,
            "max_pixels": str(max_pixels),
        }
        try:
            self._container = self._av.open(f"file:{os.path.abspath(path)}", options=options)
        except self._av.FFmpegError as error:
            raise VideoError(
                path,
                f"is broken, or not a video of a known kind ({_CONTAINERS}: {error.strerror}).",
            ) from error
        try:
            self._stream = first_video(self._container, path, max_pixels)
        except VideoError:
            self.close()
            raise
        self._stream.thread_type = "AUTO"  # several frames at once
        self._end: Fraction | None = None  # of the last packet, seconds

    @property
    def rate(self) -> Fraction:
        """Frames a second, on average."""
        return _fraction(self._stream.average_rate or self._stream.guessed_rate) or Fraction(25)

    @property
    def time_base(self) -> Fraction:
        """Seconds; every frame's time is a multiple of it."""
        return 1 / self.rate if self._without_times else _fraction(self._stream.time_base)

    @property
    def length(self) -> int | None:
        """How many frames it promises, about; None when it does not tell."""
        seconds = self._promised_seconds
        return None if seconds is None else round(seconds * self.rate)

    @property
    def sample_aspect_ratio(self) -> Fraction:
        """Width by height of a pixel, where frames are shown stretched."""
        return _fraction(self._stream.sample_aspect_ratio) or Fraction(1)

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        decoded = self._decode()
        size = first = last = None
        index = 0
        while True:
            begun = perf_counter()
            try:
                frame = next(decoded, None)
            except self._av.FFmpegError as error:
                raise self._broken(index, error.strerror) from error
            if frame is None:
                break
            if frame.is_corrupt:
                raise self._broken(index, "the frame is damaged")
            size = size or (frame.width, frame.height)
            picture = as_shown(frame, size)
            time = self._time_of(frame, index, last)
            first = time if first is None else first
            last = time
            read_ms = (perf_counter() - begun) * 1000
            yield Frame(index=index, time=time - first, picture=picture, read_ms=read_ms)
            index += 1
        self._check_end(index)

    def _decode(self) -> Iterator[Any]:
        """PyAV's frames; notes where the packets end."""
        base = _fraction(self._stream.time_base)
        begin = None
        for packet in self._container.demux(self._stream):
            time = packet.dts if packet.pts is None else packet.pts
            if time is not None:
                begin = time if begin is None else min(begin, time)
                end = (time - begin + (packet.duration or 0)) * base
                self._end = end if self._end is None else max(self._end, end)
            yield from packet.decode()

    @property
    def _without_times(self) -> bool:
        """AVI stores none: its frames are as far apart as its header says."""
        return self._container.format.name == "avi"

    def _time_of(self, frame: Any, index: int, last: Fraction | None) -> Fraction:
        """Seconds in the file's own counting; always later than the last."""
        if self._without_times:
            return index / self.rate
        if frame.pts is None:
            return Fraction(0) if last is None else last + 1 / self.rate
        time = frame.pts * self.time_base
        return time if last is None else max(time, last + self.time_base)

    @property
    def _promised_seconds(self) -> Fraction | None:
        """How long the header says that the stream is."""
        stream = self._stream
        if self._without_times:
            return stream.frames / self.rate if stream.frames else None
        if stream.duration:
            return stream.duration * self.time_base
        try:  # Matroska: "00:01:02.500000000", written by most
            hours, minutes, seconds = stream.metadata["DURATION"].split(":")
            return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
        except (KeyError, ValueError):
            return None

    def _check_end(self, index: int) -> None:
        """A file that was cut off at a packet's end, or has lost its rest, tells by its header."""
        if index == 0:
            raise VideoError(self.path, "has no frame that can be decoded.")
        promised, end = self._promised_seconds, self._end
        if promised is not None and end is not None and end < promised - _MISSING:
            raise self._broken(
                index, f"it ends at {float(end):.1f} of {float(promised):.1f} seconds"
            )

    def _broken(self, index: int, why: str | None) -> VideoError:
        return VideoError(
            self.path,
            f"is truncated or broken after {index} frames ({why}); replace it by an intact copy.",
        )


def as_shown(frame: Any, size: tuple[int, int]) -> np.ndarray:
    """A frame of PyAV as (H, W, 3) uint8 RGB: scaled to `size` (width, height), then turned."""
    width, height = size
    pixels = frame.to_ndarray(format="rgb24", width=width, height=height)
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def first_video(container: Any, source: str | PathLike[str], max_pixels: int) -> Any:
    """The first video stream that is no cover picture, set to be decoded.

    Raises VideoError when there is none, or its frames are larger than `max_pixels`.
    """
    cover = import_av(source).stream.Disposition.attached_pic
    for stream in container.streams.video:
        if stream.disposition & cover:
            continue
        width, height = stream.width, stream.height
        if width * height > max_pixels:
            raise VideoError(
                source,
                f"{width} x {height} is {width * height} pixels a frame, more than the limit of "
                f"{max_pixels}; shrink the video.",
            )
        stream.codec_context.options = {"max_pixels": str(max_pixels)}  # of frames that grow later
        return stream
    raise VideoError(source, "has no video stream.")


def import_av(source: str | PathLike[str]) -> ModuleType:
    """PyAV. Raises EncompassError where it is not installed."""
    try:
        import av
    except ModuleNotFoundError as error:
        raise EncompassError(
            f"{source}: needs PyAV, which is not installed; pip install '.[video]' in the checkout."
        ) from error
    return av


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise VideoError(path, "no such file; check the path.") from error
    except (OSError, ValueError) as error:
        raise VideoError(path, f"cannot be opened ({error}); check the path.") from error
    if not stat.S_ISREG(status.st_mode):
        raise VideoError(path, "is not a regular file; give the path of one video.")
    if status.st_size == 0:
        raise VideoError(path, "is empty (0 bytes); replace it by an intact copy.")


def _fraction(number: Any) -> Fraction:
    """PyAV's kind of a fraction, or none at all, as Python's."""
    return Fraction(number.numerator, number.denominator) if number else Fraction(0)
