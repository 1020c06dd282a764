"""mIoU by hand, and equal to Cityscapes' own judge."""

import contextlib
import io

import numpy as np
import pytest
from PIL import Image

from encompass.data.cityscapes import OFFICIAL_IDS, TABLE, load_cityscapes
from encompass.data.drawn_streets import draw_streets
from encompass.data.labels import IGNORE
from encompass.evaluate.miou import (
    class_ious,
    count_confusion,
    mean_iou,
    pixel_accuracy,
    score_labels,
)

TRUTH = np.asarray([[0, 0, 0, 0], [1, 1, 1, 1], [255, 255, 0, 1]], np.uint8)
FOUND = np.asarray([[0, 0, 0, 1], [1, 1, 1, 255], [0, 2, 0, 2]], np.uint8)


def test_pixels_are_counted_with_truth_as_rows_and_no_class_last():
    confusion = count_confusion(TRUTH, FOUND, 3)
    assert confusion.tolist() == [[4, 1, 0, 0], [0, 3, 1, 1], [0, 0, 0, 0]]
    assert class_ious(confusion) == pytest.approx([4 / 5, 3 / 6, 0])
    assert mean_iou(confusion) == pytest.approx((4 / 5 + 3 / 6 + 0) / 3)
    assert pixel_accuracy(confusion) == 7 / 10


def test_a_class_that_never_occurs_is_left_out_of_the_mean():
    confusion = np.asarray([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert mean_iou(confusion) == pytest.approx((3 / 4 + 4 / 5) / 2)
    assert np.isnan(class_ious(confusion)).tolist() == [False, False, True]


def test_where_all_is_ignored_there_is_no_score():
    confusion = count_confusion(np.full((2, 2), IGNORE, np.uint8), FOUND[:2, :2], 3)
    assert confusion.sum() == 0
    assert np.isnan(mean_iou(confusion)) and np.isnan(pixel_accuracy(confusion))


def test_counts_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    truth = rng.choice(np.asarray([0, 1, 4, IGNORE], np.uint8), (30, 40))
    found = rng.integers(0, 7, (30, 40), dtype=np.uint8)
    expected = np.zeros((5, 6), int)
    for t, f in zip(truth.ravel(), found.ravel(), strict=True):
        if t != IGNORE:
            expected[t, min(f, 5)] += 1
    np.testing.assert_array_equal(count_confusion(truth, found, 5), expected)


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    root = draw_streets(tmp_path_factory.mktemp("streets"), split="val", num_images=5, seed=2)
    return load_cityscapes(root, split="val")


@pytest.fixture(scope="module")
def predict(streets):
    """The truth with noise, some pixels of no class, and void pixels given a class as well."""
    found = {}
    for index, sample in enumerate(streets.samples):
        rng = np.random.default_rng(index)
        truth = sample.read_labels()
        noise = rng.choice(np.asarray([0, 2, 8, 10, 11, 13, 17, IGNORE], np.uint8), truth.shape)
        wrong = (rng.random(truth.shape) < 0.05 * (index + 1)) | (truth == IGNORE)
        found[sample.path] = np.where(wrong, noise, truth)
    return found.__getitem__


def test_the_truth_scores_100(streets):
    truth = {sample.path: sample.read_labels() for sample in streets.samples}
    result = score_labels(streets, truth.__getitem__)
    assert result["mIoU"] == result["pixel_accuracy"] == 100
    assert {row["name"]: row["IoU"] for row in result["classes"]}["bus"] is None


def test_a_result_has_the_whole_and_each_image(streets, predict):
    seen = []
    result = score_labels(streets, predict, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(i, 5) for i in range(1, 6)]
    assert result["num_images"] == len(result["images"]) == 5
    confusion = np.asarray(result["confusion"])
    assert confusion.shape == (19, 20)
    assert result["mIoU"] == pytest.approx(100 * mean_iou(confusion), abs=1e-12)
    accuracies = [image["pixel_accuracy"] for image in result["images"]]
    assert accuracies == sorted(accuracies, reverse=True)  # more noise from image to image
    pixels = {row["name"]: row["num_pixels"] for row in result["classes"]}
    truth = sum((sample.read_labels() == 11).sum() for sample in streets.samples)
    assert pixels["person"] == truth


def test_scores_are_those_of_cityscapes_scripts(streets, predict, tmp_path):
    official = pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    to_ids = np.zeros(256, np.uint8)  # no class is the id "unlabeled"
    to_ids[: len(OFFICIAL_IDS)] = OFFICIAL_IDS
    found = []
    for number, sample in enumerate(streets.samples):
        found.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(to_ids[predict(sample.path)]).save(found[-1])
    arguments = official.CArgs()
    vars(arguments).update(vars(official.args))
    arguments.evalInstLevelScore, arguments.JSONOutput, arguments.quiet = False, False, True
    truth = [str(sample.source.path) for sample in streets.samples]
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = official.evaluateImgLists(found, truth, arguments)
    ours = score_labels(streets, predict)
    ious = {row["name"]: row["IoU"] for row in ours["classes"]}
    for name in TABLE.names:
        expected = theirs["classScores"][name]
        if np.isnan(expected):
            assert ious[name] is None
        else:
            assert ious[name] / 100 == pytest.approx(expected, abs=1e-9)
    assert None in ious.values() and 0.0 in ious.values()  # both kinds were compared
    assert ours["mIoU"] / 100 == pytest.approx(theirs["averageScoreClasses"], abs=1e-9)
