from fractions import Fraction

import numpy as np
import pytest

from encompass.errors import EncompassError
from encompass.run import video_writer
from encompass.run.video import Video
from encompass.run.video_writer import VideoWriter

av = pytest.importorskip("av")
ENCODERS = [name for name in video_writer._ENCODERS if name in av.codecs_available]


@pytest.fixture(params=ENCODERS)
def encoder(request, monkeypatch):
    """Each encoder as if it were the only one."""
    kept = {request.param: video_writer._ENCODERS[request.param]}
    monkeypatch.setattr(video_writer, "_ENCODERS", kept)
    return request.param


def write(path, pictures, times, *, time_base=Fraction(1, 1000), **shape):
    shape |= {"rate": Fraction(10), "time_base": time_base}
    with open(path, "wb") as file, VideoWriter(file, **shape) as video:
        for picture, time in zip(pictures, times, strict=True):
            video.add(picture, time)
    return path


def read(path):
    with Video(path) as video:
        return list(video)


def scene(height=48, width=64):
    """Red at the top left, blue at the bottom right, grey elsewhere."""
    picture = np.full((height, width, 3), 128, np.uint8)
    picture[: height // 2, : width // 2] = (200, 30, 60)
    picture[height // 2 :, width // 2 :] = (20, 60, 220)
    return picture


@pytest.mark.usefixtures("encoder")
def test_pictures_and_times_come_back(tmp_path):
    times = [Fraction(ms, 1000) for ms in (0, 33, 100, 130, 400, 2000)]
    frames = read(write(tmp_path / "a.mp4", [scene()] * 6, times))
    assert [frame.time for frame in frames] == times
    for frame in frames:
        assert np.abs(frame.picture[10:14, 10:14].mean(axis=(0, 1)) - (200, 30, 60)).max() < 8
        assert np.abs(frame.picture[-14:-10, -14:-10].mean(axis=(0, 1)) - (20, 60, 220)).max() < 8


def test_a_fine_time_base_is_kept(tmp_path):
    times = [Fraction(i * 3003, 90_000) for i in range(5)]
    path = write(tmp_path / "a.mp4", [scene()] * 5, times, time_base=Fraction(1, 90_000))
    assert [frame.time for frame in read(path)] == times


def test_an_encoder_of_coarse_times_rounds_them(tmp_path, monkeypatch):
    monkeypatch.setattr(video_writer, "_ENCODERS", {"mpeg4": video_writer._ENCODERS["mpeg4"]})
    times = [Fraction(i * 3003, 90_000) for i in range(5)]
    path = write(tmp_path / "a.mp4", [scene()] * 5, times, time_base=Fraction(1, 90_000))
    assert [float(frame.time) for frame in read(path)] == pytest.approx(times, abs=1 / 60_000)


@pytest.mark.usefixtures("encoder")
@pytest.mark.parametrize(
    ("size", "stored"), [((47, 65), (48, 66)), ((48, 65), (48, 66)), ((1, 1), (2, 2))]
)
def test_an_odd_side_gets_its_last_row_or_column_twice(tmp_path, size, stored):
    picture = np.full((*size, 3), 90, np.uint8)
    (frame,) = read(write(tmp_path / "a.mp4", [picture], [0]))
    assert frame.picture.shape[:2] == stored
    assert np.abs(frame.picture.astype(int) - 90).max() < 5


def test_the_file_plays_anywhere(tmp_path):
    path = write(tmp_path / "a.mp4", [scene()] * 3, [0, 0.1, 0.2])
    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert stream.codec_context.name == ("h264" if "libx264" in ENCODERS else "mpeg4")
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == 10
        assert stream.duration * stream.time_base == Fraction(3, 10)


def test_pixels_that_are_not_square_stay_so(tmp_path):
    shape = {"sample_aspect_ratio": Fraction(4, 3)}
    with Video(write(tmp_path / "a.mp4", [scene()], [0], **shape)) as video:
        assert video.sample_aspect_ratio == Fraction(4, 3)


def test_what_the_encoder_refuses_is_an_error_of_ours(tmp_path):
    with pytest.raises(EncompassError, match="cannot be encoded"):
        write(tmp_path / "a.mp4", [scene(), scene()], [0.2, 0.1])
