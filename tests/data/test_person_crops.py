"""Person crops: centred, of one aspect ratio, one person labelled, written whole or not at all."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encompass.data.cityscapes import find_streets, read_instances
from encompass.data.classes import ClassTable
from encompass.data.drawn import draw_people
from encompass.data.drawn_streets import draw_streets
from encompass.data.instances import Annotation, Dataset, Sample
from encompass.data.person_crops import (
    BACKGROUNDS,
    SIZES,
    People,
    PersonMask,
    crop_person,
    crop_window,
    people_of_cityscapes,
    people_of_instances,
    write_person_crops,
)
from encompass.data.sources import load_labels
from encompass.errors import AnnotationError, ImageError, UsageError
from encompass.schema import BoxMask


def block(x, y, h, w):
    return BoxMask(x, y, np.ones((h, w), bool))


@pytest.mark.parametrize(
    ("mask", "background", "window"),
    [
        (block(100, 50, 50, 30), 0.0, (100, 50, 130, 100)),  # 5:3 already
        (block(100, 50, 50, 10), 0.0, (90, 50, 120, 100)),  # too narrow: wider
        (block(100, 50, 10, 30), 0.0, (100, 30, 130, 80)),  # too low: higher
        (block(100, 50, 50, 30), 0.1, (97, 45, 133, 105)),  # a tenth of 50 and 30 on every side
        (block(100, 50, 50, 10), 0.05, (88.5, 47.5, 121.5, 102.5)),  # of the widened box
        (block(2, 0, 50, 10), 0.0, (-8, 0, 22, 50)),  # beyond the picture, still centred
    ],
)
def test_windows_worked_by_hand(mask, background, window):
    found = crop_window(mask, aspect=5 / 3, background=background)
    assert found == pytest.approx(window)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_the_person_fills_the_crop_but_for_the_background(size, background):
    picture = np.zeros((300, 300, 3), np.uint8)
    picture[50:150, 100:160] = 200
    person = PersonMask("a", block(100, 50, 100, 60))
    crop = crop_person(picture, person, size=size, background=background)
    assert crop is not None and crop.picture.shape == (*size, 3)
    rows, columns = (np.flatnonzero(crop.labels.any(axis=axis)) for axis in (1, 0))
    for found, side in ((rows, size[0]), (columns, size[1])):
        inset = side * background / (1 + 2 * background)
        assert found[0] == pytest.approx(inset, abs=1)
        assert found[-1] + 1 == pytest.approx(side - inset, abs=1)
    bright = crop.picture[..., 0] > 100  # but for corners, which the filter rounds
    assert np.count_nonzero((crop.labels == 1) != bright) <= 4


def test_beyond_the_picture_nothing_is_labelled():
    picture = np.full((50, 40, 3), 9, np.uint8)
    crop = crop_person(picture, PersonMask("a", block(0, 0, 50, 10)), size=(50, 30), background=0.0)
    assert crop is not None
    expected = np.zeros((50, 30), np.uint8)
    expected[:, :10] = 255
    expected[:, 10:20] = 1
    np.testing.assert_array_equal(crop.labels, expected)


@pytest.mark.parametrize(
    "mask",
    [BoxMask(0, 0, np.zeros((0, 0), bool)), block(0, 0, 1, 20_000)],
    ids=["nothing marked", "a line across a huge picture"],
)
def test_what_cannot_be_cropped_is_left_out(mask):
    picture = np.zeros((1, 20_000, 3), np.uint8)
    assert crop_person(picture, PersonMask("a", mask), size=(5, 3), background=0.0) is None


def test_a_person_of_one_pixel_is_a_crop():
    crop = crop_person(
        np.zeros((9, 9, 3), np.uint8), PersonMask("a", block(8, 8, 1, 1)), size=(5, 3), background=0
    )
    assert crop is not None and (crop.labels == 1).any()


@pytest.fixture
def streets(tmp_path):
    return draw_streets(tmp_path / "streets", split="val", num_images=4, seed=1)


def test_crops_of_cityscapes_load_as_a_folder_of_labels(streets, tmp_path):
    out = tmp_path / "crops"
    people = people_of_cityscapes(streets, split="val")
    counts = write_person_crops(people, out, size=(160, 96), background=0.05)
    names = [
        f"{street.name}_{identity}"
        for street in find_streets(streets, split="val")[0]
        for identity in read_instances(street, "person")[1]
    ]
    assert (counts.written, counts.left_out) == (len(names), 0)
    dataset = load_labels(out)
    assert [sample.path.stem for sample in dataset.samples] == sorted(names)
    assert dataset.table.names == ("background", "person")
    for sample in dataset.samples:
        picture, labels = sample.read()
        assert picture.shape == (160, 96, 3)
        assert labels[80, 48] == 1  # the middle of the ellipse
        assert set(np.unique(labels)) <= {0, 1, 255}


def test_only_the_centred_person_is_labelled(tmp_path):
    ids = np.zeros((100, 100), np.uint16)
    ids[20:70, 30:60] = 24000
    ids[40:60, 50:60] = 24001  # in front of the first
    ids[20:70, 60:64] = 25000
    root = tmp_path / "streets"
    for folder, ending in (("leftImg8bit", "leftImg8bit"), ("gtFine", "gtFine_instanceIds")):
        path = root / folder / "val" / "ulm" / f"ulm_0_0_{ending}.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(ids if folder == "gtFine" else np.zeros((100, 100, 3), np.uint8)).save(path)
    write_person_crops(
        people_of_cityscapes(root, split="val"), tmp_path / "out", size=(50, 30), background=0.0
    )
    first, second = (s.read_labels() for s in load_labels(tmp_path / "out").samples)
    np.testing.assert_array_equal(first == 1, ids[20:70, 30:60] == 24000)
    assert (second == 1).sum() == 50 * 25  # 20 x 10 in a box of 20 x 12


def test_crops_of_instances_are_those_of_persons_with_masks(tmp_path):
    drawn = draw_people(tmp_path / "people", num_images=4, seed=0)
    out = tmp_path / "crops"
    counts = write_person_crops(people_of_instances(drawn), out, size=(160, 96), background=0.0)
    number = sum(len(sample.objects) for sample in drawn.samples)  # without the crowd
    assert counts.written == number == len(load_labels(out))
    first = drawn.samples[0]
    assert sorted(p.name for p in (out / "masks").glob("000000000001_*")) == [
        f"000000000001_{i:03d}.png" for i in range(len(first.objects))
    ]


def test_bare_boxes_crowds_and_other_classes_give_no_crop():
    outline = [[1.0, 1.0, 5.0, 1.0, 5.0, 6.0]]
    annotations = (
        Annotation(1, (1, 1, 4, 5), 10, False, None),
        Annotation(1, (1, 1, 4, 5), 10, True, outline),
        Annotation(0, (1, 1, 4, 5), 10, False, outline),
        Annotation(1, (1, 1, 4, 5), 10, False, outline),
    )
    sample = Sample(Path("a.jpg"), 7, 10, 10, annotations)
    table = ClassTable(("dog", "person"), (1, 2))
    (people,) = people_of_instances(Dataset((sample,), table, (Path("a.json"),)))
    assert [person.name for person in people.persons] == ["000000000007_002"]
    with pytest.raises(UsageError, match=r"a\.json has no category 'person'. Known: dog"):
        people_of_instances(Dataset((sample,), ClassTable(("dog",), (1,)), (Path("a.json"),)))


def test_two_runs_write_the_same_files(streets, tmp_path):
    for name in ("a", "b"):
        write_person_crops(
            people_of_cityscapes(streets, split="val"),
            tmp_path / name,
            size=(160, 96),
            background=0.1,
        )
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.*"))
    assert len(files) > 4
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_fault_leaves_nothing_and_what_is_there_is_kept(streets, tmp_path):
    out = tmp_path / "parent" / "crops"
    last = sorted((streets / "leftImg8bit").rglob("*.png"))[-1]
    last.write_bytes(last.read_bytes()[:-40])

    def write():
        write_person_crops(
            people_of_cityscapes(streets, split="val"), out, size=(160, 96), background=0.0
        )

    with pytest.raises(ImageError, match=last.name):
        write()
    assert list(out.parent.iterdir()) == []
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    with pytest.raises(UsageError, match="is there already"):
        write()
    assert [p.name for p in out.iterdir()] == ["mine.txt"]


def test_a_source_without_persons_or_of_another_size_is_refused(tmp_path):
    with pytest.raises(UsageError, match="No person with a mask was found"):
        write_person_crops([], tmp_path / "out", size=(5, 3), background=0.0)
    Image.new("RGB", (9, 8)).save(tmp_path / "a.png")
    people = People(tmp_path / "a.png", (9, 8), (PersonMask("a", block(0, 0, 2, 2)),))
    with pytest.raises(AnnotationError, match="is 9 x 8 pixels, its annotation says 8 x 9"):
        write_person_crops([people], tmp_path / "out", size=(5, 3), background=0.0)
    assert not (tmp_path / "out").exists()
