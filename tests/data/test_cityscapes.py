"""Cityscapes' layout and ids, on drawn streets and against its own scripts."""

import numpy as np
import pytest
from PIL import Image

from encompass.data.cityscapes import (
    FROM_IDS,
    OFFICIAL_IDS,
    TABLE,
    find_streets,
    load_cityscapes,
    read_instances,
)
from encompass.data.drawn_streets import draw_streets
from encompass.data.labels import IGNORE
from encompass.errors import AnnotationError, UsageError


@pytest.fixture
def streets(tmp_path):
    for seed, split in enumerate(("train", "val")):
        draw_streets(tmp_path, split=split, num_images=3, seed=seed)
    return tmp_path


def test_the_table_is_that_of_cityscapes_scripts():
    official = pytest.importorskip("cityscapesscripts.helpers.labels")
    learnt = [label for label in official.labels if 0 <= label.trainId < IGNORE]
    learnt.sort(key=lambda label: label.trainId)
    assert TABLE.names == tuple(label.name for label in learnt)
    assert TABLE.colours == tuple(label.color for label in learnt)
    assert tuple(label.id for label in learnt) == OFFICIAL_IDS
    assert {label.id: label.trainId for label in official.labels if label.id >= 0} == FROM_IDS
    assert all(label.ignoreInEval == (label.trainId in (255, -1)) for label in official.labels)


def test_nineteen_classes_are_learnt_and_fifteen_ids_ignored():
    assert len(TABLE) == 19
    assert FROM_IDS[7] == 0 and FROM_IDS[24] == TABLE.names.index("person")
    ignored = [identity for identity, label in FROM_IDS.items() if label == IGNORE]
    assert ignored == [0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30]


def test_a_split_is_read_by_city_and_name(streets):
    dataset = load_cityscapes(streets, split="train")
    names = [sample.path.relative_to(streets).as_posix() for sample in dataset.samples]
    assert names == [
        "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png",
        "leftImg8bit/train/aachen/aachen_000002_000019_leftImg8bit.png",
        "leftImg8bit/train/bochum/bochum_000001_000019_leftImg8bit.png",
    ]
    assert dataset.table is TABLE
    assert dataset.sources == (streets / "gtFine" / "train",)


def test_official_ids_become_train_ids_and_void_is_ignored(streets):
    for sample in load_cityscapes(streets, split="val").samples:
        ids = np.asarray(Image.open(sample.source.path))
        picture, labels = sample.read()
        assert picture.shape == (64, 128, 3)
        for identity, label in FROM_IDS.items():
            if label != IGNORE:
                np.testing.assert_array_equal(labels == label, ids == identity)
        np.testing.assert_array_equal(labels == IGNORE, ids == 1)  # the own car


def test_train_ids_are_read_where_only_they_stand(streets):
    ours = [s.read_labels() for s in load_cityscapes(streets, split="val").samples]
    for labels, path in zip(ours, sorted(streets.glob("gtFine/val/*/*_labelIds.png")), strict=True):
        train_ids = path.with_name(path.name.replace("labelIds", "labelTrainIds"))
        Image.fromarray(labels).save(train_ids)
        path.unlink()
    for sample, labels in zip(load_cityscapes(streets, split="val").samples, ours, strict=True):
        assert "labelTrainIds" in sample.source.path.name
        np.testing.assert_array_equal(sample.read_labels(), labels)


def test_coarse_annotations_are_read_where_told_or_where_no_fine_ones_are(streets):
    draw_streets(streets, split="train_extra", num_images=2, seed=9)
    for path in sorted(streets.glob("gtFine/train_extra/**/*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (streets / "gtFine" / "train_extra").rmdir()
    extra = load_cityscapes(streets, split="train_extra")
    assert extra.sources == (streets / "gtCoarse" / "train_extra",)
    assert extra.samples[0].source.path.name.endswith("_gtCoarse_labelIds.png")
    fine = load_cityscapes(streets, split="train")
    coarse = load_cityscapes(streets, split="train", annotations="gtCoarse")
    for fine_sample, coarse_sample in zip(fine.samples, coarse.samples, strict=True):
        ours, theirs = coarse_sample.read_labels(), fine_sample.read_labels()
        assert ((ours == theirs) | (ours == IGNORE)).all()
        assert (ours == IGNORE).sum() > (theirs == IGNORE).sum()


def test_single_objects_have_an_id_each_and_groups_none(streets):
    for street in find_streets(streets, split="train")[0]:
        ids, persons = read_instances(street, "person")
        labels = np.asarray(Image.open(street.annotation("labelIds")))
        assert persons == [24000 + number for number in range(len(persons))]
        assert 1 <= len(persons) <= 3
        single = np.isin(ids, persons)
        assert single.any() and (labels[single] == 24).all()
        assert ((ids == 24) & (labels == 24)).any()  # the group
        assert read_instances(street, "rider")[1] == [25000]


def test_what_is_missing_is_named(streets):
    with pytest.raises(UsageError, match=r"has no split 'test' .*Splits with pictures: train, val"):
        load_cityscapes(streets, split="test")
    (streets / "leftImg8bit" / "test").mkdir()
    (streets / "gtFine" / "test").mkdir()
    with pytest.raises(AnnotationError, match="has no pictures CITY"):
        load_cityscapes(streets, split="test")
    (streets / "gtFine/val/aachen/aachen_000000_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(AnnotationError, match=r"000000_000019_gtFine_labelIds.png: no such file"):
        load_cityscapes(streets, split="val")


def test_the_same_seed_draws_the_same_streets(tmp_path):
    for name, seed, number in (("a", 3, 2), ("b", 3, 3), ("c", 4, 2)):
        draw_streets(tmp_path / name, split="train", num_images=number, seed=seed, size=(32, 64))
    for path in (p for p in (tmp_path / "a").rglob("*.png") if "leftImg8bit" in p.name):
        rest = path.relative_to(tmp_path / "a")
        assert path.read_bytes() == (tmp_path / "b" / rest).read_bytes()
        assert path.read_bytes() != (tmp_path / "c" / rest).read_bytes()
