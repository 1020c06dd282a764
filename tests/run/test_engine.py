"""The same graph in each runtime gives the same, and each refuses what it cannot open."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest

from encompass.errors import ModelError
from encompass.export.openvino import save_openvino, to_openvino
from encompass.run.engine import open_engine
from encompass.run.engine_openvino import computed_in
from encompass.run.predictor import load

pytest.importorskip("openvino")
pytestmark = pytest.mark.openvino


@pytest.fixture
def ir_file(make_model, tmp_path):
    """The tiny model of the other tests as .xml and .bin."""
    graph = onnx.load(make_model(tmp_path / "tiny.onnx"))
    save_openvino(to_openvino(graph), tmp_path / "tiny.xml", half=False)
    return tmp_path / "tiny.xml"


def test_both_runtimes_say_the_same_of_a_file(make_model, tmp_path, ir_file):
    ours = open_engine(tmp_path / "tiny.onnx", threads=1)
    theirs = open_engine(ir_file, threads=1)
    assert (ours.runtime, theirs.runtime) == ("onnxruntime", "openvino")
    assert ours.inputs == theirs.inputs
    assert ours.outputs == theirs.outputs
    assert dict(ours.metadata) == dict(theirs.metadata)


def test_a_model_is_the_same_in_both(tmp_path, ir_file, photo):
    a, b = load(tmp_path / "tiny.onnx"), load(ir_file)
    assert a.card == b.card
    photo = photo[:32, :32]  # of the input's size: OpenVINO's files are shown nothing larger
    for score in (0.5, 0.7, 0.95):
        first, second = a(photo, score), b(photo, score)
        np.testing.assert_array_equal(first.boxes, second.boxes)
        np.testing.assert_array_equal(first.full_masks(), second.full_masks())


def test_a_larger_picture_is_made_smaller_for_openvino_and_boxes_are_in_its_own_pixels(
    ir_file, photo
):
    # The model's answer is fixed: here it is in pixels of 32 x 32, for a picture of 40 x 60.
    result = load(ir_file)(photo)
    expected = [[10 * 60 / 32, 10 * 40 / 32, 30 * 60 / 32, 30 * 40 / 32]]
    np.testing.assert_allclose(result.boxes[:1], expected)


def test_openvino_answers_several_threads_at_once(ir_file, photo):
    model = load(ir_file)
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda score: len(model(photo, score)), [0.5, 0.7, 0.95] * 8))
    assert counts == [2, 1, 0] * 8


def of_one_size(path, height, width):
    """The same ONNX file for pictures of one size."""
    graph = onnx.load(path)
    shape = graph.graph.input[0].type.tensor_type.shape
    shape.dim[0].dim_value, shape.dim[1].dim_value = height, width
    onnx.save(graph, path)


def test_a_file_of_one_size_is_shown_pictures_at_that_size(make_model, tmp_path, photo):
    path = make_model(tmp_path / "tiny.onnx")
    assert open_engine(path, threads=1).picture_size is None
    of_one_size(path, 20, 15)
    save_openvino(to_openvino(onnx.load(path)), tmp_path / "tiny.xml", half=False)
    for file in (path, tmp_path / "tiny.xml"):
        assert open_engine(file, threads=1).picture_size == (20, 15)
        result = load(file)(photo)  # 40 x 60: half as high, a quarter as wide
        assert result.boxes.tolist() == [[40, 20, 60, 40], [60, 10, 60, 30]]


def test_weights_that_are_missing_are_named(ir_file):
    ir_file.with_suffix(".bin").unlink()
    with pytest.raises(ModelError, match=r"tiny\.bin, are not beside it"):
        load(ir_file)


@pytest.mark.parametrize(
    ("suffix", "harm"),
    [
        (".xml", lambda data: data[:500]),
        (".xml", lambda data: b""),
        (".xml", lambda data: b"<html></html>"),
        (".bin", lambda data: data[: len(data) // 2]),
        (".bin", lambda data: b""),
    ],
)
def test_a_file_that_is_not_whole_is_a_model_error(ir_file, suffix, harm):
    path = ir_file.with_suffix(suffix)
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(ModelError, match=r"tiny\.xml.*OpenVINO can open"):
        load(ir_file)


def test_weights_that_are_not_the_files_own_are_a_model_error(ir_file):
    weights = ir_file.with_suffix(".bin")
    whole = weights.read_bytes()
    weights.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    with pytest.raises(ModelError, match=r"tiny\.bin beside it is damaged or of another file"):
        load(ir_file)
    weights.write_bytes(whole)
    load(ir_file)


@pytest.mark.parametrize(
    ("precision", "computed"),
    [("fp32", "f32"), ("fp16", "f32"), ("bf16", "bf16"), ("int8", "bf16"), (None, "f32")],
)
def test_what_is_computed_in_bfloat16(precision, computed):
    assert computed_in(precision) == computed


@pytest.mark.parametrize(
    ("name", "said"),
    [("a.safetensors", "models are not run from checkpoints"), ("a.pt", "no runtime opens this")],
)
def test_a_file_that_no_runtime_opens_is_told_the_way_out(tmp_path, name, said):
    with pytest.raises(ModelError, match=said):
        open_engine(tmp_path / name, threads=1)


def test_a_model_of_another_kind_is_a_model_error(make_model, tmp_path):
    graph = onnx.load(make_model(tmp_path / "foreign.onnx", outputs=("boxes", "scores")))
    save_openvino(to_openvino(graph), tmp_path / "foreign.xml", half=False)
    with pytest.raises(ModelError, match=r"foreign\.xml: is a model of another kind"):
        load(tmp_path / "foreign.xml")


def test_a_model_without_a_card_is_a_model_error(make_model, tmp_path):
    graph = onnx.load(make_model(tmp_path / "bare.onnx", metadata={}))
    save_openvino(to_openvino(graph), tmp_path / "bare.xml", half=False)
    with pytest.raises(ModelError, match=r"bare\.xml: has no model card"):
        load(tmp_path / "bare.xml")


def test_without_openvino_the_way_out_is_told(ir_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ModelError, match=r"pip install '\.\[openvino\]' in the checkout"):
        load(ir_file)
