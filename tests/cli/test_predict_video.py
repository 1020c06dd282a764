import json
import os
import signal
import sys
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pycocotools import mask as coco

from encompass.cli import _predict_video, main
from encompass.cli.predict import command
from encompass.errors import EncompassError, UsageError, VideoError
from encompass.run.video import Frame, Video

pytest.importorskip("av")


@pytest.fixture
def run(model_file, tmp_path, monkeypatch):
    """Runs the verb in a folder of its own; the model's answer is fixed."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run(*arguments, model=model_file):
        given = ["--model", str(model), *map(str, arguments)]
        return CliRunner().invoke(command, given, catch_exceptions=False)

    return run


@pytest.fixture
def clip(run, make_clip):
    return make_clip(Path("clip.mp4"), size=(40, 60))


def frames_of(path):
    with Video(path) as video:
        return list(video)


def lines_of(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_a_video_gives_an_overlay_of_the_same_frames(run, clip):
    assert run(clip).exit_code == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["clip.jsonl", "clip.mp4"]
    before, after = frames_of(clip), frames_of("out/clip.mp4")
    assert [frame.time for frame in after] == [frame.time for frame in before]
    with Video(clip) as given, Video("out/clip.mp4") as made:
        assert (made.rate, made.length) == (given.rate, given.length)
    for one, other in zip(before, after, strict=True):
        assert one.picture.shape == other.picture.shape
        corner = np.s_[30:, 35:]  # where nothing is drawn
        assert np.abs(one.picture[corner].mean() - other.picture[corner].mean()) < 3
        assert np.abs(one.picture.astype(int) - other.picture).max() > 40  # and something is


def test_each_frame_is_a_line_of_coco_results(run, clip):
    run(clip, "--score", "0.7")
    lines = lines_of("out/clip.jsonl")
    assert [line["frame"] for line in lines] == list(range(8))
    assert [line["time"] for line in lines] == pytest.approx([i / 10 for i in range(8)])
    for line in lines:
        (found,) = line["detections"]
        assert (found["image_id"], found["category_id"]) == (line["frame"], 1)
        assert found["bbox"] == [10, 10, 20, 20]
        assert coco.area(found["segmentation"]) == 200


def test_a_variable_rate_and_an_odd_size_are_kept(run, make_clip):
    times = [0, 33, 200, 210, 700, 740, 750, 1500]
    make_clip(Path("odd.mkv"), times=times, size=(46, 62))
    assert run("odd.mkv").exit_code == 0
    assert [frame.time * 1000 for frame in frames_of("out/odd.mp4")] == times


def test_the_summary_has_frames_times_and_files(run, clip):
    printed = run(clip).stdout
    for text in ("8 frames", "0.7 s", "frames a second", "read", "network", "mask decode"):
        assert text in printed
    assert os.path.join("out", "clip.mp4") in printed
    assert os.path.join("out", "clip.jsonl") in printed


def test_json_lists_videos_beside_pictures(run, clip, photo_file):
    document = json.loads(run(clip, photo_file, "--json").stdout)
    (video,) = document["videos"]
    (picture,) = document["files"]
    assert picture["file"] == str(photo_file)
    assert (video["file"], video["frames"], video["seconds"]) == ("clip.mp4", 8, 0.7)
    assert (video["height"], video["width"]) == (40, 60)
    assert set(video["speed"]) == {"read", "pre", "network", "mask decode"}
    assert Path(document["predictions"]).is_file()


def test_videos_alone_leave_no_list_of_pictures(run, clip):
    assert json.loads(run(clip, "--json").stdout)["predictions"] is None
    assert not Path("out/predictions.json").exists()


def test_a_folder_means_its_pictures_alone(run, clip, photo_file):
    Path("in").mkdir()
    clip.rename("in/clip.mp4")
    photo_file.rename("in/photo.png")
    document = json.loads(run("in", "--json").stdout)
    assert (len(document["files"]), document["videos"]) == (1, [])


def test_a_video_given_is_never_overwritten(run, clip, make_clip):
    before = clip.read_bytes()
    make_clip(Path("clip.avi"), codec="mpeg4")
    assert run("clip.mp4", "clip.avi", "--out", ".").exit_code == 0
    assert clip.read_bytes() == before
    made = sorted(path.name for path in Path().glob("clip-*"))
    assert made == ["clip-2.jsonl", "clip-2.mp4", "clip-3.jsonl", "clip-3.mp4"]


def test_a_truncated_video_leaves_its_frames_and_a_whole_file(run, make_clip, photo_file):
    make_clip(Path("cut.mkv"), noise=True)
    data = Path("cut.mkv").read_bytes()
    Path("cut.mkv").write_bytes(data[: len(data) * 2 // 3])
    done = run("cut.mkv", photo_file, "--json")
    assert done.exit_code == 3
    document = json.loads(done.stdout)
    (error,), (video,) = document["errors"], document["videos"]
    assert error["file"] == "cut.mkv"
    assert "truncated or broken" in error["message"]
    assert "Error: cut.mkv: is truncated" in done.stderr
    frames = frames_of("out/cut.mp4")  # raises if it were not whole
    assert 0 < len(frames) == video["frames"] == len(lines_of("out/cut.jsonl")) < 30
    assert len(document["files"]) == 1


@pytest.mark.parametrize(
    "text", ["#EXTM3U\n#EXTINF:9,\nclip.mp4\n", "ffconcat version 1.0\nfile clip.mp4\n", "hello"]
)
def test_a_disguised_playlist_is_bad_data_and_the_rest_is_done(run, clip, text):
    Path("x.mp4").write_text(text)
    done = run("x.mp4", clip)
    assert done.exit_code == 3
    assert "Error: x.mp4: is broken, or not a video" in done.stderr
    assert sorted(path.name for path in Path("out").iterdir()) == ["clip.jsonl", "clip.mp4"]


def test_without_pyav_pictures_are_done_and_the_way_out_is_told(run, clip, photo_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    done = run(clip, photo_file)
    assert done.exit_code == 1
    assert "pip install '.[video]' in the checkout" in done.stderr
    assert Path("out/photo.jpg").is_file()


def test_an_overlay_that_cannot_be_written_is_reported(run, clip):
    Path("out/clip.mp4").mkdir(parents=True)
    done = run(clip)
    assert done.exit_code == 1
    assert "clip.mp4: cannot be written" in done.stderr


def test_a_semantic_model_gives_areas(run, clip, semantic_file):
    assert run(clip, model=semantic_file).exit_code == 0
    lines = lines_of("out/clip.jsonl")
    assert [line["frame"] for line in lines] == list(range(8))
    assert lines[0]["areas"] == {"ground": 1280, "person": 1120, "sky": 0}
    assert len(frames_of("out/clip.mp4")) == 8


@pytest.fixture
def fake_camera(monkeypatch):
    """Lets `frames()` stand for every camera."""

    def fake(frames):
        monkeypatch.setattr(_predict_video, "camera_frames", lambda source: frames())

    return fake


def frame(index, milliseconds):
    picture = np.full((40, 60, 3), 40 + index % 200, np.uint8)
    return Frame(index=index, time=Fraction(milliseconds, 1000), picture=picture, read_ms=1.0)


@pytest.fixture
def predicted(monkeypatch):
    """An event: a frame was predicted."""
    event, real = threading.Event(), _predict_video.predicted

    def predicted(frames, predict, *, path):
        for result in real(frames, predict, path=path):
            event.set()
            yield result

    monkeypatch.setattr(_predict_video, "predicted", predicted)
    return event


def test_a_camera_is_written_with_its_own_times_and_drops(run, fake_camera, predicted):
    def frames():
        yield frame(0, 0)
        assert predicted.wait(20)
        yield frame(5, 433)  # 1 to 4 were dropped

    fake_camera(frames)
    done = run("camera:0", "--json")
    assert done.exit_code == 0
    (video,) = json.loads(done.stdout)["videos"]
    assert (video["file"], video["frames"], video["dropped"]) == ("camera:0", 2, 4)
    assert [each.time * 1000 for each in frames_of("out/camera-0.mp4")] == [0, 433]
    assert [line["frame"] for line in lines_of("out/camera-0.jsonl")] == [0, 5]


def test_ctrl_c_ends_a_camera_and_completes_its_files(run, fake_camera, predicted):
    def frames():
        for i in range(1_000_000):
            yield frame(i, 10 * i)
            if i == 50:
                assert predicted.wait(20)
                os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    fake_camera(frames)
    done = run("camera:0")
    assert done.exit_code == 0
    assert "dropped" in done.stdout
    assert len(frames_of("out/camera-0.mp4")) == len(lines_of("out/camera-0.jsonl")) > 0
    assert signal.getsignal(signal.SIGINT) is before


def test_a_camera_that_breaks_off_leaves_its_frames_and_is_bad_data(run, fake_camera):
    def frames():
        yield frame(0, 0)
        raise VideoError("camera:0", "gives no more pictures (unplugged).")

    fake_camera(frames)
    done = run("camera:0")
    assert done.exit_code == 3
    assert "Error: camera:0: gives no more pictures (unplugged)." in done.stderr
    assert len(frames_of("out/camera-0.mp4")) == 1


def test_a_camera_that_gives_nothing_leaves_no_file(run, fake_camera):
    fake_camera(lambda: (frame(0, 0) for _ in ()))
    with pytest.raises(EncompassError, match="No frame came"):
        run("camera:0")
    assert list(Path("out").iterdir()) == []


@pytest.mark.parametrize("other", ["camera:1", "a.png"])
def test_a_camera_must_be_alone(run, other):
    with pytest.raises(UsageError, match="only SOURCE"):
        run("camera:0", other)


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("gone.mp4", 3, "gone.mp4: no such file"),
        ("camera:99", 3, "camera:99: cannot be opened"),
        ("camera:x", 2, "give the number of the camera"),
        ("rtsp://127.0.0.1:1/x", 3, "rtsp://127.0.0.1:1/x: cannot be opened"),
    ],
)
@pytest.mark.usefixtures("run")
def test_exit_codes_and_messages(source, code, message, model_file, monkeypatch, capsys):
    if source.startswith("camera") and sys.platform == "win32":
        pytest.skip("devices have names there")
    monkeypatch.setattr("sys.argv", ["encompass", "predict", source, "--model", str(model_file)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == code
    assert message in capsys.readouterr().err
