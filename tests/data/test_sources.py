"""From one path to a dataset, or a refusal that names it."""

import json
import shutil

import pytest
from PIL import Image

from encompass.data.camvid import TABLE as CAMVID
from encompass.data.cityscapes import TABLE as CITYSCAPES
from encompass.data.drawn_streets import draw_streets
from encompass.data.sources import load_dataset, load_labels, load_labels_of
from encompass.errors import AnnotationError, BadData, UsageError

CONTENT = {
    "images": [{"id": 4, "file_name": "a.png", "height": 20, "width": 30}],
    "annotations": [
        {"id": 1, "image_id": 4, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12},
        {"id": 2, "image_id": 4, "category_id": 2, "bbox": [5, 6, 7, 8], "area": 56},
    ],
    "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "bicycle"}],
}


@pytest.fixture
def write(tmp_path):
    """Writes the annotations beside a folder images/ with the picture."""

    def write(**changes):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.new("RGB", (30, 20)).save(tmp_path / "images" / "a.png")
        (tmp_path / "a.json").write_text(json.dumps(CONTENT | changes))
        return tmp_path / "a.json"

    return write


def test_pictures_lie_in_images_beside_the_file(write, tmp_path):
    dataset = load_dataset(write())
    assert dataset.samples[0].path == tmp_path / "images" / "a.png"
    assert dataset.classes.names == ("person", "bicycle")


def test_pictures_may_lie_in_another_folder(write, tmp_path):
    path = write()
    (tmp_path / "images").rename(tmp_path / "val2017")
    dataset = load_dataset(path, images=tmp_path / "val2017")
    assert dataset.samples[0].path == tmp_path / "val2017" / "a.png"
    with pytest.raises(AnnotationError, match=r"a\.json: has no pictures in .*images"):
        load_dataset(path)
    with pytest.raises(UsageError, match="gone is not a folder"):
        load_dataset(path, images=tmp_path / "gone")


def test_classes_are_chosen_by_name(write):
    dataset = load_dataset(write(), classes=("bicycle",))
    assert (dataset.classes.names, dataset.classes.category_ids) == (("bicycle",), (2,))
    assert dataset.samples[0].boxes_xyxy.tolist() == [[5, 6, 12, 14]]
    with pytest.raises(UsageError, match=r"'bicycel'. Did you mean 'bicycle'\? Known: person, bi"):
        load_dataset(write(), classes=("person", "bicycel"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": [], "annotations": []}, "has no pictures"),
        ({"categories": [], "annotations": []}, "has no categories"),
    ],
)
def test_an_empty_dataset_is_refused(write, changes, message):
    path = write(**changes)
    with pytest.raises(AnnotationError, match=message) as caught:
        load_dataset(path)
    assert (caught.value.path, caught.value.exit_code) == (str(path), 3)


@pytest.mark.parametrize("name", ["gone.json", "gone", "x" * 300])
def test_a_missing_path_is_bad_data_that_names_it(tmp_path, name):
    with pytest.raises(BadData, match=f"{name}: no such file or folder"):
        load_dataset(tmp_path / name)


def test_another_folder_or_file_is_no_dataset(write, tmp_path):
    for path in (tmp_path, write().with_name("images")):
        with pytest.raises(UsageError, match="is not a dataset"):
            load_dataset(path)


@pytest.mark.parametrize(
    ("images", "masks", "mask"), [("images", "masks", "a"), ("PNGImages", "PedMasks", "a_mask")]
)
def test_a_folder_of_pictures_and_masks(tmp_path, images, masks, mask):
    for name in (images, masks):
        (tmp_path / name).mkdir()
    Image.new("RGB", (30, 20)).save(tmp_path / images / "a.png")
    Image.new("L", (30, 20), 1).save(tmp_path / masks / f"{mask}.png")
    dataset = load_dataset(tmp_path, images=tmp_path / "other", classes=("person",))
    assert dataset.samples[0].path == tmp_path / images / "a.png"
    assert dataset.samples[0].boxes_xyxy.tolist() == [[0, 0, 30, 20]]
    assert dataset.sources == (tmp_path / masks,)
    with pytest.raises(UsageError, match=r"no category 'dog'. Known: person"):
        load_dataset(tmp_path, classes=("dog",))
    shutil.rmtree(tmp_path / masks)
    with pytest.raises(UsageError, match="is not a dataset"):
        load_dataset(tmp_path)


def folder_of_labels(root, classes):
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    Image.new("RGB", (6, 4)).save(root / "images" / "a.png")
    Image.new("L", (6, 4), 1).save(root / "masks" / "a.png")
    classes.write_text("road\nsky\n")


def test_labels_of_each_layout(write, tmp_path):
    streets = draw_streets(tmp_path / "streets", split="val", num_images=1, seed=0)
    assert load_labels(streets, split="val").table is CITYSCAPES
    for folder in ("train/images", "train/labels"):
        (tmp_path / "camvid" / folder).mkdir(parents=True)
        kind = "RGB" if folder.endswith("images") else "L"
        Image.new(kind, (6, 4)).save(tmp_path / "camvid" / folder / "a.png")
    assert load_labels(tmp_path / "camvid", split="train").table is CAMVID
    assert load_labels(tmp_path / "camvid" / "train").table is CAMVID
    folder_of_labels(tmp_path / "own", tmp_path / "own" / "classes.txt")
    assert load_labels(tmp_path / "own").table.names == ("road", "sky")
    folder_of_labels(tmp_path / "parts" / "dusk", tmp_path / "parts" / "classes.txt")
    for dataset in (
        load_labels(tmp_path / "parts", split="dusk"),
        load_labels(tmp_path / "parts" / "dusk"),
    ):
        assert dataset.table.names == ("road", "sky")
        assert dataset.samples[0].read_labels().tolist() == [[1] * 6] * 4


def test_a_folder_laid_out_as_camvid_with_a_list_has_the_classes_of_the_list(tmp_path):
    folder_of_labels(tmp_path / "own" / "val", tmp_path / "own" / "classes.txt")
    (tmp_path / "own" / "val" / "masks").rename(tmp_path / "own" / "val" / "labels")
    for dataset in (
        load_labels(tmp_path / "own", split="val"),
        load_labels(tmp_path / "own" / "val"),
    ):
        assert dataset.table.names == ("road", "sky")
        assert dataset.sources == (tmp_path / "own" / "val" / "labels",)


def test_labels_of_instances_are_background_and_the_classes(write, tmp_path):
    path = write()
    assert load_labels(path).table.names == ("background", "person", "bicycle")
    assert load_labels(path, classes=("person",)).table.names == ("background", "person")
    for name in ("images", "masks"):  # Penn-Fudan's: masks of instances, no list of classes
        (tmp_path / "penn" / name).mkdir(parents=True)
    Image.new("RGB", (3, 1)).save(tmp_path / "penn" / "images" / "a.png")
    mask = Image.new("L", (3, 1))
    mask.putdata([0, 1, 7])
    mask.save(tmp_path / "penn" / "masks" / "a.png")
    dataset = load_labels(tmp_path / "penn")
    assert dataset.table.names == ("background", "person")
    assert dataset.samples[0].read_labels().tolist() == [[0, 1, 1]]


def test_a_split_is_asked_for_where_there_are_some_and_only_there(write, tmp_path):
    streets = draw_streets(tmp_path / "streets", split="val", num_images=1, seed=0)
    with pytest.raises(UsageError, match=r"streets has splits; give one of val\."):
        load_labels(streets)
    with pytest.raises(UsageError, match=r"streets has no split 'train'; give one of val\."):
        load_labels(streets, split="train")
    folder_of_labels(tmp_path / "own", tmp_path / "own" / "classes.txt")
    for path in (write(), tmp_path / "own"):
        with pytest.raises(UsageError, match=r"has no splits.*; give it without 'train'"):
            load_labels(path, split="train")
    with pytest.raises(UsageError, match="go with COCO annotations only"):
        load_labels(tmp_path / "own", classes=("sky",))
    with pytest.raises(UsageError, match="is not a dataset"):
        load_labels(tmp_path / "own" / "masks")
    with pytest.raises(BadData, match="no such file or folder"):
        load_labels(tmp_path / "gone")


def test_data_is_opened_with_the_classes_of_a_network(write, tmp_path):
    names = ("background", "bicycle")
    assert load_labels_of(names, write()).table.names == names
    streets = draw_streets(tmp_path / "streets", split="val", num_images=1, seed=0)
    dataset = load_labels_of(CITYSCAPES.names, streets, split="val")
    assert dataset.table.names == CITYSCAPES.names
    with pytest.raises(UsageError, match="the network has"):
        load_labels_of(CAMVID.names, streets, split="val")
    with pytest.raises(BadData, match="no such file"):
        load_labels_of(names, tmp_path / "nothing")
