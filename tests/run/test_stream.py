import threading

import pytest

import encompass
from encompass.errors import UsageError, VideoError
from encompass.run import stream as module
from encompass.run.predictor import LABEL_STAGES, STAGES, load

pytest.importorskip("av")


@pytest.fixture
def clip(make_clip, tmp_path):
    return make_clip(tmp_path / "clip.mp4", size=(40, 60))


def test_a_video_gives_a_result_for_each_frame_with_its_time(model, clip):
    results = list(encompass.stream(clip, model))
    assert [result.frame for result in results] == list(range(8))
    assert [result.time for result in results] == pytest.approx([i / 10 for i in range(8)])
    for i, result in enumerate(results):
        assert result.path == clip
        assert list(result.speed) == list(STAGES)
        assert result.picture.mean() == pytest.approx(40 + 20 * i, abs=3)
        assert result.boxes.tolist() == [[10, 10, 30, 30], [40, 5, 50, 15]]


def test_a_model_may_be_a_file_and_the_score_is_passed_on(model_file, clip):
    assert [len(r) for r in encompass.stream(str(clip), model_file)] == [2] * 8
    assert [len(r) for r in encompass.stream(clip, model_file, score=0.7)] == [1] * 8


def test_a_semantic_model_gives_label_maps(semantic_file, clip):
    results = list(encompass.stream(clip, semantic_file))
    assert [result.frame for result in results] == list(range(8))
    assert list(results[0].speed) == list(LABEL_STAGES)
    assert results[0].labels.shape == (40, 60)


def test_a_semantic_model_takes_no_score(semantic_file, clip):
    with pytest.raises(UsageError, match="without scores"):
        next(encompass.stream(clip, semantic_file, score=0.5))


def test_a_bad_video_is_an_error_at_the_first_frame(model, tmp_path):
    with pytest.raises(VideoError, match="no such file"):
        next(encompass.stream(tmp_path / "gone.mp4", model))


def test_a_stream_that_is_left_closes_its_file_and_threads(model, clip):
    before = threading.active_count()
    results = encompass.stream(clip, model)
    next(results)
    results.close()
    assert threading.active_count() == before


def test_a_camera_gives_the_newest_frames(model, clip, monkeypatch):
    """The camera is a video that waits until its frame was taken."""
    taken = threading.Semaphore(0)

    def frames(source):
        assert source == "camera:0"
        with module.Video(clip) as video:
            for frame in video:
                yield frame
                assert taken.acquire(timeout=20)

    monkeypatch.setattr(module, "camera_frames", frames)
    results = []
    for result in encompass.stream("camera:0", model):
        results.append(result)
        taken.release()
    assert [result.frame for result in results] == list(range(8))
    assert results[0].path is None


def test_one_frame_of_a_result_is_the_same_frame(model, clip):
    (result, *_) = encompass.stream(clip, load(model.path))
    assert (result[0].frame, result[0].time) == (0, 0.0)
