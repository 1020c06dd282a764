"""Scores by encompassing shape: worked by hand, and equal to pycocotools with shapes as areas."""

from pathlib import Path

import numpy as np
import pytest

from encompass.data.classes import ClassTable
from encompass.data.instances import Annotation, Dataset, Sample
from encompass.evaluate.coco import score_instances
from encompass.evaluate.judge import Finds
from encompass.evaluate.shapes import Grid, ShapeRows, score_shapes
from encompass.geometry.masks import rle_encode
from encompass.schema import BoxMask, Instances

GRID = Grid((200, 200), 10)  # a picture of 200 x 200 has cells of 10 pixels
SIZE = {"height": 200, "width": 200}


def annotation(x, y, w, h, crowd=False):
    outline = [x, y, x + w, y, x + w, y + h, x, y + h]
    return Annotation(0, (x, y, w, h), w * h, crowd, [outline])


def dataset_of(*pictures):
    samples = tuple(
        Sample(Path(f"{i}.jpg"), i, 200, 200, tuple(annotations))
        for i, annotations in enumerate(pictures, start=1)
    )
    return Dataset(samples, ClassTable(("person",), (1,)), (Path("a.json"),))


def finds(*found):
    """Boxes (x0, y0, x1, y1), best first, with a mask each (None: none)."""
    return Finds(
        np.asarray([box for box, _ in found], np.float32).reshape(-1, 4),
        np.linspace(0.9, 0.5, len(found)).astype(np.float32),
        np.zeros(len(found), np.int64),
        tuple(None if m is None else rle_encode(m, **SIZE) for _, m in found),
    )


def block(x, y, w, h):
    return BoxMask(x, y, np.ones((h, w), bool))


def score(dataset, found, **settings):
    result = score_shapes(dataset, found, GRID, **{"with_masks": True, "min_objects": 1} | settings)
    return {row.pop("shape"): row for row in result["rows"]}


def test_shapes_are_counted_on_the_stretched_picture():
    grid = Grid.of_input((640, 640))
    assert grid == Grid((640, 640), 32)
    assert Grid.of_input((320, 320)) == Grid((320, 320), 16)
    # A cell is 20 px wide and 10 high. The second box touches the edges of its cells, the third
    # leaves the picture.
    boxes = np.asarray([[5, 5, 25, 29], [20, 10, 40, 30], [-9, 190, 420, 220]], np.float32)
    assert grid.shapes(boxes, (200, 400)) == [(3, 2), (2, 1), (1, 20)]


def test_rare_shapes_share_a_row():
    shapes = [(2, 1)] * 3 + [(5, 5)] * 2 + [(1, 2)] * 2 + [(9, 4), (3, 3)]
    rows = ShapeRows(shapes, min_objects=2)
    assert rows.names == ("1x2", "2x1", "5x5", "other")
    assert rows.of([(2, 1), (9, 4), (7, 7), (1, 2)]).tolist() == [1, 3, 3, 0]
    assert ShapeRows(shapes, min_objects=1).names == ("1x2", "2x1", "3x3", "5x5", "9x4")


@pytest.mark.parametrize(("count", "fewest"), [(0, 20), (2000, 20), (2001, 21), (11004, 111)])
def test_a_row_has_a_hundredth_of_the_objects_and_twenty(count, fewest):
    assert ShapeRows([(1, 1)] * count).min_objects == fewest


def test_finds_count_for_their_own_shape():
    dataset = dataset_of([annotation(10, 10, 10, 20), annotation(100, 100, 20, 40)])
    found = finds(
        ((10, 150, 30, 190), block(10, 150, 20, 40)),  # on nothing, 4x2
        ((10, 10, 20, 30), block(10, 10, 10, 10)),  # the 2x1, half its mask
        ((100, 100, 120, 140), block(100, 100, 20, 40)),  # the 4x2
    )
    rows = score(dataset, [found])
    assert list(rows) == ["2x1", "4x2", "all"]
    # The wrong 4x2 comes before the right one; the 2x1 knows nothing of it.
    assert rows["2x1"] == {
        "num_objects": 1,
        "num_found": 1,
        "box_AP50": pytest.approx(100),
        "mask_AP50": pytest.approx(100),  # an IoU of 0.5 is enough
        "mask_IoU": pytest.approx(50),
    }
    assert rows["4x2"]["box_AP50"] == rows["4x2"]["mask_AP50"] == pytest.approx(50)
    assert rows["4x2"]["mask_IoU"] == pytest.approx(100)
    assert rows["all"]["box_AP50"] == pytest.approx(100 * 2 / 3)
    assert rows["all"]["mask_IoU"] == pytest.approx(75)


def test_a_find_of_another_shape_that_fits_counts():
    dataset = dataset_of([annotation(10, 10, 10, 20)])
    rows = score(dataset, [finds(((9, 10, 20, 31), block(10, 10, 10, 20)))])  # 3x2 on a 2x1
    assert list(rows) == ["2x1", "all"]
    assert rows["2x1"]["box_AP50"] == rows["2x1"]["mask_AP50"] == pytest.approx(100)


def test_a_wrong_find_of_a_shape_that_no_object_has_counts_in_all_alone():
    dataset = dataset_of([annotation(10, 10, 10, 20)])
    found = finds(
        ((50, 50, 150, 150), block(50, 50, 100, 100)), ((10, 10, 20, 30), block(10, 10, 10, 20))
    )
    rows = score(dataset, [found])
    assert rows["2x1"]["box_AP50"] == pytest.approx(100)
    assert rows["all"]["box_AP50"] == rows["all"]["mask_AP50"] == pytest.approx(50)


def test_mask_overlap_is_that_of_the_find_whose_box_fits_best():
    dataset = dataset_of([annotation(100, 100, 20, 40), annotation(10, 10, 20, 40)])
    found = finds(
        ((100, 100, 120, 130), block(100, 100, 20, 40)),  # the better mask, the worse box
        ((100, 100, 120, 140), block(100, 100, 20, 10)),
        ((10, 10, 30, 29), block(10, 10, 20, 40)),  # a box IoU of 19/40: not found
    )
    row = score(dataset, [found])["4x2"]
    assert (row["num_objects"], row["num_found"]) == (2, 1)
    assert row["mask_IoU"] == pytest.approx(25)


def test_found_without_a_mask_is_an_overlap_of_zero():
    row = score(dataset_of([annotation(10, 10, 20, 40)]), [finds(((10, 10, 30, 50), None))])["all"]
    assert row == {
        "num_objects": 1,
        "num_found": 1,
        "box_AP50": pytest.approx(100),
        "mask_AP50": 0,
        "mask_IoU": 0,
    }


def test_crowds_are_not_objects():
    crowd = annotation(10, 10, 100, 100, crowd=True)
    rows = score(dataset_of([crowd, annotation(150, 150, 10, 20)]), [finds()])
    assert {name: row["num_objects"] for name, row in rows.items()} == {"2x1": 1, "all": 1}
    rows = score(dataset_of([crowd]), [finds(((10, 10, 30, 50), None))])
    assert rows == {
        "all": {
            "num_objects": 0,
            "num_found": 0,
            "box_AP50": None,
            "mask_AP50": None,
            "mask_IoU": None,
        }
    }


def test_without_masks_boxes_alone_are_in_the_table():
    rows = score(dataset_of([annotation(10, 10, 10, 20)]), [finds()], with_masks=False)
    assert rows["2x1"] == {"num_objects": 1, "num_found": 0, "box_AP50": 0}


def random_pictures(rng, count):
    """Pictures of blocks, one of them a crowd, and finds near them; sides are whole pixels."""
    pictures, found = [], []
    for _ in range(count):
        corners = rng.integers(0, 120, (rng.integers(1, 6), 2)).tolist()
        sides = rng.integers(8, 50, (len(corners), 2)).tolist()
        objects = [
            annotation(*corner, *side, crowd=i == 4)
            for i, (corner, side) in enumerate(zip(corners, sides, strict=True))
        ]
        some = []
        for _ in range(rng.integers(0, 8)):
            x, y, w, h = objects[rng.integers(len(objects))].box_xywh
            x, y = np.add((x, y), rng.integers(0, 6, 2))
            w, h = np.maximum(np.add((w, h), rng.integers(-6, 7, 2)), 1)
            mask = BoxMask(int(x), int(y), rng.random((h, w)) < 0.85)
            some.append(((x, y, x + w, y + h), mask if rng.random() < 0.9 else None))
        pictures.append(objects)
        found.append(finds(*some))
    return dataset_of(*pictures), found


def oracle(dataset, found, rows):
    """AP50 of each row and of all by pycocotools, each record's area the number of its row."""
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is the oracle")
    from pycocotools.cocoeval import COCOeval

    def row(x0, y0, x1, y1):
        name = f"{int(np.ceil(y1 / 10) - y0 // 10)}x{int(np.ceil(x1 / 10) - x0 // 10)}"
        return rows.index(name if name in rows else "other")

    truth = coco.COCO()
    truth.dataset = {
        "images": [{"id": s.image_id, **SIZE} for s in dataset.samples],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [],
    }
    for sample in dataset.samples:
        for a in sample.annotations:
            x, y, w, h = a.box_xywh
            truth.dataset["annotations"].append(
                {"id": len(truth.dataset["annotations"]) + 1, "image_id": sample.image_id}
                | {"category_id": 1, "bbox": [x, y, w, h], "iscrowd": int(a.crowd)}
                | {"area": row(x, y, x + w, y + h), "segmentation": a.segmentation}
            )
    truth.createIndex()
    scores = {}
    for part in ("box", "mask"):
        results, areas = [], []
        for sample, find in zip(dataset.samples, found, strict=True):
            for box, value, code in zip(
                find.boxes_xyxy.astype(float).tolist(),
                find.scores.tolist(),
                find.codes,
                strict=True,
            ):
                x0, y0, x1, y1 = box
                own = {"bbox": [x0, y0, x1 - x0, y1 - y0]}
                if part == "mask":
                    own = {"segmentation": code}
                if part == "box" or code is not None:
                    base = {"image_id": sample.image_id, "category_id": 1, "score": value}
                    results.append(base | own)
                    areas.append(row(*box))
        loaded = truth.loadRes(results)
        for record, area in zip(loaded.dataset["annotations"], areas, strict=True):
            record["area"] = area
        judge = COCOeval(truth, loaded, {"box": "bbox", "mask": "segm"}[part])
        judge.params.iouThrs = np.asarray([0.5])
        judge.params.areaRng = [[i, i] for i in range(len(rows))] + [[0, 1e10]]
        judge.params.areaRngLbl = [*rows, "all"]
        judge.evaluate()
        judge.accumulate()
        precision = judge.eval["precision"][0, :, 0, :, -1]  # (recalls, rows)
        scores[part] = dict(zip([*rows, "all"], 100 * precision.mean(axis=0), strict=True))
    return scores


@pytest.mark.parametrize("seed", range(3))
def test_scores_of_shapes_equal_pycocotools(seed):
    dataset, found = random_pictures(np.random.default_rng(seed), 30)
    rows = score(dataset, found, min_objects=3)
    assert len(rows) > 5
    expected = oracle(dataset, found, list(rows)[:-1])
    for name, row in rows.items():
        for part in ("box", "mask"):
            assert row[f"{part}_AP50"] == pytest.approx(expected[part][name], abs=1e-9)
    assert 0 < rows["all"]["mask_AP50"] < rows["all"]["box_AP50"] < 100


def test_the_row_of_all_shapes_is_cocos_score():
    dataset, found = random_pictures(np.random.default_rng(5), 10)
    by_path = {s.path: find for s, find in zip(dataset.samples, found, strict=True)}
    empty = BoxMask(0, 0, np.zeros((0, 0), bool))

    def predict(path):
        find = by_path[path]
        masks = tuple(
            empty if code is None else block(*np.rint((x0, y0, x1 - x0, y1 - y0)).astype(int))
            for code, (x0, y0, x1, y1) in zip(find.codes, find.boxes_xyxy, strict=True)
        )
        return Instances(
            **SIZE,
            boxes=find.boxes_xyxy,
            scores=find.scores,
            labels=find.labels,
            masks=masks,
            names=("person",),
        )

    result = score_instances(dataset, predict, grid=GRID)
    assert result["shapes"]["cells"] == [20, 20] and result["shapes"]["min_objects"] == 20
    for part in ("box", "mask"):
        assert result["shapes"]["rows"][-1][f"{part}_AP50"] == result[part]["AP50"]
    assert "shapes" not in score_instances(dataset, predict)
