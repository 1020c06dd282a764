"""Cameras and network streams, where the newest frame wins: what is late is dropped and counted.

`camera:0` is a device of this machine; `rtsp://`, `http://` and `https://` are streams. Nothing
else is opened: no playlist, and no file that a stream may point to.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from fractions import Fraction
from time import monotonic, perf_counter
from typing import Any
from urllib.parse import urlsplit

from encompass.errors import UsageError, VideoError
from encompass.pictures import MAX_PIXELS
from encompass.run.video import Frame, as_shown, first_video, import_av

TIME_BASE = Fraction(1, 1000)  # seconds; frames are timed by this machine's clock

_DEVICE = "camera:"
_SCHEMES = ("rtsp", "http", "https")
_PATIENCE = 10  # seconds to wait for a stream to open, and for each packet
_STREAM_OPTIONS = {
    "protocol_whitelist": "rtsp,rtp,http,https,httpproxy,tcp,tls,udp",
    "format_whitelist": "rtsp,mpjpeg,mjpeg,mpegts,flv,mov,matroska,avi",
    "rtsp_transport": "tcp",  # UDP would lose packets, and so parts of pictures
}


def is_camera(source: object) -> bool:
    """Whether a SOURCE is a camera or a network stream, by how it begins."""
    text = str(source)
    return text.startswith((_DEVICE, *(f"{scheme}://" for scheme in _SCHEMES)))


def camera_name(source: str) -> str:
    """What to call a camera: its source without user, password and query."""
    if source.startswith(_DEVICE):
        return source
    parts = urlsplit(source)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def camera_stem(source: str) -> str:
    """A file name of the camera's, without suffix: camera-0, 10.0.0.5-554-front."""
    name = camera_name(source).removeprefix(f"{urlsplit(source).scheme}://")
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")


class Newest:
    """Iterates over the frames of a source, each time the newest one.

    A context: inside, a thread draws the frames as they come and keeps the last alone. At the end
    of the source comes the last frame, then what the source raised. `dropped` is the number of
    those passed over.
    """

    def __init__(self, frames: Generator[Frame, None, None]) -> None:
        self.dropped = 0
        self._frames = frames
        self._newest: Frame | None = None
        self._ended = False
        self._stopped = False
        self._fault: Exception | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._draw, name="camera", daemon=True)

    def __enter__(self) -> Newest:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.join(2 * _PATIENCE)

    def __iter__(self) -> Iterator[Frame]:
        taken = -1  # the index of the last frame
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest or self._ended or self._stopped)
                frame, self._newest = self._newest, None
            if self._stopped:
                return
            if frame is None:
                if self._fault:
                    raise self._fault
                return
            self.dropped += frame.index - taken - 1
            taken = frame.index
            yield frame

    def stop(self) -> None:
        """End the iteration and the drawing; also from a signal's handler or another thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _draw(self) -> None:
        try:
            with closing(self._frames):
                for frame in self._frames:
                    with self._changed:
                        self._newest = frame
                        self._changed.notify_all()
                    if self._stopped:
                        break
        except Exception as error:
            self._fault = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()


def camera_frames(source: str, *, max_pixels: int = MAX_PIXELS) -> Generator[Frame, None, None]:
    """The frames of a camera or stream as they come, timed by this machine's clock.

    Damaged frames are passed over; their index is left out. Raises UsageError for a device that no
    system has, VideoError when there is no such camera, or it ends or gives nothing any more.
    """
    name = camera_name(source)
    av = import_av(name)
    file, form, options = _address(source)
    try:
        container = av.open(
            file,
            format=form,
            options=options | {"max_pixels": str(max_pixels)},
            timeout=_PATIENCE,
        )
    except (av.FFmpegError, ValueError) as error:  # ValueError: PyAV has no such kind of device
        raise VideoError(name, f"cannot be opened ({_why(error)}).") from error
    with closing(container):
        stream = first_video(container, name, max_pixels)
        try:
            yield from _decoded(av, container, stream)
        except av.FFmpegError as error:
            raise VideoError(name, f"gives no more pictures ({_why(error)}).") from error


def _decoded(av: Any, container: Any, stream: Any) -> Iterator[Frame]:
    index, begin, time, size = 0, None, -TIME_BASE, None
    for packet in container.demux(stream):
        begun = perf_counter()
        try:
            decoded = packet.decode()
        except av.InvalidDataError:  # lost on the way; the next key frame mends it
            index += 1
            continue
        for frame in decoded:
            if not frame.is_corrupt:
                now = monotonic()
                begin = now if begin is None else begin
                size = size or (frame.width, frame.height)
                time = max(round((now - begin) / TIME_BASE) * TIME_BASE, time + TIME_BASE)
                picture = as_shown(frame, size)
                read_ms = (perf_counter() - begun) * 1000
                yield Frame(index=index, time=time, picture=picture, read_ms=read_ms)
                begun = perf_counter()
            index += 1


def _address(source: str) -> tuple[str, str | None, dict[str, str]]:
    """What FFmpeg calls a source: its file, its kind where that is given, and options."""
    if not source.startswith(_DEVICE):
        return source, None, _STREAM_OPTIONS
    device = source.removeprefix(_DEVICE)
    if sys.platform == "win32":
        return f"video={device}", "dshow", {}
    if not (device.isascii() and device.isdecimal()):
        raise UsageError(f"{source}: give the number of the camera, as in camera:0.")
    if sys.platform == "darwin":
        return device, "avfoundation", {"framerate": "30"}
    return f"/dev/video{device}", "v4l2", {}


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
