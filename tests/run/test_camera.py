"""The fake camera is a generator of frames that waits for what the test has taken."""

import sys
import threading
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from encompass.errors import EncompassError, UsageError, VideoError
from encompass.run import camera
from encompass.run.camera import Newest, camera_frames, camera_name, camera_stem, is_camera
from encompass.run.video import Frame

SOON = 20  # seconds, after which what should happen has not


def frame(index):
    picture = np.full((4, 6, 3), index % 256, np.uint8)
    return Frame(index=index, time=Fraction(index, 10), picture=picture, read_ms=1.0)


def test_the_newest_frame_wins_and_the_others_are_counted():
    taken, shown = threading.Event(), threading.Event()

    def frames():
        yield frame(0)
        assert taken.wait(SOON)
        yield frame(1)
        yield frame(2)
        yield frame(3)
        shown.set()  # so 3 has been kept, and 1 and 2 are gone

    with Newest(frames()) as newest:
        each = iter(newest)
        assert next(each).index == 0
        taken.set()
        assert shown.wait(SOON)
        assert next(each).index == 3
        assert next(each, None) is None
        assert newest.dropped == 2


def test_a_reader_that_keeps_up_loses_nothing():
    taken = [threading.Event() for _ in range(5)]

    def frames():
        for i, event in enumerate(taken):
            yield frame(i)
            assert event.wait(SOON)

    indices = []
    with Newest(frames()) as newest:
        for each in newest:
            indices.append(each.index)
            taken[each.index].set()
        assert newest.dropped == 0
    assert indices == [0, 1, 2, 3, 4]


def test_a_fault_comes_after_the_last_frame():
    def frames():
        yield frame(0)
        raise VideoError("camera:0", "unplugged")

    with Newest(frames()) as newest:
        each = iter(newest)
        newest._thread.join(SOON)
        assert next(each).index == 0
        with pytest.raises(VideoError, match="unplugged"):
            next(each)


def test_stopping_ends_the_iteration_and_the_thread():
    ended, index = threading.Event(), 0

    def frames():
        try:
            for i in range(1_000_000):
                yield frame(i)
        finally:
            ended.set()

    with Newest(frames()) as newest:
        for index, _ in enumerate(newest):
            if index == 3:
                newest.stop()
    assert index == 3
    assert not newest._thread.is_alive()
    assert ended.is_set()


def test_stopping_wakes_one_who_waits():
    gone = threading.Event()

    def frames():
        yield frame(0)
        assert gone.wait(SOON)

    with Newest(frames()) as newest:
        each = iter(newest)
        next(each)
        threading.Timer(0, newest.stop).start()
        assert next(each, None) is None
        gone.set()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("camera:0", True),
        ("rtsp://10.0.0.5/front", True),
        ("http://host/a.mjpg", True),
        ("https://host/a", True),
        ("clip.mp4", False),
        ("file:///etc/passwd", False),
        ("ftp://host/a.mp4", False),
        ("concat:a|b", False),
        ("http.mp4", False),
    ],
)
def test_what_is_a_camera(source, expected):
    assert is_camera(source) is expected


@pytest.mark.parametrize(
    ("source", "name", "stem"),
    [
        ("camera:0", "camera:0", "camera-0"),
        ("rtsp://me:secret@10.0.0.5:554/a?b=1", "rtsp://10.0.0.5:554/a", "10.0.0.5-554-a"),
        ("https://host/../x/", "https://host/../x/", "host-..-x"),
    ],
)
def test_a_camera_is_called_without_password_and_query(source, name, stem):
    assert (camera_name(source), camera_stem(source)) == (name, stem)


def test_a_device_is_known_by_its_number(monkeypatch):
    addresses = {}
    for platform in ("linux", "darwin"):
        monkeypatch.setattr(sys, "platform", platform)
        addresses[platform] = camera._address("camera:2")[:2]
        with pytest.raises(UsageError, match="camera:0"):
            camera._address("camera:../../etc/passwd")
    assert addresses == {"linux": ("/dev/video2", "v4l2"), "darwin": ("2", "avfoundation")}


def test_a_camera_that_is_not_there_is_an_error_that_names_it():
    pytest.importorskip("av")
    with pytest.raises(VideoError, match="camera:99: cannot be opened"):
        next(camera_frames("camera:99"))


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_stream_that_nobody_serves_is_an_error_without_the_password(scheme):
    pytest.importorskip("av")
    with pytest.raises(VideoError, match=rf"{scheme}://127\.0\.0\.1:1/x: cannot be opened") as told:
        next(camera_frames(f"{scheme}://me:secret@127.0.0.1:1/x"))
    assert "refused" in str(told.value)
    assert "secret" not in str(told.value)


def test_without_pyav_the_way_out_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(EncompassError, match=r"camera:0: needs PyAV.*'\.\[video\]'"):
        next(camera_frames("camera:0"))


def test_a_drawn_camera_of_ffmpeg_gives_pictures_timed_by_the_clock(monkeypatch):
    av = pytest.importorskip("av")
    if "lavfi" not in av.formats_available:
        pytest.skip("this PyAV has no lavfi")
    drawn = ("testsrc=size=64x48:rate=30", "lavfi", {})
    monkeypatch.setattr(camera, "_address", lambda source: drawn)
    clock = iter([7.0, 7.0401, 7.0403])
    monkeypatch.setattr(camera, "monotonic", lambda: next(clock))
    frames = camera_frames("camera:0")
    first, second, third = (next(frames) for _ in range(3))
    frames.close()
    assert [each.index for each in (first, second, third)] == [0, 1, 2]
    assert [each.time * 1000 for each in (first, second, third)] == [0, 40, 41]
    assert first.picture.shape == (48, 64, 3)
    assert (first.picture != second.picture).any()


@pytest.fixture
def serve():
    """Serves one body of one type on this machine; gives its URL."""
    servers = []

    def serve(kind, body):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/front"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def motion_jpeg(number):
    body = b""
    for i in range(number):
        file = BytesIO()
        Image.new("L", (64, 48), 40 + 20 * i).convert("RGB").save(file, format="JPEG")
        head = f"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {file.tell()}\r\n\r\n"
        body += head.encode() + file.getvalue() + b"\r\n"
    return body


def test_motion_jpeg_over_http(serve):
    pytest.importorskip("av")
    url = serve("multipart/x-mixed-replace;boundary=cut", motion_jpeg(5))
    frames = []
    with pytest.raises(VideoError, match="front: gives no more pictures"):
        frames.extend(camera_frames(url))
    assert [round((each.picture.mean() - 40) / 20) for each in frames] == list(range(5))
    assert all(a.time < b.time for a, b in pairwise(frames))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("application/vnd.apple.mpegurl", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n"),
        ("text/plain", "ffconcat version 1.0\nfile '{}'\n"),
    ],
)
def test_a_playlist_over_http_is_refused(serve, make_clip, tmp_path, kind, text):
    inner = make_clip(tmp_path / "inner.mp4")
    with pytest.raises(VideoError, match="cannot be opened"):
        next(camera_frames(serve(kind, text.format(inner).encode())))
