import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from encompass.errors import ImageError, ModelError, UsageError
from encompass.run.predictor import STAGES, load


def test_the_objects_of_a_picture_by_hand(model, photo):
    result = model(photo)
    assert (result.height, result.width) == (40, 60)
    assert result.boxes.tolist() == [[10, 10, 30, 30], [40, 5, 50, 15]]
    assert result.scores.tolist() == pytest.approx([0.9, 0.6])
    assert result.labels.tolist() == [0, 0]
    assert result.names == model.names == ("person",)
    # The area of the first is 8..32: its left half, cut to the box, is x from 10 to 20.
    full = result.full_masks()
    assert np.argwhere(full[0]).min(axis=0).tolist() == [10, 10]
    assert np.argwhere(full[0]).max(axis=0).tolist() == [29, 19]
    assert [mask.area for mask in result.masks] == [200, 100]


def test_types_are_as_the_record_says(model, photo):
    result = model(photo)
    assert (result.boxes.dtype, result.scores.dtype) == (np.float32, np.float32)
    assert result.labels.dtype == np.int64
    assert all(mask.pixels.dtype == bool for mask in result.masks)


@pytest.mark.parametrize(("score", "count"), [(0, 2), (0.5, 2), (0.7, 1), (0.95, 0), (1, 0)])
def test_the_score_reaches_the_network(model, photo, score, count):
    assert len(model(photo, score=score)) == len(model(photo, score)) == count


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_model_may_find_any_number(make_model, tmp_path, photo, count):
    result = load(make_model(tmp_path / "any.onnx", count=count))(photo)
    assert len(result) == len(result.masks) == count
    assert result.boxes.shape == (count, 4)
    assert result.full_masks().shape == (count, 40, 60)


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan"), 50])
def test_a_score_outside_zero_to_one_is_refused(model, photo, score):
    with pytest.raises(UsageError, match="between 0 and 1"):
        model(photo, score=score)


def test_file_array_and_pillow_image_give_the_same(model, photo, photo_file):
    expected = model(photo)
    for image in (photo_file, str(photo_file), Image.fromarray(photo), photo.astype(np.uint8)):
        result = model(image)
        assert (result.boxes == expected.boxes).all()
        assert (result.picture == photo).all()


def test_the_result_knows_its_file(model, photo, photo_file):
    assert model(photo_file).path == photo_file
    assert model(str(photo_file)).path == photo_file
    assert model(photo).path is None


def test_reading_is_timed_for_files_alone(model, photo, photo_file):
    assert list(model(photo_file).speed) == list(STAGES)
    assert list(model(photo).speed) == list(STAGES[1:])
    assert min(model(photo_file).speed.values()) >= 0


def test_what_a_reduced_picture_holds_is_given_in_its_own_pixels(model):
    # The input is 32 x 32, so 133 x 190 is averaged over 2 x 2 blocks, the last one in part.
    result = model(np.zeros((133, 190, 3), np.uint8))
    assert result.boxes.tolist() == [[20, 20, 60, 60], [80, 10, 100, 30]]
    assert [mask.area for mask in result.masks] == [800, 400]
    assert (result.masks[0].x, result.masks[0].y) == (20, 20)


def test_each_side_is_reduced_for_itself(model):
    result = model(np.zeros((133, 270, 3), np.uint8))  # over 2 rows and 4 columns
    assert result.boxes.tolist() == [[40, 20, 120, 60], [160, 10, 200, 30]]
    assert [mask.area for mask in result.masks] == [1600, 800]
    assert (result.masks[0].x, result.masks[0].y) == (40, 20)


def test_the_network_is_shown_little_of_a_long_picture(model, monkeypatch):
    shown = []
    found = model._engine.run
    monkeypatch.setattr(
        model._engine, "run", lambda o, f: shown.append(f["picture"].shape) or found(o, f)
    )
    model(np.zeros((50, 20_000, 3), np.uint8))
    assert shown == [(50, 65, 3)]


def test_boxes_end_at_the_edge_of_the_picture(model):
    result = model(np.zeros((12, 45, 3), np.uint8))
    assert result.boxes.tolist() == [[10, 10, 30, 12], [40, 5, 45, 12]]
    assert result.full_masks().shape == (2, 12, 45)
    assert [mask.area for mask in result.masks] == [20, 35]


def test_a_bad_picture_is_an_image_error(model, tmp_path):
    with pytest.raises(ImageError, match="no such file"):
        model(tmp_path / "gone.jpg")


def test_calls_from_threads_agree(model, photo):
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda score: len(model(photo, score)), [0.5, 0.7, 0.95] * 8))
    assert counts == [2, 1, 0] * 8


def test_the_card_travels_in_the_file(model, model_file):
    assert (model.card.name, model.card.input_size) == ("tiny", (32, 32))
    assert model.path == model_file
    assert "tiny" in repr(model)
    assert "person" in repr(model)


def test_a_bundled_model_loads_by_name(bundle, add_card, make_model, photo):
    add_card()
    make_model(bundle / "tiny.onnx")
    assert len(load("tiny", threads=2)(photo)) == 2


@pytest.mark.parametrize("threads", [0, -1])
def test_no_threads_are_refused(model_file, threads):
    with pytest.raises(UsageError, match=f"threads={threads}"):
        load(model_file, threads=threads)


@pytest.mark.parametrize("content", [b"", b"<html>", bytes(1000)])
def test_a_file_that_is_not_onnx_is_a_model_error_that_names_it(tmp_path, content):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.onnx.*encompass export"):
        load(path)


def test_a_truncated_model_is_a_model_error(model_file):
    model_file.write_bytes(model_file.read_bytes()[:-60])
    with pytest.raises(ModelError, match=r"tiny\.onnx"):
        load(model_file)


@pytest.mark.parametrize(
    "changes", [{"renamed": {"boxes": "rectangles"}}, {"outputs": ("boxes", "scores")}]
)
def test_a_model_of_another_kind_is_a_model_error(make_model, tmp_path, changes):
    path = make_model(tmp_path / "foreign.onnx", **changes)
    with pytest.raises(ModelError, match=r"foreign\.onnx: is a model of another kind"):
        load(path)


@pytest.mark.parametrize("metadata", [{}, {"name": "no json"}])
def test_a_model_without_a_card_is_a_model_error(make_model, tmp_path, metadata):
    path = make_model(tmp_path / "bare.onnx", metadata=metadata)
    with pytest.raises(ModelError, match=r"bare\.onnx: has no model card"):
        load(path)


def test_category_ids_are_the_datasets(make_model, model, tmp_path, photo):
    card = dataclasses.replace(model.card, names=("dog",), category_ids=(18,))
    result = load(make_model(tmp_path / "dog.onnx", card=card))(photo)
    assert [record["category_id"] for record in result.to_coco(image_id=1)] == [18, 18]
