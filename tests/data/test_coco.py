"""Reading COCO files: what is kept, what is refused before native code sees it."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from encompass.data.coco import load_coco
from encompass.data.drawn import draw_people
from encompass.data.instances import join, rasterise
from encompass.errors import AnnotationError, UsageError

coco_mask = pytest.importorskip("pycocotools.mask", reason="pycocotools is the oracle")

HEIGHT, WIDTH = 30, 40
SQUARE = [[10, 5, 20, 5, 20, 15, 10, 15]]
RUNS = {"size": [HEIGHT, WIDTH], "counts": [100, 5, HEIGHT * WIDTH - 105]}


def annotation(identity=1, **changes):
    record = {
        "id": identity,
        "image_id": 7,
        "category_id": 3,
        "bbox": [10, 5, 10, 10],
        "area": 100.0,
        "iscrowd": 0,
        "segmentation": copy.deepcopy(SQUARE),
    }
    return record | changes


def content(*annotations, **changes):
    record = {
        "images": [
            {"id": 7, "file_name": "a.jpg", "height": HEIGHT, "width": WIDTH},
            {"id": 2, "file_name": "sub/b.jpg", "height": 60, "width": 20},
        ],
        "annotations": list(annotations),
        "categories": [{"id": 5, "name": "dog"}, {"id": 3, "name": "person"}],
    }
    return record | changes


@pytest.fixture
def load(tmp_path):
    def write_and_load(record, **options):
        path = tmp_path / "instances.json"
        if isinstance(record, bytes):
            path.write_bytes(record)
        else:
            path.write_text(json.dumps(record))
        return load_coco(path, tmp_path / "images", **options)

    return write_and_load


@pytest.fixture
def refusal(load, tmp_path):
    """The reason why a file is refused; it always names the file."""

    def reason(record):
        with pytest.raises(AnnotationError) as caught:
            load(record)
        assert str(caught.value).startswith(f"{tmp_path / 'instances.json'}: ")
        assert len(str(caught.value)) < 1000
        return caught.value.reason

    return reason


def test_samples_come_by_image_id_with_their_annotations(load, tmp_path):
    dataset = load(content(annotation()))
    empty, full = dataset.samples
    assert (empty.image_id, empty.height, empty.width) == (2, 60, 20)
    assert empty.path == tmp_path / "images" / "sub" / "b.jpg"
    assert empty.boxes_xyxy.shape == (0, 4) and empty.boxes_xyxy.dtype == np.float32
    assert empty.labels.shape == (0,) and empty.segmentations == ()
    np.testing.assert_array_equal(full.boxes_xyxy, np.asarray([[10, 5, 20, 15]], np.float32))
    assert full.labels.tolist() == [0] and full.labels.dtype == np.int64
    assert full.segmentations == (SQUARE,)
    assert full.ignore_xyxy.shape == (0, 4)
    assert dataset.sources == (tmp_path / "instances.json",)


def test_labels_follow_the_ascending_ids_of_categories(load):
    dataset = load(content(annotation(1), annotation(2, category_id=5)))
    assert dataset.classes.names == ("person", "dog")
    assert dataset.classes.category_ids == (3, 5)
    assert dataset.classes.labels == {3: 0, 5: 1}
    assert dataset.samples[1].labels.tolist() == [0, 1]


def test_chosen_categories_leave_the_pictures_of_the_others(load):
    dataset = load(content(annotation(1), annotation(2, category_id=5)), categories=["dog"])
    assert dataset.classes.names == ("dog",)
    assert [sample.labels.tolist() for sample in dataset.samples] == [[], [0]]
    with pytest.raises(UsageError, match=r"no category 'cat'. Known: person, dog"):
        load(content(), categories=["cat"])
    with pytest.raises(UsageError, match=r"no category 'persons'. Did you mean 'person'\? Known"):
        load(content(), categories=["persons"])


def test_a_crowd_region_is_to_be_ignored_and_never_an_object(load):
    sample = load(content(annotation(1), annotation(2, iscrowd=1, segmentation=RUNS))).samples[1]
    assert len(sample.annotations) == 2
    assert len(sample.boxes_xyxy) == len(sample.labels) == len(sample.segmentations) == 1
    np.testing.assert_array_equal(sample.ignore_xyxy, [[10, 5, 20, 15]])


@pytest.mark.parametrize("box", [[12, 5, 1.03, 0.0], [12, 5, 0, 3], [12, 5, 0, 0]])
@pytest.mark.parametrize("crowd", [0, 1])
def test_a_box_of_zero_width_or_height_is_left_out(load, box, crowd):
    flat = annotation(2, bbox=box, area=0.0, iscrowd=crowd)
    sample = load(content(annotation(1), flat)).samples[1]
    assert [found.box_xywh for found in sample.annotations] == [(10, 5, 10, 10)]
    other = load(content(annotation(1), flat | {"category_id": 5}), categories=["person"])
    assert len(other.samples[1].annotations) == 1


@pytest.mark.parametrize("segmentation", [None, []])
def test_without_a_mask_the_box_alone_is_known(load, segmentation):
    dataset = load(content(annotation(segmentation=segmentation)))
    assert dataset.samples[1].segmentations == (None,)
    bare = annotation()
    del bare["segmentation"], bare["iscrowd"]
    assert load(content(bare)).samples[1].segmentations == (None,)


@pytest.mark.parametrize(
    "changes",
    [
        {"bbox": [-1, -2, 50, 40]},
        {"bbox": [39.9, 29.9, 0.01, 0.01], "area": 0},
        {"segmentation": [[-1, -1, 41, -1, 41, 31]]},
        {"segmentation": [[1, 1, 1, 1, 1, 1]]},
        {"segmentation": [[1, 1, 2, 2, 3, 3], [5, 5, 9, 5, 9, 9]]},
        {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [0, 1, 0, 0, 1199]}},
    ],
)
def test_harmless_oddities_are_accepted(load, changes):
    sample = load(content(annotation(**changes))).samples[1]
    mask = rasterise(sample.segmentations[0], HEIGHT, WIDTH)
    assert mask.to_full(HEIGHT, WIDTH).sum() == mask.area


ABSURD = [float("nan"), float("inf"), 1e8, 1e12, -1e5, 10**400, "5", None, True, [1]]


@pytest.mark.parametrize("value", ABSURD, ids=lambda value: str(value)[:8])
def test_absurd_numbers_are_refused_with_record_and_value(refusal, value):
    for place in range(4):
        box = [10, 5, 10, 10]
        box[place] = value
        assert "annotations[0] with id 9: bbox" in refusal(content(annotation(9, bbox=box)))
    for place in range(6):
        polygon = [1, 1, 5, 1, 5, 5]
        polygon[place] = value
        reason = refusal(content(annotation(9, segmentation=[SQUARE[0], polygon])))
        assert "annotations[0] with id 9: polygon" in reason


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "1"}, "annotations[0]: id '1' is not an integer"),
        ({"id": True}, "id True is not an integer"),
        ({"image_id": 8}, "image_id 8 is not in 'images'"),
        ({"image_id": [7]}, "image_id [7] is not"),
        ({"category_id": 1}, "category_id 1 is not in 'categories'"),
        ({"category_id": {}}, "category_id {} is not"),
        ({"bbox": None}, "bbox None is not four finite numbers"),
        ({"bbox": [1, 2, 3]}, "bbox [1, 2, 3] is not four"),
        ({"bbox": "1234"}, "bbox '1234' is not four"),
        ({"bbox": [1, 2, -3, 4]}, "bbox [1, 2, -3, 4] has a negative side"),
        ({"bbox": [1, 2, 0, -4]}, "has a negative side"),
        ({"bbox": [1, 200, 3, 0]}, "far outside"),
        ({"bbox": [1, 2, 300, 4]}, "bbox [1, 2, 300, 4] is far outside 40 x 30"),
        ({"bbox": [1, 2, 4, 300]}, "far outside"),
        ({"area": None}, "area None is not a number >= 0"),
        ({"area": -1}, "area -1"),
        ({"area": float("nan")}, "area nan"),
        ({"iscrowd": 2}, "iscrowd 2 is not 0 or 1"),
        ({"iscrowd": "no"}, "iscrowd 'no'"),
        ({"segmentation": "x"}, "segmentation 'x' is neither polygons nor RLE"),
        ({"segmentation": 3}, "segmentation 3"),
        ({"segmentation": [[]]}, "polygon [] is not three"),
        ({"segmentation": [[1, 2, 3, 4]]}, "polygon [1, 2, 3, 4] is not three"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "is not three"),
        ({"segmentation": [1, 2, 3, 4, 5, 6]}, "polygon 1 is not three"),
        ({"segmentation": [[[1, 2], [3, 4], [5, 6]]]}, "is not three"),
        ({"segmentation": [[1, 2, 3, 4, 5, "6" * 10**6]]}, "is not three"),
    ],
)
def test_broken_annotations_are_refused(refusal, changes, message):
    assert message in refusal(content(annotation(**changes)))


@pytest.mark.parametrize(
    ("rle", "message"),
    [
        ({}, "RLE size None is not [30, 40]"),
        ({"size": [40, 30], "counts": [1200]}, "RLE size [40, 30] is not [30, 40]"),
        ({"size": [30.0, 40], "counts": [1200]}, "RLE size [30.0, 40]"),
        ({"size": [0, 40], "counts": []}, "RLE size [0, 40]"),
        ({"size": [100000, 100000], "counts": "0"}, "RLE size [100000, 100000]"),
        ({"size": 1200, "counts": [1200]}, "RLE size 1200"),
        ({"size": [30, 40]}, "RLE counts None"),
        ({"size": [30, 40], "counts": [1199]}, "sum to 1199"),
        ({"size": [30, 40], "counts": [1201]}, "sum to 1201"),
        ({"size": [30, 40], "counts": [1300, -100]}, "RLE"),
        ({"size": [30, 40], "counts": [1200.0]}, "RLE counts [1200.0]"),
        ({"size": [30, 40], "counts": [2**64, 1200 - 2**64]}, "RLE"),
        ({"size": [30, 40], "counts": ["1200"]}, "RLE counts ['1200']"),
        ({"size": [30, 40], "counts": [0] * 1_000_001}, "1000001 counts"),
        ({"size": [30, 40], "counts": "hello, world"}, "run-length code"),
        ({"size": [30, 40], "counts": "0"}, "sum to 0"),
        ({"size": [30, 40], "counts": "P"}, "run-length code"),
        ({"size": [30, 40], "counts": "o" * 100_000 + "0"}, "run-length code"),
        ({"size": [30, 40], "counts": "\u00e9"}, "run-length code"),
        ({"size": [30, 40], "counts": "O"}, "RLE"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_broken_run_lengths_are_refused(refusal, rle, message):
    rle = rle or {"counts": "0"}
    assert message in refusal(content(annotation(segmentation=rle)))


def test_outlines_that_would_exhaust_the_memory_are_refused(refusal):
    zigzag = [[-40, -30, 80, 60] * 5_000]  # few corners, but over a million pixels long
    reason = refusal(content(annotation(segmentation=zigzag)))
    assert "image 7 has 10000 points" in reason and "simplify" in reason
    crowded = [annotation(k, segmentation=[[1, 1] * 250_000]) for k in range(5)]
    assert "image 7 has 1250000 points" in refusal(content(*crowded))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": None}, "images[0]: id None is not an integer"),
        ({"height": 0}, "images[0] with id 7: height 0 is not a positive integer"),
        ({"width": -3}, "width -3"),
        ({"width": 40.0}, "width 40.0"),
        ({"height": True}, "height True"),
        ({"height": "30"}, "height '30'"),
        ({"height": 10**9}, "over 100000000 pixels"),
        ({"file_name": None}, "file_name None is not a text"),
        ({"file_name": ""}, "file_name '' is not a text"),
        ({"id": 2}, "images[1]: id 2 occurs twice"),
    ],
)
def test_broken_pictures_are_refused(refusal, changes, message):
    record = content()
    record["images"][0] |= changes
    assert message in refusal(record)


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../a.jpg",
        "a/../../a.jpg",
        "a/..",
        "/etc/passwd",
        "//server/share/a.jpg",
        "\\\\server\\share\\a.jpg",
        "..\\a.jpg",
        "C:\\a.jpg",
        "C:a.jpg",
        "c:/a.jpg",
        "a\0.jpg",
        "a\n.jpg",
        "\u2025/a.jpg",
        "\uff0e\uff0e/a.jpg",
        "\u202ea.jpg",
        ".",
        "link/a.jpg",
    ],
    ids=repr,
)
def test_a_file_name_that_leaves_the_folder_is_refused(refusal, tmp_path, name):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "link").symlink_to("/dev")
    record = content()
    record["images"][0]["file_name"] = name
    assert "images[0] with id 7: file_name" in refusal(record)


@pytest.mark.parametrize("name", ["a.jpg", "a b/c.jpg", "..a.jpg", "\u00e9t\u00e9.png", "ab:c.jpg"])
def test_plain_file_names_are_accepted(load, tmp_path, name):
    record = content()
    record["images"][0]["file_name"] = name
    assert load(record).samples[1].path == tmp_path / "images" / name


def test_the_folder_of_pictures_may_itself_be_a_link(load, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "images").symlink_to(tmp_path / "elsewhere")
    assert len(load(content())) == 2


@pytest.mark.parametrize(
    ("table", "record", "message"),
    [
        ("annotations", 5, "annotations[0]: 5 is not a JSON object"),
        ("images", [], "images[0]: [] is not a JSON object"),
        ("categories", {"id": 1}, "categories[0] with id 1: name None is not a text"),
        ("categories", {"name": "person"}, "categories[0]: id None"),
    ],
)
def test_records_of_another_type_are_refused(refusal, table, record, message):
    assert message in refusal(content(**{table: [record]}))


def test_double_ids_and_names_are_refused(refusal):
    assert "annotations[1]: id 4 occurs twice" in refusal(content(annotation(4), annotation(4)))
    twice = [{"id": 1, "name": "person"}, {"id": 2, "name": "person"}]
    assert "name 'person' occurs twice" in refusal(content(categories=twice))
    assert "id 1 occurs twice" in refusal(content(categories=[twice[0], twice[0]]))


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_a_missing_table_is_refused(refusal, key):
    record = content()
    del record[key]
    assert f"has no list '{key}'" in refusal(record)
    assert f"has no list '{key}'" in refusal(record | {key: {}})


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"{}]", b"9" * 10_000],
    ids=lambda t: str(t[:4]),
)
def test_what_is_not_json_is_refused(refusal, text):
    assert "is not JSON" in refusal(text)


def test_another_json_is_refused(refusal):
    assert "is not a JSON object" in refusal([1, 2])


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(AnnotationError, match="no such file"):
        load_coco(tmp_path / "missing.json", tmp_path)
    with pytest.raises(AnnotationError, match="cannot be read"):
        load_coco(tmp_path, tmp_path)


HOSTILE = [
    *(None, True, -1, 0, 10**30, 1e308, float("nan"), float("inf"), "", "../x", "P" * 50),
    *([], [[]], {}, [0] * 50, {"size": [0, 0], "counts": []}, [[1e12] * 6]),
]


def places(value):
    """Every (container, key) in nested lists and dicts."""
    keys = value if isinstance(value, dict) else range(len(value)) if type(value) is list else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


def test_a_hostile_value_anywhere_is_refused_or_harmless(load):
    def good():
        return content(annotation(1), annotation(2, segmentation=copy.deepcopy(RUNS), iscrowd=1))

    for index in range(len(list(places(good())))):
        for value in HOSTILE:
            record = good()
            container, key = list(places(record))[index]
            container[key] = value
            try:
                dataset = load(record)
            except AnnotationError:
                continue
            for sample in dataset.samples:
                for found in sample.annotations:
                    if found.segmentation is not None:
                        mask = rasterise(found.segmentation, sample.height, sample.width)
                        assert mask.to_full(sample.height, sample.width).sum() == mask.area


POLYGONS = {
    "square": SQUARE,
    "two parts": [SQUARE[0], [25, 20.5, 35, 20.5, 30, 28.25]],
    "parts that overlap": [SQUARE[0], [15, 10, 25, 10, 25, 20, 15, 20]],
    "a figure of eight": [[2, 2, 20, 20, 20, 2, 2, 20]],
    "beyond the edge": [[-3, -2, 42, 10, 20, 33]],
    "fractions": [[3.3, 4.7, 17.2, 5.1, 12.9, 22.6]],
}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools'
@pytest.mark.parametrize("polygons", POLYGONS.values(), ids=POLYGONS)
def test_polygons_are_rasterised_as_pycocotools_does(polygons):
    expected = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, HEIGHT, WIDTH)))
    mask = rasterise(polygons, HEIGHT, WIDTH)
    np.testing.assert_array_equal(mask.to_full(HEIGHT, WIDTH), expected.astype(bool))
    assert mask.pixels.any(axis=0)[[0, -1]].all() and mask.pixels.any(axis=1)[[0, -1]].all()


def test_run_lengths_keep_holes():
    ring = np.zeros((HEIGHT, WIDTH), bool)
    ring[5:20, 8:30] = True
    ring[10:15, 12:20] = False
    code = coco_mask.encode(np.asfortranarray(ring.astype(np.uint8)))
    mask = rasterise({"size": code["size"], "counts": code["counts"].decode()}, HEIGHT, WIDTH)
    assert (mask.x, mask.y, mask.pixels.shape) == (8, 5, (15, 22))
    np.testing.assert_array_equal(mask.to_full(HEIGHT, WIDTH), ring)


def test_a_mask_without_pixels_is_empty():
    mask = rasterise({"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}, HEIGHT, WIDTH)
    assert mask.area == 0 and not mask.to_full(HEIGHT, WIDTH).any()


def test_joined_datasets_follow_each_other(load, tmp_path):
    first = load(content(annotation()))
    second = draw_people(tmp_path / "drawn", num_images=3, seed=0)
    with pytest.raises(UsageError, match="join datasets that have the same"):
        join([first, second])
    person = load(content(annotation()), categories=["person"])
    joined = join([person, second, person])
    assert joined.samples == person.samples + second.samples + person.samples
    assert joined.classes.names == ("person",)
    assert len(joined.sources) == 3


def test_samples_cross_processes(load):
    dataset = load(content(annotation()))
    again = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(again.samples[1].boxes_xyxy, dataset.samples[1].boxes_xyxy)


SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here")
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("coco-person/person_train", (1502, 2647, 38)),
        ("coco-person/person_val", (220, 821, 23)),
        ("coco-person-boxes/person_boxes", (1191, 7174, 0)),
    ],
)
def test_real_files_are_read_whole(name, counts):
    path = SHARED / f"{name}.json"
    dataset = load_coco(path, path.parent / "images")
    objects = sum(len(sample.objects) for sample in dataset.samples)
    crowds = sum(len(sample.ignore_xyxy) for sample in dataset.samples)
    assert (len(dataset), objects, crowds) == counts
    assert dataset.classes.names == ("person",)
