import struct
import sys
from fractions import Fraction

import numpy as np
import pytest

from encompass.errors import EncompassError, VideoError
from encompass.run.video import Video
from encompass.run.video_writer import VideoWriter

av = pytest.importorskip("av")


def frames_of(path, **options):
    with Video(path, **options) as video:
        return list(video)


def greys(frames):
    """The number of each frame of `make_clip`, by its grey level."""
    return [round((float(frame.picture.mean()) - 40) / 20) for frame in frames]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.m4v", "mpeg4"),
        ("a.mov", "mpeg4"),
        ("a.mkv", "libx264"),
        ("a.webm", "libvpx"),
        ("a.avi", "mpeg4"),
        ("a.avi", "libx264"),
    ],
)
def test_every_frame_comes_in_order_with_its_time(make_clip, tmp_path, name, codec):
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no {codec}")
    frames = frames_of(make_clip(tmp_path / name, codec=codec))
    assert greys(frames) == list(range(8))
    assert [frame.index for frame in frames] == list(range(8))
    assert [float(frame.time) for frame in frames] == pytest.approx([i / 10 for i in range(8)])
    assert {frame.picture.shape for frame in frames} == {(48, 64, 3)}
    assert frames[0].picture.dtype == np.uint8
    assert min(frame.read_ms for frame in frames) > 0


def test_times_of_a_variable_rate_are_kept_and_start_at_zero(make_clip, tmp_path):
    times = [500, 533, 700, 710, 1200, 1240, 1250, 2000]
    frames = frames_of(make_clip(tmp_path / "a.mkv", times=times))
    assert [frame.time * 1000 for frame in frames] == [time - 500 for time in times]


def test_a_video_tells_its_rate_and_length(make_clip, tmp_path):
    for name in ("a.mp4", "a.mkv", "a.avi"):
        with Video(make_clip(tmp_path / name)) as video:
            assert (video.rate, video.length) == (10, 8)


def turn(path, matrix):
    """Puts a display matrix a, b, c, d into an MP4's track header."""
    data = bytearray(path.read_bytes())
    a, b, c, d = (value << 16 for value in matrix)
    place = data.index(b"tkhd") + 4 + 40  # after the name: version, times, id, ..., volume
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("matrix", "turns"),  # quarter turns clockwise
    [((1, 0, 0, 1), 0), ((0, 1, -1, 0), 1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 3)],
)
def test_a_turned_video_is_shown_upright(tmp_path, matrix, turns):
    path = tmp_path / "a.mp4"
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = 255  # bright at the top left
    shape = {"rate": Fraction(10), "time_base": Fraction(1, 10)}
    with open(path, "wb") as file, VideoWriter(file, **shape) as video:
        video.add(picture, 0)
    turn(path, matrix)
    (frame,) = frames_of(path)
    shown = np.rot90(picture, -turns)
    assert frame.picture.shape == shown.shape
    assert np.abs(frame.picture.astype(int) - shown).mean() < 5


def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4")]
)
def test_a_truncated_video_gives_its_frames_and_then_an_error_that_names_it(
    make_clip, tmp_path, name, codec
):
    path = make_clip(tmp_path / name, codec=codec, noise=True)
    cut(path, 0.6)
    frames = []
    with Video(path) as video, pytest.raises(VideoError, match=rf"{name}: is truncated or broken"):
        frames.extend(video)
    assert 0 < len(frames) < 30


def test_a_damaged_video_ends_at_the_damage(make_clip, tmp_path):
    path = make_clip(tmp_path / "a.mp4", noise=True)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    path.write_bytes(data)
    frames = []
    with Video(path) as video, pytest.raises(VideoError, match="truncated or broken after"):
        frames.extend(video)
    assert 0 < len(frames) < 30


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{}'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=video 5004 RTP/AVP 26\n",
    "dash": '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{}</BaseURL></MPD>',
    "text": "hello",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_that_calls_itself_a_video_is_refused(make_clip, tmp_path, kind):
    inner = make_clip(tmp_path / "inner.mp4")
    path = tmp_path / "x.mp4"
    path.write_text(PLAYLISTS[kind].format(inner))
    with pytest.raises(VideoError, match=r"x\.mp4: is broken, or not a video of a known kind"):
        Video(path)


def test_other_kinds_of_files_are_refused_by_their_content(make_clip, tmp_path, photo_file):
    stream = tmp_path / "a.ts"
    make_clip(stream)
    for path in (stream, photo_file):
        renamed = tmp_path / "renamed.mp4"
        renamed.write_bytes(path.read_bytes())
        with pytest.raises(VideoError, match="not a video of a known kind"):
            Video(renamed)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.mp4", "no such file"),
        ("x" * 300 + ".mp4", "cannot be opened"),
        ("folder.mp4", "not a regular file"),
        ("empty.mp4", "is empty"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path, name, message):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(VideoError, match=message):
        Video(tmp_path / name)


@pytest.mark.parametrize("name", ["http:x.mp4", "concat:a|b.mp4", "-i.mp4", "100%41.mp4"])
def test_an_odd_name_is_a_file_and_no_protocol(make_clip, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "a.mp4").rename(tmp_path / name)
    assert len(frames_of(name)) == 8


def test_sound_alone_is_refused(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match="no video stream"):
        Video(path)


def test_frames_over_the_limit_of_pixels_are_refused_before_they_are_decoded(make_clip, tmp_path):
    path = make_clip(tmp_path / "a.mp4")
    assert len(frames_of(path, max_pixels=48 * 64)) == 8
    with pytest.raises(VideoError, match=r"64 x 48 is 3072 pixels.*limit of 3071"):
        Video(path, max_pixels=48 * 64 - 1)


def test_without_pyav_the_way_out_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(EncompassError, match=r"a\.mp4: needs PyAV.*'\.\[video\]' in the checkout"):
        Video(tmp_path / "a.mp4")
