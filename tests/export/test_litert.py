import dataclasses
import io
import json
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

from encompass.data.loader import to_network
from encompass.errors import ModelError, UsageError
from encompass.evaluate.network import network_predictor
from encompass.evaluate.semantic import label_predictor
from encompass.export.card import build_card
from encompass.export.parity import compare
from encompass.export.semantic_parity import compare_labels
from encompass.geometry.boxes import clip
from encompass.geometry.resize import reduce_picture
from encompass.models.zoo import SEMANTIC_MODELS, BranchSpec, exact, resizing
from encompass.pictures import read_picture
from encompass.run.engine import open_engine
from encompass.run.predictor import InstanceModel, SemanticModel, load

pytest.importorskip("ai_edge_litert", reason="LiteRT is an extra")
from encompass.export.litert import build_litert
from encompass.export.tflite_graph import TfliteWriter

NAMES = ("a", "b", "c")
COLOURS = [[0, 0, 0], [70, 130, 180], [220, 20, 60], [0, 0, 142]]


def card_of(network):
    names = [*NAMES, "d"][: network.num_classes]
    record = {
        "name": "tiny",
        "names": names,
        "colours": COLOURS,
        "category_ids": list(range(len(names))),
        "data": ["drawn"],
        "recipe": {"seed": 0},
    }
    return build_card(network, record, scores={}, commit="")


def save(network, path, *, size=None, half=False):
    path.write_bytes(build_litert(network, card_of(network), size=size, half=half))
    return path


@pytest.fixture
def pictures(tmp_path, drawn):
    """Of the network's size: what is resized before is rounded, which its own reader does not."""
    paths = [tmp_path / f"{seed}.png" for seed in range(3)]
    for seed, path in enumerate(paths):
        Image.fromarray(drawn(64, 64, seed)).save(path)
    return paths


def gap_of(network, path, pictures, *, score):
    exported = load(path, threads=1)
    assert isinstance(exported, InstanceModel)
    network_says = cache(network_predictor(network, names=exported.names, score=score))
    file_says = cache(lambda path: exported(path, score=score))
    for picture in pictures:  # the same boxes go without a mask
        ours, theirs = (
            [mask.pixels.size > 0 for mask in found(picture).masks]
            for found in (network_says, file_says)
        )
        assert ours == theirs
    return compare(network_says, file_says, pictures)


DEEPER = (
    BranchSpec(shape=(4, 3), convolutions=2, rate=3),
    BranchSpec(shape=(2, 2), rate=2),
    BranchSpec(shape=(1, 1)),
)
ROWS = {
    "multi-shape": {},
    "softmax": {"score": "softmax"},
    "ranked by mask": {"mask_confidence": True},
    "single-branch": {"branches": (BranchSpec(shape=(3, 3), pool="max"),)},
    "single-shape": {"branches": exact([(2, 2), (1, 2), (2, 1)])},
    "single-shape-plus": {"branches": (*exact([(2, 2), (1, 2)]), *resizing([(3, 3)]))},
    "limited": {"branches": resizing([(4, 3), (2, 2), (1, 1)], max_boxes=3)},
    "limited past one part": {"branches": resizing([(4, 4)], max_boxes=13)},
    "few boxes": {"max_boxes": 7},
    "limited and ranked by mask": {
        "branches": (*exact([(1, 2)]), *resizing([(3, 3)], max_boxes=3)),
        "mask_confidence": True,
    },
    "atrous and deeper": {"branches": DEEPER},
    "box channels": {"box_channels": True},
    "shared, with box channels": {"shared": True, "box_channels": True, "mask_confidence": True},
    "refined": {"refine": True},
    "by aspect": {"branches": resizing([(3, 4), (4, 3), (2, 1)]), "routing": "aspect"},
    "fcn16": {"crop_blocks": (11, 5)},
    "fcn32": {"crop_blocks": (11,)},
    "aligned": {"branches": (BranchSpec(shape=(3, 3), pool="mean"),), "crop": "box"},
    "aligned, two shapes": {"branches": resizing([(3, 3), (2, 1)]), "crop": "box"},
    "mask-rcnn": {
        "branches": (BranchSpec(shape=(3, 3), pool="mean"),),
        "crop": "box",
        "head": "mask-rcnn",
    },
}


def test_pixel_anchors_and_a_fine_map_are_exported_as_they_compute(tmp_path, drawn, tiny_instance):
    picture = tmp_path / "picture.png"  # at 64 pixels all anchors would be the whole picture
    Image.fromarray(drawn(320, 320, 0)).save(picture)
    network = tiny_instance(anchors="pixels", fine_map=True, input_size=320)
    with torch.no_grad():  # its features are larger: scores that are all 1 would tell nothing
        for tensor in network.detector.fine.predictor.parameters():
            tensor *= 0.1
    gap = gap_of(network, save(network, tmp_path / "tiny.tflite"), [picture], score=0.4)
    assert gap.objects > 20
    assert gap.unmatched == 0
    assert gap.box < 1e-4
    assert gap.score < 1e-5


@pytest.mark.parametrize("row", ROWS)
def test_every_kind_of_row_is_exported_as_it_computes(tmp_path, pictures, tiny_instance, row):
    network = tiny_instance(**ROWS[row])
    score = 0.2 if network.spec.mask_confidence else 0.4
    gap = gap_of(network, save(network, tmp_path / "tiny.tflite"), pictures, score=score)
    assert gap.objects > 20
    assert gap.unmatched == 0
    assert gap.box < 1e-4
    assert gap.score < 1e-5
    assert gap.equal_pixels > 0.9999


@pytest.mark.parametrize("score", ["sigmoid", "softmax"])
def test_classes_keep_their_labels_and_masks(tmp_path, pictures, tiny_instance, score):
    network = tiny_instance(num_classes=3, score=score)
    path = save(network, tmp_path / "tiny.tflite")
    least = {"sigmoid": 0.5, "softmax": 0.4}[score]
    gap = gap_of(network, path, pictures, score=least)
    assert gap.objects > 20
    assert gap.unmatched == 0
    assert gap.equal_pixels > 0.9999
    found = load(path, threads=1)(pictures[0], score=least)
    assert set(found.labels.tolist()) == {0, 1, 2}


def test_every_branch_is_compared(pictures, tiny_instance):
    network, used = tiny_instance(), set()
    for path in pictures:
        with torch.no_grad():
            outputs = network(to_network(read_picture(path), (64, 64))[None])
            boxes = network.detect(outputs, score=0.4)[0].boxes_xyxy
            features = {block: feature[0] for block, feature in outputs.features.items()}
            used |= set(network.masks(features, boxes).branches.tolist())
    assert used == {0, 1, 2}


def test_a_box_without_extent_is_chosen_once(tmp_path, drawn, tiny_instance):
    network = tiny_instance()
    with torch.no_grad():
        for head in network.detector.predictors:
            head.offsets.bias[1::4] += 1000  # of x: past the picture's edge, and cut to it
    found = load(save(network, tmp_path / "tiny.tflite"), threads=1)(drawn(64, 64), score=0.1)
    assert found.boxes[:, [0, 2]].min() == 64
    assert len(np.unique(found.boxes, axis=0)) == len(found) > 1


@pytest.mark.parametrize("row", ["multi-shape", "ranked by mask", "single-shape"])
def test_nothing_is_found_where_nothing_is(tmp_path, pictures, tiny_instance, row):
    exported = load(save(tiny_instance(**ROWS[row]), tmp_path / "tiny.tflite"), threads=1)
    assert len(exported(pictures[0], score=1.0)) == 0
    assert len(exported(pictures[0], score=0.2)) > 0  # and the next call is none the wiser
    assert len(exported(pictures[0], score=1.0)) == 0


@pytest.mark.parametrize(("size", "factors"), [((50, 90), (1, 1)), ((301, 200), (2, 1))])
def test_a_picture_of_another_size_is_shown_at_the_files(
    tmp_path, drawn, tiny_instance, size, factors
):
    exported = load(save(tiny_instance(), tmp_path / "tiny.tflite"), threads=1)
    picture = drawn(*size)
    reduced = reduce_picture(picture, factors)  # what is large is averaged over blocks first
    shown = np.asarray(Image.fromarray(reduced).resize((64, 64), Image.Resampling.BILINEAR))
    ours, theirs = exported(picture, score=0.4), exported(shown, score=0.4)
    assert len(ours) == len(theirs) > 5
    (fy, fx), (height, width) = factors, reduced.shape[:2]
    scale = np.asarray([fx * width / 64, fy * height / 64] * 2, np.float32)
    boxes = clip(theirs.boxes * scale, *size)
    np.testing.assert_allclose(ours.boxes, boxes, rtol=1e-5, atol=1e-4)
    assert ours.full_masks().shape == (len(ours), *size)
    assert ours.full_masks().any()


def test_half_precision_storage_halves_the_file(tmp_path, pictures, tiny_instance):
    network = tiny_instance()
    full = save(network, tmp_path / "full.tflite")
    half = save(network, tmp_path / "half.tflite", half=True)
    assert half.stat().st_size < 0.65 * full.stat().st_size
    assert 0 < gap_of(network, half, pictures, score=0.4).score < 0.02


def test_weights_that_branches_share_are_in_the_file_once(tmp_path, tiny_instance):
    apart = save(tiny_instance(), tmp_path / "apart.tflite").stat().st_size
    network = tiny_instance(shared=True)
    shared = save(network, tmp_path / "shared.tflite").stat().st_size
    branch = 4 * sum(p.numel() for p in network.head(0).parameters())
    assert apart - shared == pytest.approx(2 * branch, rel=0.05)


def test_an_instance_network_takes_no_size_but_its_own(tiny_instance):
    network = tiny_instance()
    own = build_litert(network, card_of(network), size=(64, 64), half=False)
    assert own == build_litert(network, card_of(network), half=False)
    with pytest.raises(UsageError, match=r"size=64x96.*are 64x64"):
        build_litert(network, card_of(network), size=(64, 96), half=False)


SHALLOW = dataclasses.replace(
    SEMANTIC_MODELS["mobilenet0.5"], encoder="mobilenet-shallow", maps=(8, 6)
)
OLDER = dataclasses.replace(SEMANTIC_MODELS["stride4-squeezenet"], encoder="squeezenet1.0")
SPECS = SEMANTIC_MODELS | {"shallow": SHALLOW, "squeezenet1.0": OLDER}


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *((name, (45, 77)) for name in SPECS),
        ("squeezenet", (64, 96)),
        ("fcn8-mobilenet0.5", (1, 1)),
    ],
)
def test_logits_are_the_networks(tmp_path, drawn, tiny_semantic, name, size):
    network = tiny_semantic(SPECS[name])
    exported = load(save(network, tmp_path / "tiny.tflite", size=size), threads=1)
    assert isinstance(exported, SemanticModel)
    picture = drawn(*size)
    logits, stride = exported._engine.run(["logits", "stride"], {"picture": picture})
    with torch.no_grad():
        expected = network(torch.from_numpy(picture).permute(2, 0, 1)[None].float())[0].numpy()
    assert stride == network.stride
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=3e-4 * expected.std() + 1e-5)


def test_labels_are_those_of_the_network(tmp_path, drawn, tiny_semantic):
    network = tiny_semantic(SPECS["fcn8-mobilenet0.5"])
    Image.fromarray(drawn(45, 77)).save(tmp_path / "picture.png")
    exported = load(save(network, tmp_path / "tiny.tflite", size=(45, 77)), threads=1)
    gap = compare_labels(
        label_predictor(network), lambda path: exported(path).labels, [tmp_path / "picture.png"]
    )
    assert gap.classes >= 2
    assert gap.equal_pixels >= 0.9999


def test_labels_come_back_at_the_size_of_the_picture(tmp_path, drawn, tiny_semantic):
    path = save(tiny_semantic(SPECS["squeezenet"]), tmp_path / "tiny.tflite", size=(48, 64))
    exported, picture = load(path, threads=1), drawn(96, 192)
    shown = np.asarray(Image.fromarray(picture).resize((64, 48), Image.Resampling.BILINEAR))
    twice_and_thrice = exported(shown).labels.repeat(2, axis=0).repeat(3, axis=1)
    np.testing.assert_array_equal(exported(picture).labels, twice_and_thrice)


def test_a_semantic_network_needs_a_size(tiny_semantic):
    network = tiny_semantic(SPECS["squeezenet"])
    with pytest.raises(UsageError, match="of one size"):
        build_litert(network, card_of(network), half=False)


@pytest.fixture
def tiny_file(tmp_path, tiny_instance):
    return save(tiny_instance(), tmp_path / "tiny.tflite")


def test_the_card_travels_in_the_file(tiny_file, tiny_instance):
    model = load(tiny_file, threads=1)
    assert model.card == card_of(tiny_instance())
    with zipfile.ZipFile(tiny_file) as archive:
        assert json.loads(archive.read("encompass.json"))["name"] == '"tiny"'


def test_the_engine_tells_the_size_of_its_pictures(tiny_file):
    engine = open_engine(tiny_file, threads=1)
    assert (engine.runtime, engine.picture_size) == ("ai-edge-litert", (64, 64))


def test_calls_from_threads_agree(tiny_file, drawn):
    model, picture = load(tiny_file, threads=1), drawn(64, 64)
    scores = [0.4, 0.6, 1.0]
    expected = [len(model(picture, score)) for score in scores] * 8
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda score: len(model(picture, score)), scores * 8)) == expected


def empty(data):
    return b""


def cut(data):
    return data[: len(data) // 2]


def cut_at_the_end(data):
    return data[:-1]


def without_its_card(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return data[: archive.infolist()[0].header_offset]


def with_one_byte_changed(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]


def a_zip_alone(data):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("encompass.json", "[]")
    return file.getvalue()


@pytest.mark.parametrize(
    "harm", [empty, cut, cut_at_the_end, without_its_card, with_one_byte_changed, a_zip_alone]
)
def test_a_file_that_is_not_whole_is_a_model_error(tiny_file, harm):
    tiny_file.write_bytes(harm(tiny_file.read_bytes()))
    with pytest.raises(ModelError, match=r"tiny\.tflite.*encompass export"):
        load(tiny_file, threads=1)


def test_a_model_of_another_kind_is_a_model_error(tmp_path):
    g = TfliteWriter(half=False)
    double = g.op("ADD", *[g.input((2,), np.float32, name="number")] * 2)
    path = tmp_path / "foreign.tflite"
    path.write_bytes(g.model({"double": double}, metadata={}))
    with pytest.raises(ModelError, match=r"foreign\.tflite: is a model of another kind"):
        load(path, threads=1)


def test_without_litert_the_way_out_is_told(tiny_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(ModelError, match=r"pip install '\.\[litert\]' in the checkout"):
        load(tiny_file, threads=1)
