"""Fixtures that several parts use: a drawn picture, and tiny model files with a fixed answer."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encompass.schema import ANY_SIZE, ModelCard

CARD = ModelCard(
    name="tiny",
    task="instance",
    parameters=12,
    input_size=(32, 32),
    names=("person",),
    category_ids=(1,),
    licence="Apache-2.0",
    training_data="None: its answer is fixed.",
    scores={"mask AP50": 1.5},
)
# Two objects in a picture 60 wide and 40 high. The first has the left half of its area set, the
# second, on a smaller branch, all of it.
BOXES = np.asarray([[10, 10, 30, 30], [40, 5, 50, 15]], np.float32)
SCORES = np.asarray([0.9, 0.6], np.float32)
AREAS = np.asarray([[8, 8, 32, 32], [40, 0, 56, 16]], np.float32)
SIZES = np.asarray([[2, 2], [1, 1]], np.int64)
LOGITS = np.asarray([[[5, -5], [5, -5]], [[5, -9], [-9, -9]]], np.float32)


# A semantic model that answers, whatever the picture, ground left of the middle of its two columns
# of cells and person right of it. Sky is nowhere.
SEMANTIC_CARD = ModelCard(
    name="tiny-labels",
    task="semantic",
    parameters=12,
    input_size=ANY_SIZE,
    names=("ground", "person", "sky"),
    category_ids=(),
    colours=((0, 0, 0), (200, 100, 0), (0, 0, 255)),
    licence="Apache-2.0",
    training_data="None: its answer is fixed.",
)
SEMANTIC_LOGITS = np.asarray([[[1, 0], [1, 0]], [[0, 1], [0, 1]], [[-9, -9], [-9, -9]]], np.float32)


@pytest.fixture(scope="session")
def photo():
    """(40, 60, 3) uint8 RGB with different values everywhere."""
    y, x = np.mgrid[:40, :60]
    return np.stack([x * 4, y * 6, x + y], axis=2).astype(np.uint8)


@pytest.fixture
def photo_file(photo, tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    return path


@pytest.fixture(scope="session")
def make_model():
    """Writes a model file whose answer does not depend on the picture, only on the threshold."""
    onnx = pytest.importorskip("onnx", reason="model files are written with onnx")
    return lambda path, **changes: _write_model(onnx, path, **changes)


def _write_model(onnx, path, *, count=2, card=CARD, metadata=None, outputs=None, renamed=None):
    """The first `count` objects, those of enough score; `outputs` and `renamed` make it foreign."""
    from onnx import TensorProto, helper, numpy_helper

    values = {
        "boxes": BOXES,
        "scores": SCORES,
        "labels": np.zeros(len(BOXES), np.int64),
        "mask_areas": AREAS,
        "mask_sizes": SIZES,
        "mask_logits": LOGITS,
    }
    renamed = renamed or {}
    keep = tuple(outputs or values)
    nodes = [  # the picture takes part, or OpenVINO drops it
        helper.make_node("ReduceMin", ["picture"], ["darkest"], keepdims=0),
        helper.make_node("Cast", ["darkest"], ["dark"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["dark", "nothing"], ["none"]),
        helper.make_node("Add", ["score_threshold", "none"], ["least"]),
        helper.make_node("GreaterOrEqual", ["all_scores", "least"], ["kept"]),
    ]
    nodes += [
        helper.make_node("Compress", [f"all_{name}", "kept"], [renamed.get(name, name)], axis=0)
        for name in keep
    ]
    given = [numpy_helper.from_array(v[:count], f"all_{name}") for name, v in values.items()]
    given.append(numpy_helper.from_array(np.asarray(0.5, np.float32), "score_threshold"))
    given.append(numpy_helper.from_array(np.asarray(0.0, np.float32), "nothing"))
    graph = helper.make_graph(
        nodes,
        "fixed",
        [
            helper.make_tensor_value_info("picture", TensorProto.UINT8, ["height", "width", 3]),
            helper.make_tensor_value_info("score_threshold", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info(
                renamed.get(name, name),
                helper.np_dtype_to_tensor_dtype(values[name].dtype),
                [None] * values[name].ndim,
            )
            for name in keep
        ],
        initializer=given,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, card.to_metadata() if metadata is None else metadata)
    onnx.save(model, path)
    return path


@pytest.fixture
def make_semantic_model():
    """Writes a semantic model file with a fixed answer for pictures of up to twice the stride."""
    onnx = pytest.importorskip("onnx", reason="model files are written with onnx")
    return lambda path, *, stride=32: _write_semantic_model(onnx, path, stride)


def _write_semantic_model(onnx, path, stride):
    from onnx import TensorProto, helper, numpy_helper

    values = {"logits": SEMANTIC_LOGITS, "stride": np.asarray(stride, np.int64)}
    graph = helper.make_graph(
        [helper.make_node("Identity", [f"all_{name}"], [name]) for name in values],
        "fixed",
        [helper.make_tensor_value_info("picture", TensorProto.UINT8, ["height", "width", 3])],
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for name, value in values.items()
        ],
        initializer=[
            numpy_helper.from_array(value, f"all_{name}") for name, value in values.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, SEMANTIC_CARD.to_metadata())
    onnx.save(model, path)
    return path


@pytest.fixture
def semantic_file(make_semantic_model, tmp_path):
    return make_semantic_model(tmp_path / "tiny-labels.onnx")


@pytest.fixture
def model_file(make_model, tmp_path):
    return make_model(tmp_path / "tiny.onnx")


@pytest.fixture
def model(model_file):
    from encompass.run.predictor import load

    return load(model_file, threads=1)


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """An empty folder that stands in for the bundled models; `add` puts a card there."""
    import encompass.run.catalogue as catalogue

    folder = tmp_path / "bundle"
    folder.mkdir()
    monkeypatch.setattr(catalogue, "BUNDLE", folder)
    return folder


@pytest.fixture
def add_card(bundle):
    """Writes NAME.json into the bundle, as the exporter does."""

    def add(name="tiny", **changes):
        card = {key: json.loads(value) for key, value in CARD.to_metadata().items()}
        record = card | {"name": name, "sha256": "0" * 64, "size_bytes": 1} | changes
        (bundle / f"{name}.json").write_text(json.dumps(record))

    return add


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data beside the checkout; tests that need it skip where there is none."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data (shared/data beside the checkout) is not here")
    return folder


@pytest.fixture(scope="session")
def initial_weights():
    """The quantised SSD-MobileNet-v1 0.75 release; tests that need it skip where there is none."""
    name = "ssd_mobilenet_v1_0.75_coco_quant.tflite"
    path = Path(__file__).parents[2] / "shared" / "weights" / name
    if not path.is_file():
        pytest.skip(f"{name} (shared/weights beside the checkout) is not here")
    return path


@pytest.fixture(scope="session")
def imagenet_weights():
    """The folder of ImageNet releases; tests that need it skip where there is none."""
    folder = Path(__file__).parents[2] / "shared" / "weights"
    if not (folder / "squeezenet1_1_imagenet.npz").is_file():
        pytest.skip("the ImageNet releases (shared/weights beside the checkout) are not here")
    return folder


@pytest.fixture(scope="session")
def make_clip():
    """Writes a video whose frame i is all of grey level 40 + 20 * i, or thirty of noise."""
    av = pytest.importorskip("av", reason="videos are written with PyAV")
    return lambda path, **changes: _write_clip(av, path, **changes)


def _write_clip(av, path, *, size=(48, 64), codec="libx264", times=None, rate=10, noise=False):
    """`times` are milliseconds; without them frames are 1 / rate apart."""
    random = np.random.default_rng(0)
    options = {"movflags": "faststart"} if path.suffix in (".mp4", ".mov", ".m4v") else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(30 if noise else 8):
            picture = np.full((*size, 3), (40 + 20 * i) % 256, np.uint8)
            if noise:
                picture = random.integers(0, 256, picture.shape, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[i], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
