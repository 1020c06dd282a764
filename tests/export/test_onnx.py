import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from encompass.data.loader import to_network
from encompass.errors import ParityError
from encompass.evaluate.network import network_predictor
from encompass.export.card import build_card
from encompass.export.onnx import build_onnx
from encompass.export.parity import TOLERANCES, Gap, check_accuracy, check_parity, compare
from encompass.export.rewrite import half_weights
from encompass.models.instance import SsdIsb
from encompass.models.zoo import BranchSpec, InstanceSpec, exact, resizing
from encompass.run.predictor import load

SPEC = InstanceSpec(
    multiplier=0.25,
    input_size=64,
    branches=resizing([(4, 3), (2, 2), (1, 1)]),
    crop_blocks=(11, 5, 3),
)
RECORD = {
    "name": "tiny",
    "names": ["person"],
    "category_ids": [1],
    "data": ["drawn"],
    "recipe": {"seed": 0},
}


def build(spec=SPEC, num_classes=1):
    torch.manual_seed(0)
    network = SsdIsb(spec, num_classes=num_classes).eval()
    for head in network.detector.heads:  # scores that differ from anchor to anchor
        torch.nn.init.normal_(head.scores.weight, std=2.0)
        torch.nn.init.normal_(head.offsets.weight, std=0.5)
    with torch.no_grad():  # masks that are neither all set nor all unset
        features = {n: f[0] for n, f in network(torch.rand(1, 3, 64, 64) * 255).features.items()}
        cells = np.asarray([[0.0, 0, 4, 4]], np.float32)
        for number in range(len(network.spec.branches)):
            crops = network.crops(features, cells, number)
            branch = network.head(number)
            logits = branch(network.with_box(crops, cells * network.stride, cells))
            branch.score.bias -= logits.mean(dim=(0, 2, 3))
    return network


def save(network, path, record=RECORD, half=False):
    card = build_card(network, record, scores={}, commit="")
    graph = build_onnx(network, card)
    path.write_bytes((half_weights(graph) if half else graph).SerializeToString())
    return path


def test_the_card_has_the_licence_asked_for_else_the_checkpoints_else_says_that_none_is_known():
    network, said = build(), RECORD | {"licence": "CC-BY-NC-4.0"}
    for record, licence, expected in [
        (said, "CC0-1.0", "CC0-1.0"),
        (said, None, "CC-BY-NC-4.0"),
        (RECORD, None, "NOASSERTION"),
        (RECORD | {"licence": None}, None, "NOASSERTION"),
    ]:
        card = build_card(network, record, scores={}, licence=licence, commit="")
        assert card.licence == expected


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    paths = []
    for i, (height, width) in enumerate([(64, 64), (50, 90), (300, 200), (1, 40)]):
        coarse = rng.integers(0, 256, (9, 9, 3)).astype(np.uint8)
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(paths[-1])
    return paths


@pytest.mark.parametrize(
    ("change", "score"),
    [({"score": "sigmoid"}, 0.4), ({"score": "softmax"}, 0.4), ({"mask_confidence": True}, 0.25)],
)
def test_the_file_computes_what_the_network_computes(tmp_path, pictures, change, score):
    network = build(dataclasses.replace(SPEC, **change))
    exported = load(save(network, tmp_path / "tiny.onnx"), threads=1)
    reference = network_predictor(network, names=("person",), score=score)
    gap = compare(reference, lambda path: exported(path, score=score), pictures)
    assert gap.objects > 20
    assert gap.unmatched == 0
    assert gap.box < 1e-4
    assert gap.score < 1e-5
    assert gap.equal_pixels > 0.9999


DEEPER = (
    BranchSpec(shape=(4, 3), convolutions=2, rate=3),
    BranchSpec(shape=(2, 2), rate=2),
    BranchSpec(shape=(1, 1)),
)


@pytest.mark.parametrize(
    "change",
    [
        {"branches": (BranchSpec(shape=(3, 3), pool="max"),)},
        {"branches": exact([(2, 2), (1, 2), (2, 1)])},
        {"branches": (*exact([(2, 2), (1, 2)]), *resizing([(3, 3)]))},
        {"branches": resizing([(4, 3), (2, 2), (1, 1)], max_boxes=3)},
        {"branches": DEEPER},
        {"box_channels": True},
        {"shared": True, "box_channels": True, "mask_confidence": True},
        {"branches": (BranchSpec(shape=(3, 3), pool="max"),), "box_channels": True},
        {"refine": True},
        {"branches": resizing([(3, 4), (4, 3), (2, 1)]), "routing": "aspect"},
        {
            "branches": resizing([(3, 3), (2, 4)]),
            "routing": "aspect",
            "crop": "box",
            "box_channels": True,
        },
        {
            "branches": (*exact([(1, 2)]), *resizing([(3, 3)], max_boxes=3)),
            "mask_confidence": True,
        },
        {"crop_blocks": (11, 5)},
        {"crop_blocks": (11,)},
        {"anchors": "pixels", "input_size": 320},
        {"anchors": "pixels", "fine_map": True, "input_size": 320},
        {"branches": (BranchSpec(shape=(3, 3), pool="mean"),), "crop": "box"},
        {
            "branches": (BranchSpec(shape=(3, 3), pool="mean"),),
            "crop": "box",
            "head": "mask-rcnn",
        },
    ],
    ids=[
        *("single-branch", "single-shape", "single-shape-plus", "limited", "atrous and deeper"),
        *("box channels", "shared, with box channels", "pooled, with box channels"),
        *("refined", "by aspect", "aligned by aspect"),
        "limited and ranked by mask",
        *("fcn16", "fcn32", "pixel anchors", "fine map", "aligned", "mask-rcnn"),
    ],
)
def test_every_kind_of_row_is_exported_as_it_computes(tmp_path, pictures, change):
    network = build(dataclasses.replace(SPEC, **change))
    exported = load(save(network, tmp_path / "tiny.onnx"), threads=1)
    score = 0.2 if network.spec.mask_confidence else 0.4
    reference = network_predictor(network, names=("person",), score=score)
    gap = compare(reference, lambda path: exported(path, score=score), pictures)
    assert gap.objects > 20
    assert gap.unmatched == 0
    assert gap.equal_pixels > 0.999
    for path in pictures:
        ours = [mask.pixels.size for mask in reference(path).masks]
        theirs = [mask.pixels.size for mask in exported(path, score=score).masks]
        assert [size > 0 for size in ours] == [size > 0 for size in theirs]


def test_a_score_is_the_boxs_times_the_confidence_of_its_mask(tmp_path, pictures):
    plain, ranked = build(), build(dataclasses.replace(SPEC, mask_confidence=True))
    by_box = load(save(plain, tmp_path / "plain.onnx"), threads=1)(pictures[0], score=0.25)
    by_mask = load(save(ranked, tmp_path / "ranked.onnx"), threads=1)(pictures[0], score=0.25)
    assert 0 < len(by_mask) < len(by_box)
    assert (np.diff(by_mask.scores) <= 0).all()
    assert (by_mask.scores > 0.25).all()
    for one in by_mask:
        same = np.abs(by_box.boxes - one.boxes).max(axis=1).argmin()
        assert 0.5 - 1e-6 <= one.scores[0] / by_box.scores[same] <= 1
        assert (one.masks[0].pixels == by_box.masks[same].pixels).all()


def test_every_branch_is_compared(tmp_path, pictures):
    network = build()
    from encompass.pictures import read_picture

    used = set()
    for path in pictures:
        with torch.no_grad():
            outputs = network(to_network(read_picture(path), (64, 64))[None])
            boxes = network.detect(outputs, score=0.4)[0].boxes_xyxy
            features = {b: f[0] for b, f in outputs.features.items()}
            used |= set(network.masks(features, boxes).branches.tolist())
    assert used == {0, 1, 2}


def test_classes_keep_their_labels_and_masks(tmp_path, pictures):
    network = build(num_classes=3)
    record = RECORD | {"names": ["a", "b", "c"], "category_ids": [1, 2, 3]}
    exported = load(save(network, tmp_path / "tiny.onnx", record), threads=1)
    reference = network_predictor(network, names=("a", "b", "c"), score=0.5)
    gap = compare(reference, lambda path: exported(path, score=0.5), pictures)
    assert gap.objects > 20
    assert gap.unmatched == 0
    assert gap.equal_pixels > 0.9999
    assert set(exported(pictures[0], score=0.5).labels.tolist()) == {0, 1, 2}


def test_branches_see_as_many_crops_as_boxes_came_to_them(tmp_path, pictures):
    import onnx
    import onnxruntime

    model = onnx.load(save(build(), tmp_path / "tiny.onnx"))
    crops = [node.output[0] for node in model.graph.node if node.op_type == "RoiAlign"]
    assert len(crops) == 9  # three branches, three maps
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in crops)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    picture = np.asarray(Image.open(pictures[0]))
    for score in (1.0, 0.4):
        feed = {"picture": picture, "score_threshold": np.asarray(score, np.float32)}
        boxes, _, _, areas, sizes, logits, *seen = session.run(None, feed)
        assert len(boxes) == len(areas) == len(sizes) == len(logits)
        assert [sum(len(c) for c in seen[i::3]) for i in range(3)] == [len(boxes)] * 3
        assert (len(boxes) == 0) == (score == 1.0)
        assert logits.shape[1:] == (16, 12)


@pytest.mark.parametrize(("shapes", "wide"), [([(4, 3)], False), ([(4, 3), (1, 1)], True)])
def test_the_maps_of_one_branch_are_cropped_after_their_1x1(shapes, wide):
    network = build(dataclasses.replace(SPEC, branches=resizing(shapes)))
    graph = build_onnx(network, build_card(network, RECORD, scores={}, commit="")).graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    sources = [made_by[n.input[0]] for n in graph.node if n.op_type == "RoiAlign"]
    assert sources[1:3] == ["If" if wide else "Conv"] * 2  # a large shape, stride 8 and 4
    assert ("If" in made_by.values()) == wide


def test_half_precision_storage_halves_the_file_and_stays_in_tolerance(tmp_path, pictures):
    network = build()
    full = save(network, tmp_path / "full.onnx")
    half = save(network, tmp_path / "half.onnx", half=True)
    assert half.stat().st_size < 0.65 * full.stat().st_size
    exported = load(half, threads=1)
    reference = network_predictor(network, names=("person",), score=0.4)
    gap = compare(reference, lambda path: exported(path, score=0.4), pictures)
    assert 0 < gap.score < 0.02


def test_the_card_travels_in_the_file(tmp_path):
    network = build()
    card = load(save(network, tmp_path / "tiny.onnx"), threads=1).card
    assert card.name == "tiny"
    assert card.input_size == (64, 64)
    assert card.recipe == {"seed": 0}


GOOD = Gap(pictures=2, objects=100, unmatched=0, box=0.0, score=0.0, equal_pixels=1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objects": 0}, "nothing was found"),
        ({"unmatched": 3}, "3 of 100 objects"),
        ({"box": 0.006}, "boxes differ by 0.60% of their size"),
        ({"score": 0.01}, "scores differ"),
        ({"equal_pixels": 0.99}, "99.000% of mask pixels"),
    ],
)
def test_each_figure_out_of_tolerance_is_named(change, message):
    check_parity(GOOD, TOLERANCES["fp32"], "model.onnx")
    with pytest.raises(ParityError, match=message):
        check_parity(dataclasses.replace(GOOD, **change), TOLERANCES["fp32"], "model.onnx")


def test_scores_that_moved_are_named():
    before = {"mask AP": 20.0, "box AP": 30.0}
    check_accuracy(before, {"mask AP": 20.05, "box AP": 29.95}, 0.1, "model.onnx")
    with pytest.raises(ParityError, match=r"model.onnx: .*: box AP is 29.80, was 30.00: more than"):
        check_accuracy(before, {"mask AP": 20.0, "box AP": 29.8}, 0.1, "model.onnx")
    with pytest.raises(ParityError, match="mask AP cannot be told"):
        check_accuracy({"mask AP": None}, {"mask AP": None}, 0.1, "model.onnx")


def test_a_wrong_file_is_noticed(tmp_path, pictures):
    network, other = build(), build()
    other.branches[0].score.bias.data += 0.5
    exported = load(save(other, tmp_path / "tiny.onnx"), threads=1)
    reference = network_predictor(network, names=("person",), score=0.4)
    gap = compare(reference, lambda path: exported(path, score=0.4), pictures)
    with pytest.raises(ParityError, match="mask pixels"):
        check_parity(gap, TOLERANCES["fp32"], tmp_path / "tiny.onnx")


def test_an_object_that_is_not_sure_may_lack_a_partner(tmp_path, pictures):
    predict = network_predictor(build(), names=("person",), score=0.4)

    def without_the_last(path):
        found = predict(path)
        return found[: len(found) - 1]

    last = max(predict(path).scores[-1] for path in pictures)
    for sure, unmatched in ((0.0, len(pictures)), (last + 1e-6, 0)):
        assert compare(predict, without_the_last, pictures, sure=sure).unmatched == unmatched


def test_weights_that_branches_share_are_in_the_file_once(tmp_path):
    apart = save(build(), tmp_path / "apart.onnx").stat().st_size
    network = build(dataclasses.replace(SPEC, shared=True))
    shared = save(network, tmp_path / "shared.onnx").stat().st_size
    branch = 4 * sum(p.numel() for p in network.head(0).parameters())
    assert apart - shared == pytest.approx(2 * branch, rel=0.05)
