import sys

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from encompass.errors import EncompassError, UsageError
from encompass.run.result import Result


@pytest.fixture
def result(model, photo):
    return model(photo)


@pytest.fixture
def nothing(model, photo):
    return model(photo, score=1)


def test_one_object_is_a_result_of_one(result):
    assert isinstance(result[1], Result)
    assert result[1].boxes.tolist() == [[40, 5, 50, 15]]
    assert len(result[-1].masks) == 1
    assert [len(one) for one in result] == [1, 1]


def test_filters_keep_boxes_scores_labels_and_masks_together(result):
    for picked in (result[result.scores < 0.7], result[[1]], result[1:]):
        assert picked.boxes[:, 0].tolist() == [40]
        assert [mask.area for mask in picked.masks] == [100]
        assert (picked.picture, picked.speed) == (result.picture, result.speed)
    assert len(result[result.labels == 5]) == 0


def test_an_empty_list_picks_nothing(result, nothing):
    for some in (result, nothing):
        picked = some[[]]
        assert isinstance(picked, Result)
        assert (picked.boxes.shape, picked.scores.shape, picked.masks) == ((0, 4), (0,), ())


def test_a_missing_object_is_an_index_error(result):
    with pytest.raises(IndexError):
        result[2]


def test_coco_results_by_hand(result):
    first, second = result.to_coco(image_id=7)
    assert first["bbox"] == [10, 10, 20, 20]
    assert second["bbox"] == [40, 5, 10, 10]
    assert first["score"] == pytest.approx(0.9)
    assert (first["image_id"], first["category_id"]) == (7, 1)
    assert isinstance(first["segmentation"]["counts"], str)


def test_coco_masks_are_pycocotools_masks(result):
    for record, full in zip(result.to_coco(image_id=1), result.full_masks(), strict=True):
        theirs = coco.encode(np.asfortranarray(full, np.uint8))
        assert record["segmentation"]["counts"] == theirs["counts"].decode()


def test_nothing_found_gives_empty_answers(nothing):
    assert nothing.to_coco(image_id=1) == []
    assert nothing.full_masks().shape == (0, 40, 60)
    assert (np.asarray(nothing.plot()) == nothing.picture).all()


@pytest.mark.filterwarnings("ignore")  # supervision warns where OpenCV is missing
@pytest.mark.parametrize("count", [0, 1, 2])
def test_supervision_has_the_same_objects(result, count):
    pytest.importorskip("supervision", reason="an extra")
    some = result[:count]
    theirs = some.to_supervision()
    assert len(theirs) == count
    assert (theirs.xyxy == some.boxes).all()
    assert (theirs.confidence == some.scores).all()
    assert (theirs.mask == some.full_masks()).all()
    assert theirs.data["class_name"].tolist() == ["person"] * count


def test_missing_supervision_says_how_to_install_it(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(UsageError, match=r"extra 'supervision' \(pip install '\.\[supervision\]'"):
        result.to_supervision()


@pytest.mark.parametrize(
    ("name", "kind"), [("a.jpg", "JPEG"), ("a.PNG", "PNG"), ("a.webp", "WEBP")]
)
def test_the_suffix_names_the_kind_of_the_overlay(result, tmp_path, name, kind):
    result.save(tmp_path / name)
    with Image.open(tmp_path / name) as saved:
        assert (saved.format, saved.size) == (kind, (60, 40))


def test_an_overlay_is_what_plot_shows(result, tmp_path):
    result.save(str(tmp_path / "a.png"))
    with Image.open(tmp_path / "a.png") as saved:
        assert (np.asarray(saved) == np.asarray(result.plot())).all()


@pytest.mark.parametrize("name", ["a", "a.txt", "a.onnx"])
def test_an_overlay_of_no_known_kind_is_refused(result, tmp_path, name):
    with pytest.raises(UsageError, match="suffix"):
        result.save(tmp_path / name)
    assert not list(tmp_path.glob("a*"))


def test_the_folder_of_an_overlay_is_made(result, tmp_path):
    result.save(tmp_path / "new" / "a.png")
    assert (tmp_path / "new" / "a.png").is_file()


def test_an_overlay_below_a_file_cannot_be_written(result, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EncompassError, match="cannot be written"):
        result.save(tmp_path / "file" / "a.png")
