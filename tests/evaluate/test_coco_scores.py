"""COCO's scores: equal to pycocotools', and worked by hand where few things are found."""

import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from encompass.data.coco import load_coco
from encompass.data.drawn import draw_people
from encompass.data.instances import Annotation, Dataset, Sample, join, rasterise
from encompass.errors import UsageError
from encompass.evaluate.coco import METRICS, METRICS_AT_50, score_instances
from encompass.geometry.masks import rle_encode
from encompass.schema import BoxMask, Instances

TOLERANCE = 1e-9  # points


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return draw_people(tmp_path_factory.mktemp("drawn"), num_images=12, seed=2)


def instances(sample, boxes_xyxy, scores, labels, masks, names=("person",)):
    return Instances(
        height=sample.height,
        width=sample.width,
        boxes=np.asarray(boxes_xyxy, np.float32).reshape(-1, 4),
        scores=np.asarray(scores, np.float32),
        labels=np.asarray(labels, np.int64),
        masks=tuple(masks),
        names=names,
    )


def noisy_predictions(dataset, seed):
    """What a middling network finds: shifted, missed, doubled and invented people, tied scores."""
    rng = np.random.default_rng(seed)
    names = dataset.classes.names
    found = {}
    for number, sample in enumerate(dataset.samples):
        boxes, labels, masks = [], [], []
        for annotation in sample.annotations if number % 5 != 4 else ():
            if annotation.segmentation is not None:
                mask = rasterise(annotation.segmentation, sample.height, sample.width)
            else:
                mask = BoxMask(0, 0, np.zeros((0, 0), bool))
            x, y, w, h = annotation.box_xywh
            for _ in range(rng.integers(0, 4)):
                dx, dy, dw, dh = rng.normal(0, 0.08, 4) * [w, h, w, h]
                boxes.append([x + dx, y + dy, x + w + dx + dw, y + h + dy + dh])
                labels.append(rng.integers(len(names)))
                masks.append(BoxMask(mask.x, mask.y, np.roll(mask.pixels, rng.integers(5), 1)))
        for _ in range(rng.integers(0, 3)):
            boxes.append([5, 5, 25, 45])
            labels.append(0)
            masks.append(BoxMask(5, 5, rng.random((40, 20)) < 0.8))
        scores = np.sort(np.round(rng.random(len(boxes)), 1))[::-1]
        found[sample.path] = instances(sample, boxes, scores, labels, masks, names)
    return found


def oracle(path, dataset, found):
    """By pycocotools from the annotation file itself: its twelve numbers, those at IoU 0.50 alone
    (where those of other thresholds are -1), and its precision at every level of recall."""
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is the oracle")
    from pycocotools.cocoeval import COCOeval

    truth = coco.COCO(str(path))
    stats, at_50, precision = {}, {}, {}
    for key, kind in (("box", "bbox"), ("mask", "segm")):
        results = []
        for sample in dataset.samples:
            for one in found[sample.path]:
                x0, y0, x1, y1 = one.boxes[0].astype(float).tolist()
                size = {"height": sample.height, "width": sample.width}
                code = rle_encode(one.masks[0], **size)
                shape = {"bbox": [x0, y0, x1 - x0, y1 - y0]}
                category = dataset.classes.category_ids[int(one.labels[0])]
                results.append(
                    {"image_id": sample.image_id, "category_id": category}
                    | {"score": float(one.scores[0])}
                    | (shape if key == "box" else {"segmentation": code})
                )
        judge = COCOeval(truth, truth.loadRes(results), kind)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
        stats[key], precision[key] = judge.stats, judge.eval["precision"]
        judge.params.iouThrs = np.asarray([0.5])
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
        at_50[key] = dict(zip(METRICS, judge.stats, strict=True))
    return stats, at_50, precision


def assert_close(points, fractions):
    ours = [-1 if value is None else value / 100 for value in points]
    np.testing.assert_allclose(ours, list(fractions), rtol=0, atol=TOLERANCE / 100)


def assert_equal_to_oracle(scores, oracle):
    stats, at_50, precision = oracle
    for key in ("box", "mask"):
        assert tuple(scores[key]) == METRICS
        assert_close(scores[key].values(), stats[key])
        assert tuple(scores[f"{key}_at_50"]) == METRICS_AT_50
        assert_close(scores[f"{key}_at_50"].values(), (at_50[key][m] for m in METRICS_AT_50))
        assert at_50[key]["AP75"] == -1
        curves = scores["curves"][key]
        all_sizes = precision[key][..., 0, -1]  # (IoUs, recalls, classes)
        for name, chosen in (("0.50", [0]), ("0.75", [5]), ("0.50:0.95", range(10))):
            theirs = all_sizes[list(chosen)].mean(axis=(0, 2))
            np.testing.assert_allclose(curves[name], 100 * theirs, rtol=0, atol=0.005 + TOLERANCE)


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_pycocotools(people, seed):
    found = noisy_predictions(people, seed)
    scores = score_instances(people, found.__getitem__)
    assert_equal_to_oracle(scores, oracle(people.sources[0], people, found))
    assert 0 < scores["mask"]["AP"] < 100 and 0 < scores["box"]["AP"] < 100
    for key in ("box", "mask"):
        assert scores[f"{key}_at_50"]["AP"] == scores[key]["AP50"]
        for iou, metric in (("0.50", "AP50"), ("0.75", "AP75"), ("0.50:0.95", "AP")):
            area = np.mean(scores["curves"][key][iou])
            assert area == pytest.approx(scores[key][metric], abs=0.005)
    assert scores["num_images"] == 12
    assert scores["num_annotations"] == sum(len(sample.objects) for sample in people.samples)


def test_scores_of_several_classes_equal_pycocotools(people, tmp_path):
    content = json.loads(people.sources[0].read_text())
    content["categories"] = [{"id": 9, "name": "tall"}, {"id": 4, "name": "small"}]
    for record in content["annotations"]:
        record["category_id"] = 9 if record["bbox"][3] > 100 else 4
    content["images"].reverse()
    path = tmp_path / "two.json"
    path.write_text(json.dumps(content))
    dataset = load_coco(path, people.sources[0].parent / "images")
    found = noisy_predictions(dataset, 0)
    scores = score_instances(dataset, found.__getitem__)
    assert_equal_to_oracle(scores, oracle(path, dataset, found))


def perfect(sample):
    masks = [rasterise(a.segmentation, sample.height, sample.width) for a in sample.objects]
    count = len(masks)
    return instances(sample, sample.boxes_xyxy, np.ones(count), np.zeros(count), masks)


def by_path(dataset, predict):
    samples = {sample.path: sample for sample in dataset.samples}
    return lambda path: predict(samples[path])


def test_the_ground_truth_scores_a_hundred(people):
    scores = score_instances(people, by_path(people, perfect))
    for key in ("box", "mask"):
        assert scores[key]["AP"] == scores[key]["AR100"] == pytest.approx(100)


def test_finds_in_a_crowd_are_neither_right_nor_wrong(people):
    def with_crowd(sample):
        found = perfect(sample)
        crowds = [a for a in sample.annotations if a.crowd]
        masks = [rasterise(a.segmentation, sample.height, sample.width) for a in crowds]
        boxes = np.concatenate([sample.ignore_xyxy, found.boxes])
        count = len(boxes)
        return instances(sample, boxes, np.ones(count), np.zeros(count), (*masks, *found.masks))

    assert any(len(sample.ignore_xyxy) for sample in people.samples)
    scores = score_instances(people, by_path(people, with_crowd))
    assert scores["box"]["AP"] == scores["mask"]["AP"] == pytest.approx(100)


def nothing(sample):
    return instances(sample, [], [], [], [])


def test_finding_nothing_scores_zero(people):
    scores = score_instances(people, by_path(people, nothing))
    assert scores["box"]["AP"] == scores["mask"]["AP"] == 0


def test_a_dataset_without_people_has_no_scores(people):
    empty = dataclasses.replace(people, samples=people.samples[2:3])
    for predict in (nothing, lambda s: instances(s, [[1, 1, 9, 9]], [0.5], [0], [])):
        scores = score_instances(empty, by_path(empty, predict))
        assert set(scores["box"].values()) == set(scores["box_at_50"].values()) == {None}
        assert scores["curves"]["box"] is None
        assert scores["num_annotations"] == 0


@pytest.fixture
def two_people():
    """A picture 200 x 200 with two people 40 wide and 50 high, their masks the whole boxes."""
    annotations = tuple(
        Annotation(
            label=0,
            box_xywh=(x, 10, 40, 50),
            area=2000,
            crowd=False,
            segmentation=[[x, 10, x + 40, 10, x + 40, 60, x, 60]],
        )
        for x in (10, 100)
    )
    sample = Sample(Path("a.jpg"), 1, 200, 200, annotations)
    return Dataset((sample,), people_classes(), (Path("a.json"),))


FIRST = BoxMask(10, 10, np.ones((50, 40), bool))
NO_MASK = BoxMask(0, 0, np.zeros((0, 0), bool))
HALF = 100 * 51 / 101  # 51 of the 101 recall levels 0, 0.01 .. 1 are reached with half the objects


def find(dataset, boxes, masks):
    scores = np.linspace(0.9, 0.5, len(boxes))
    return lambda _: instances(dataset.samples[0], boxes, scores, np.zeros(len(boxes)), masks)


def test_half_of_two_people_found_is_half_the_recall(two_people):
    scores = score_instances(two_people, find(two_people, [[10, 10, 50, 60]], []))
    assert "mask" not in scores and "mask_at_50" not in scores and "mask" not in scores["curves"]
    assert scores["box"]["AR100"] == scores["box_at_50"]["AR1"] == pytest.approx(50)
    assert scores["box"]["AP"] == scores["box_at_50"]["AP"] == pytest.approx(HALF)
    assert scores["box"]["APm"] == scores["box"]["AP"]
    assert scores["box"]["APs"] is scores["box"]["APl"] is scores["box_at_50"]["APl"] is None
    assert scores["curves"]["recall"] == list(range(101))
    assert scores["curves"]["box"]["0.75"] == [100.0] * 51 + [0.0] * 50


def test_the_best_f1_is_where_precision_and_recall_are_best_together(two_people):
    right, wrong, other = [10, 10, 50, 60], [150, 150, 190, 190], [100, 10, 140, 60]
    scores = score_instances(two_people, find(two_people, [right], []))
    assert scores["best_F1"] == {"box": {"F1": 66.67, "score": 0.9}}
    # With the third find precision is 2/3 and recall 1: F1 is 4/5.
    scores = score_instances(two_people, find(two_people, [right, wrong, other], []))
    assert scores["best_F1"] == {"box": {"F1": 80.0, "score": 0.5}}
    # With four wrong ones before it 2/6 and 1: 1/2, which is less than the first alone.
    scores = score_instances(two_people, find(two_people, [right, *[wrong] * 4, other], []))
    assert scores["best_F1"] == {"box": {"F1": 66.67, "score": 0.9}}
    scores = score_instances(two_people, find(two_people, [wrong], []))
    assert scores["best_F1"] == {"box": None}


def test_an_object_without_a_mask_counts_among_the_boxes_alone(two_people):
    boxes = [[150, 150, 190, 190], [10, 10, 50, 60], [100, 10, 140, 60]]
    scores = score_instances(two_people, find(two_people, boxes, (NO_MASK, FIRST, NO_MASK)))
    assert scores["mask"]["AP"] == pytest.approx(HALF)
    assert scores["box"]["AR100"] == pytest.approx(100)
    assert scores["box"]["AP"] == pytest.approx(100 * 2 / 3)  # one wrong find before two right ones


def test_a_mask_without_a_set_pixel_is_wrong(two_people):
    boxes = [[150, 150, 190, 190], [10, 10, 50, 60]]
    masks = (BoxMask(150, 150, np.zeros((40, 40), bool)), FIRST)
    scores = score_instances(two_people, find(two_people, boxes, masks))
    assert scores["mask"]["AP"] == pytest.approx(HALF / 2)


def people_classes():
    from encompass.data.classes import ClassTable

    return ClassTable(("person",), (1,))


def test_without_masks_boxes_alone_are_scored(people):
    no_masks = by_path(people, lambda s: dataclasses.replace(perfect(s), masks=()))
    scores = score_instances(people, no_masks)
    assert "mask" not in scores and scores["box"]["AP"] == pytest.approx(100)


def test_a_part_and_a_double_of_a_dataset_can_be_scored(people):
    predict = by_path(people, perfect)
    part = dataclasses.replace(people, samples=people.samples[:2])
    assert score_instances(part, predict)["num_images"] == 2
    # The ids of the doubled samples collide; they are still scored apart.
    doubled = score_instances(join([people, people]), predict)
    assert doubled["box"]["AP"] == pytest.approx(100)
    assert doubled["num_images"] == 24


def test_each_picture_is_predicted_once_and_progress_told(people, capfd):
    calls, told = Counter(), []

    def predict(path):
        calls[path] += 1
        return by_path(people, perfect)(path)

    score_instances(people, predict, progress=lambda done, total: told.append((done, total)))
    assert calls == Counter(sample.path for sample in people.samples)
    assert told == [(number, 12) for number in range(1, 13)]
    assert capfd.readouterr() == ("", "")


def test_other_classes_are_refused(people):
    def predict(sample):
        return dataclasses.replace(perfect(sample), names=("cat",))

    with pytest.raises(UsageError, match=r"\('cat',\) are not the dataset's \('person',\)"):
        score_instances(people, by_path(people, predict))
