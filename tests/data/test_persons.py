"""The thesis's person datasets, on annotations whose shapes are worked by hand.

Pictures are 640x640, so that a cell is 32 pixels of the picture, except where a test says so.
"""

import json

import pytest

from encompass.data.coco import load_coco
from encompass.data.drawn import draw_people
from encompass.data.persons import build_person_sets, save_coco
from encompass.errors import AnnotationError, EncompassError, UsageError
from encompass.geometry.grid import ISB_SHAPES
from encompass.studies.published import PERSON_COUNTS

PERSON, DOG = 3, 5
TWO_BY_ONE = [40, 40, 20, 40]  # rows 1 and 2, column 1
TEN_BY_TEN = [0, 0, 320, 320]


def annotation(identity, image, box, **changes):
    record = {
        "id": identity,
        "image_id": image,
        "category_id": PERSON,
        "bbox": box,
        "area": 1.0,
        "iscrowd": 0,
        "note": f"kept {identity}",
    }
    return record | changes


@pytest.fixture
def write(tmp_path):
    def write(*annotations, pictures=(1, 2, 3, 4), size=(640, 640), **changes):
        content = {
            "info": {"year": 2017},
            "licenses": [{"id": 1, "name": "CC"}],
            "images": [
                {"id": i, "file_name": f"{i}.jpg", "height": size[0], "width": size[1], "url": "u"}
                for i in pictures
            ],
            "annotations": list(annotations),
            "categories": [{"id": DOG, "name": "dog"}, {"id": PERSON, "name": "person"}],
        }
        path = tmp_path / "instances.json"
        path.write_text(json.dumps(content | changes))
        return path

    return write


def ids(content):
    """Ids of pictures and of annotations."""
    return [i["id"] for i in content["images"]], [a["id"] for a in content["annotations"]]


def frequency(sets):
    """The shapes that occur in Table 5.1, with "other"."""
    counts = dict(zip(ISB_SHAPES, sets.counts.shapes, strict=True)) | {"other": sets.counts.other}
    return {shape: count for shape, count in counts.items() if count}


def test_one_matching_annotation_brings_the_picture_and_all_its_people(write):
    sets = build_person_sets(
        write(
            annotation(10, 2, TWO_BY_ONE),
            annotation(11, 2, TEN_BY_TEN),
            annotation(12, 1, TEN_BY_TEN),
            annotation(13, 3, TWO_BY_ONE, category_id=DOG),
            annotation(14, 2, TWO_BY_ONE, category_id=DOG),
        )
    )
    assert ids(sets.persons) == ([1, 2], [10, 11, 12])
    assert ids(sets.isb) == ([2], [10, 11])
    assert ids(sets.isb_matching) == ([2], [10])
    assert (sets.counts.person_images, sets.counts.isb_images) == (2, 1)
    assert frequency(sets) == {(2, 1): 1, "other": 2}
    assert sets.counts.annotations == 3


def test_records_stay_as_they_are_with_the_category_of_persons_alone(write):
    path = write(annotation(10, 2, TWO_BY_ONE))
    content = json.loads(path.read_text())
    for kept in (sets := build_person_sets(path)).persons, sets.isb, sets.isb_matching:
        assert kept == content | {
            "images": [content["images"][1]],
            "categories": [{"id": PERSON, "name": "person"}],
        }


def test_a_file_without_info_and_licences_gives_none(write):
    path = write(annotation(10, 2, TWO_BY_ONE))
    content = json.loads(path.read_text())
    del content["info"], content["licenses"]
    path.write_text(json.dumps(content))
    assert build_person_sets(path).persons.keys() == {"images", "annotations", "categories"}


@pytest.mark.parametrize("shape", ISB_SHAPES)
def test_each_of_the_twelve_shapes_matches(write, shape):
    height, width = shape
    box = [32, 64, 32 * width, 32 * height]
    sets = build_person_sets(write(annotation(10, 1, box)))
    assert frequency(sets) == {shape: 1}
    assert ids(sets.isb_matching) == ([1], [10])


@pytest.mark.parametrize("box", [[40, 40, 4, 4], [0, 0, 64, 32]])
def test_shapes_of_one_cell_and_wide_ones_do_not_match(write, box):
    sets = build_person_sets(write(annotation(10, 1, box)))
    assert frequency(sets) == {"other": 1}
    assert ids(sets.isb) == ([], [])


def test_the_picture_is_stretched_to_the_square(write):
    # A cell is 16 pixels high and 8 wide: one that is 20 high and 10 wide needs two each way.
    sets = build_person_sets(write(annotation(10, 1, [0, 0, 10, 20]), size=(320, 160)))
    assert frequency(sets) == {(2, 2): 1}


def test_crowd_regions_count_and_match_like_people(write):
    sets = build_person_sets(
        write(
            annotation(10, 1, TWO_BY_ONE, iscrowd=1),
            annotation(11, 1, TEN_BY_TEN, iscrowd=1),
            annotation(12, 4, TEN_BY_TEN, iscrowd=1),
        )
    )
    assert ids(sets.persons) == ([1, 4], [10, 11, 12])
    assert ids(sets.isb) == ([1], [10, 11])
    assert ids(sets.isb_matching) == ([1], [10])
    assert frequency(sets) == {(2, 1): 1, "other": 2}


@pytest.mark.parametrize("box", [[40, 40, 0, 40], [40, 40, 20, 0]])
def test_a_box_without_extent_has_no_shape_but_stays_a_person_annotation(write, box):
    sets = build_person_sets(write(annotation(10, 1, box), annotation(11, 2, TWO_BY_ONE)))
    assert ids(sets.persons) == ([1, 2], [10, 11])
    assert ids(sets.isb) == ([2], [11])
    assert sets.counts.annotations == 1
    beside = build_person_sets(write(annotation(10, 1, box), annotation(11, 1, TWO_BY_ONE)))
    assert ids(beside.isb) == ([1], [10, 11])
    assert ids(beside.isb_matching) == ([1], [11])


def test_hostile_annotations_are_refused_even_of_other_classes(write):
    with pytest.raises(AnnotationError, match=r"annotations\[1\] with id 11: bbox"):
        build_person_sets(
            write(annotation(10, 1, TWO_BY_ONE), annotation(11, 1, [0, 0, -1, 2], category_id=DOG))
        )


def test_without_a_person_there_is_nothing_to_build(write):
    with pytest.raises(AnnotationError, match="no annotation of a person"):
        build_person_sets(write(annotation(10, 1, TWO_BY_ONE, category_id=DOG)))
    with pytest.raises(UsageError, match="no category 'person'"):
        build_person_sets(write(categories=[{"id": DOG, "name": "dog"}]))


def test_what_is_written_can_be_read_and_trained_on(tmp_path):
    drawn = draw_people(tmp_path / "drawn", num_images=6, seed=0)
    sets = build_person_sets(tmp_path / "drawn" / "annotations.json")
    path = tmp_path / "out" / "persons.json"
    save_coco({path: sets.persons})
    read = load_coco(path, tmp_path / "drawn" / "images")
    expected = [s for s in drawn.samples if s.annotations]
    assert len(expected) == 5  # one of the six has nobody
    assert [s.path for s in read.samples] == [s.path for s in expected]
    for ours, theirs in zip(read.samples, expected, strict=True):
        assert [(a.box_xywh, a.crowd, a.segmentation) for a in ours.annotations] == [
            (a.box_xywh, a.crowd, a.segmentation) for a in theirs.annotations
        ]


def test_files_are_written_together_or_not_at_all(tmp_path):
    blocked = tmp_path / "file" / "b.json"
    (tmp_path / "file").write_text("in the way of a folder")
    with pytest.raises(EncompassError, match="cannot be written"):
        save_coco({tmp_path / "a.json": {}, blocked: {}})
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_no_shape_is_more_frequent_in_real_pictures_of_val2017_than_printed(shared_data):
    sets = build_person_sets(shared_data / "coco-person-boxes" / "person_boxes.json")
    printed = PERSON_COUNTS["val2017"]
    for ours, theirs in zip(sets.counts.shapes, printed.shapes, strict=True):
        assert 0.6 * theirs < ours <= theirs
    assert sets.counts.other <= printed.other
    assert sets.counts.isb_images == 834  # of 1,191; all annotations match in 113
