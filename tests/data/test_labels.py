"""Label maps: values are looked up and never guessed at."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encompass.data.labels import (
    IGNORE,
    LabelDataset,
    LabelFile,
    LabelSample,
    LabelTable,
    default_colours,
    join_labels,
    pair_folders,
)
from encompass.errors import AnnotationError, ImageError, UsageError

VALUES = np.asarray([[7, 9, 7], [255, 0, 9]], np.uint8)
MEANING = {7: 0, 9: 1, 0: IGNORE, 255: IGNORE}
LABELS = [[0, 1, 0], [255, 255, 1]]


def save(pixels, path, palette=None):
    picture = Image.fromarray(pixels)
    if palette is not None:
        picture.putpalette(palette)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return path


@pytest.mark.parametrize("kind", ["grey", "palette", "16-bit"])
def test_values_are_looked_up_whatever_kind_of_png_holds_them(tmp_path, kind):
    colours = np.random.default_rng(0).integers(0, 256, 768).tolist()
    pixels = VALUES.astype(np.uint16) if kind == "16-bit" else VALUES
    path = save(pixels, tmp_path / "a.png", colours if kind == "palette" else None)
    labels = LabelFile(path, MEANING).read()
    assert labels.dtype == np.uint8
    assert labels.tolist() == LABELS


@pytest.mark.parametrize(("value", "kind"), [(8, np.uint8), (300, np.uint16), (60000, np.uint16)])
def test_a_value_without_meaning_is_refused_by_name(tmp_path, value, kind):
    pixels = VALUES.astype(kind)
    pixels[1, 2] = value
    path = save(pixels, tmp_path / "a.png")
    with pytest.raises(AnnotationError, match=rf"a\.png: value {value} is no class; known are 4"):
        LabelFile(path, MEANING).read()


def test_colours_are_no_labels(tmp_path):
    path = save(np.zeros((2, 3, 3), np.uint8), tmp_path / "a.png")
    with pytest.raises(ImageError, match="are not ids"):
        LabelFile(path, MEANING).read()


def test_a_sample_gives_both_at_one_size_or_is_refused(tmp_path):
    picture = save(np.full((2, 3, 3), 50, np.uint8), tmp_path / "images" / "a.png")
    sample = LabelSample(picture, LabelFile(save(VALUES, tmp_path / "a.png"), MEANING))
    pixels, labels = sample.read()
    assert (sample.size, pixels.shape) == ((2, 3), (2, 3, 3))
    assert labels.tolist() == sample.read_labels().tolist() == LABELS
    wrong = LabelSample(picture, LabelFile(save(VALUES.T, tmp_path / "b.png"), MEANING))
    for read in (wrong.read, wrong.read_labels):
        with pytest.raises(AnnotationError, match=r"b\.png: labels are 2 x 3 .* a\.png is 3 x 2"):
            read()


def test_a_sample_reaches_a_worker_process(tmp_path):
    source = LabelFile(save(VALUES, tmp_path / "a.png"), MEANING)
    source.read()
    assert pickle.loads(pickle.dumps(source)).read().tolist() == LABELS


def test_folders_are_paired_by_name(tmp_path):
    for name in ("b.png", "a.jpg", "c.JPG"):
        save(np.zeros((2, 3, 3), np.uint8), tmp_path / "images" / name)
        save(VALUES, tmp_path / "masks" / f"{name[0]}.png")
    (tmp_path / "images" / "note.txt").write_text("not a picture")
    samples = pair_folders(tmp_path / "images", tmp_path / "masks", MEANING)
    assert [sample.path.name for sample in samples] == ["a.jpg", "b.png", "c.JPG"]
    assert [sample.source.path.name for sample in samples] == ["a.png", "b.png", "c.png"]


def test_what_cannot_be_paired_is_refused(tmp_path):
    images, masks = tmp_path / "images", tmp_path / "masks"
    images.mkdir()
    with pytest.raises(AnnotationError, match="images: has no pictures"):
        pair_folders(images, masks, MEANING)
    save(np.zeros((2, 3, 3), np.uint8), images / "a.jpg")
    with pytest.raises(AnnotationError, match=r"masks.a\.png: no such file; a\.jpg needs its mask"):
        pair_folders(images, masks, MEANING)
    save(VALUES, masks / "a.png")
    save(np.zeros((2, 3, 3), np.uint8), images / "a.png")
    with pytest.raises(AnnotationError, match=r"a\.png: has the name of a\.jpg"):
        pair_folders(images, masks, MEANING)


def test_default_colours_are_those_of_pascal_voc():
    colours = default_colours(("background", *map(str, range(255))))
    assert colours[:4] == ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0))
    assert (colours[15], colours[20]) == ((192, 128, 128), (0, 64, 128))
    assert len(set(colours)) == 256
    # Black leaves a picture as it is, which is for the background alone.
    assert default_colours(("sky", "road")) == colours[1:3]


def test_labels_are_painted_and_what_is_no_class_is_black():
    table = LabelTable(("a", "b"), ((1, 2, 3), (4, 5, 6)))
    painted = table.paint(np.asarray([[1, 0, IGNORE]], np.uint8))
    assert painted.tolist() == [[[4, 5, 6], [1, 2, 3], [0, 0, 0]]]


def test_datasets_of_the_same_classes_are_joined():
    def dataset(names, folder):
        sample = LabelSample(Path(folder, "a.png"), LabelFile(Path(folder, "m.png"), MEANING))
        return LabelDataset((sample,), LabelTable(names, default_colours(names)), (Path(folder),))

    both = join_labels([dataset(("a", "b"), "fine"), dataset(("a", "b"), "coarse")])
    assert [sample.path for sample in both.samples] == [Path("fine/a.png"), Path("coarse/a.png")]
    assert both.sources == (Path("fine"), Path("coarse"))
    with pytest.raises(UsageError, match=r"coarse has the classes .*'c'"):
        join_labels([dataset(("a", "b"), "fine"), dataset(("a", "c"), "coarse")])
