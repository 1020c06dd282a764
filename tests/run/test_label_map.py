import numpy as np
import pytest
from PIL import Image

import encompass
from encompass.errors import EncompassError, ImageError, UsageError
from encompass.pictures import read_ids
from encompass.run.draw import draw_labels
from encompass.run.label_map import LabelMap
from encompass.run.predictor import LABEL_STAGES, SemanticModel, load


@pytest.fixture
def model(semantic_file):
    return load(semantic_file, threads=1)


@pytest.fixture
def found(model, photo):
    return model(photo)


def test_the_labels_of_a_picture_by_hand(found):
    # Two cells of 32 pixels: the border lies at x = 32 of 60 columns, in all 40 rows.
    assert isinstance(found, LabelMap)
    assert (found.height, found.width) == found.labels.shape == (40, 60)
    assert found.labels.dtype == np.uint8
    assert (found.labels[:, :32] == 0).all()
    assert (found.labels[:, 32:] == 1).all()
    assert found.areas == {"ground": 1280, "person": 1120, "sky": 0}


def test_a_semantic_file_is_a_semantic_model(model, semantic_file):
    assert isinstance(model, encompass.SemanticModel)
    assert isinstance(model, encompass.Model)
    assert not isinstance(model, encompass.InstanceModel)
    assert (model.card.task, model.path) == ("semantic", semantic_file)
    assert "tiny-labels" in repr(model)


def test_file_array_and_pillow_image_give_the_same(model, found, photo, photo_file):
    for image in (photo_file, str(photo_file), Image.fromarray(photo)):
        assert (model(image).labels == found.labels).all()
    assert model(photo_file).path == photo_file
    assert found.path is None


def test_reading_is_timed_for_files_alone(model, found, photo_file):
    assert list(model(photo_file).speed) == list(LABEL_STAGES)
    assert list(found.speed) == list(LABEL_STAGES[1:])


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (40, 1), (64, 64)])
def test_pictures_of_any_size_are_labelled(model, size):
    assert model(np.zeros((*size, 3), np.uint8)).labels.shape == size


def test_a_bad_picture_is_an_image_error(model, tmp_path):
    with pytest.raises(ImageError, match="no such file"):
        model(tmp_path / "gone.jpg")


def test_the_saved_png_holds_the_labels_and_shows_the_colours(found, tmp_path):
    found.save(tmp_path / "labels.png")
    assert (read_ids(tmp_path / "labels.png") == found.labels).all()
    with Image.open(tmp_path / "labels.png") as image:
        shown = np.asarray(image.convert("RGB"))
    assert (shown == np.asarray(found.colours)[found.labels]).all()


def test_labels_are_saved_as_png_alone(found, tmp_path):
    for name in ("labels.jpg", "labels"):
        with pytest.raises(UsageError, match=rf"{name}: labels are saved as \.png.*plot"):
            found.save(tmp_path / name)
    assert not list(tmp_path.glob("labels*"))


def test_what_cannot_be_written_is_an_error(found, tmp_path):
    (tmp_path / "labels.png").mkdir()
    with pytest.raises(EncompassError, match="cannot be written"):
        found.save(tmp_path / "labels.png")


def test_the_overlay_tints_all_but_black_classes(found, photo):
    drawn = np.asarray(found.plot()).astype(int)
    assert (drawn[:, :32] == photo[:, :32]).all()
    expected = 0.4 * photo[:, 32:] + 0.6 * np.asarray([200, 100, 0])
    assert np.abs(drawn[:, 32:] - expected).max() <= 1


def test_drawing_leaves_the_picture_that_was_given():
    picture = np.full((2, 3, 3), 100, np.uint8)
    draw_labels(picture, np.ones((2, 3), np.uint8), [(0, 0, 0), (255, 255, 255)])
    assert (picture == 100).all()


def test_its_text_says_how_many_classes_were_found(model, found, photo_file):
    assert repr(found) == "<LabelMap: 2 classes in a picture>"
    assert repr(model(photo_file)) == f"<LabelMap: 2 classes in {photo_file}>"
    assert repr(model(np.zeros((3, 3, 3), np.uint8))) == "<LabelMap: 1 class in a picture>"


def test_a_semantic_model_has_no_score(model, photo):
    with pytest.raises(TypeError):
        SemanticModel.__call__(model, photo, score=0.5)
