"""Pictures to a video file (MP4) that plays anywhere: H.264 where PyAV has the encoder."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np

from encompass.errors import EncompassError
from encompass.run.video import import_av

# The encoder, its options, and the finest time base it takes. Without B-frames every frame is
# stored when it is shown, so that times far apart are kept as they are.
_ENCODERS = {
    "libx264": ({"preset": "veryfast", "crf": "20", "bf": "0"}, None),
    "mpeg4": ({"qmax": "5", "bf": "0"}, 65_535),
}
_BT601, _LIMITED = 5, 1  # FFmpeg's numbers of the colours that swscale makes by itself


class VideoWriter:
    """A video in the making. A context that completes the file.

    Raises EncompassError when the encoder refuses, as it does frames of more than 16,384 pixels a
    side.

    Args:
        file: to write into; must allow seeking.
        rate: frames a second, on average.
        time_base: seconds; times are rounded to multiples of it.
        sample_aspect_ratio: width by height of a pixel, where frames are shown stretched.
    """

    def __init__(
        self,
        file: BinaryIO,
        *,
        rate: Fraction,
        time_base: Fraction,
        sample_aspect_ratio: Fraction = Fraction(1),
    ) -> None:
        self._av = import_av("a video")
        self._container = self._av.open(file, "w", format="mp4")
        self._rate, self._time_base = rate, time_base
        self._sample_aspect_ratio = sample_aspect_ratio
        self._stream: Any = None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and self._stream is not None:
                self._encode(None)
        finally:
            self._container.close()

    def add(self, picture: np.ndarray, time: Fraction | float) -> None:
        """Append a frame.

        Args:
            picture: (H, W, 3) uint8 RGB, all of one size. An odd side gets its last row or column
                twice, because colours are stored for two by two pixels.
            time: seconds, later than that of the frame before.
        """
        height, width = picture.shape[:2]
        if height % 2 or width % 2:
            picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._stream = self._open(*picture.shape[:2])
        frame = self._av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = round(time / self._time_base), self._time_base
        self._encode(frame)

    def _encode(self, frame: Any) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except self._av.FFmpegError as error:
            raise EncompassError(f"The video cannot be encoded ({error}).") from error

    def _open(self, height: int, width: int) -> Any:
        available = self._av.codecs_available
        name = next(name for name in _ENCODERS if name in available)
        options, finest = _ENCODERS[name]
        if finest and self._time_base.denominator > finest:
            self._time_base = Fraction(1, 60_000)
        stream = self._container.add_stream(name, rate=self._rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = self._time_base
        context.sample_aspect_ratio = self._sample_aspect_ratio
        context.colorspace, context.color_range = _BT601, _LIMITED
        return stream
