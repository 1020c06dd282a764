"""Batches of pictures and labels: the key alone decides what is drawn."""

from functools import partial

import pytest
import torch
from torch.utils.data import DataLoader

from encompass.data import label_augment
from encompass.data.cityscapes import load_cityscapes
from encompass.data.drawn_streets import draw_streets
from encompass.data.label_loader import LabelMaps, collate_labels

CHANGES = (
    label_augment.photometric,
    partial(label_augment.random_window, size=(32, 48)),
    label_augment.flip,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = draw_streets(tmp_path_factory.mktemp("streets"), split="train", num_images=4, seed=0)
    return load_cityscapes(root, split="train")


def test_without_changes_items_are_the_pictures(dataset):
    item = LabelMaps(dataset, changes=(), seed=0)[0, 2]
    picture, labels = dataset.samples[2].read()
    assert (item.picture.dtype, item.labels.dtype) == (torch.float32, torch.int64)
    assert torch.equal(item.picture, torch.from_numpy(picture).permute(2, 0, 1).float())
    assert torch.equal(item.labels, torch.from_numpy(labels).long())
    assert item.name == str(dataset.samples[2].path)


def test_a_key_gives_the_same_item_and_another_epoch_another(dataset):
    first, again = (LabelMaps(dataset, changes=CHANGES, seed=5)[3, 1] for _ in range(2))
    assert torch.equal(first.picture, again.picture) and torch.equal(first.labels, again.labels)
    for seed, epoch in ((5, 4), (6, 3)):
        other = LabelMaps(dataset, changes=CHANGES, seed=seed)[epoch, 1]
        assert not torch.equal(first.picture, other.picture)


def test_workers_change_nothing(dataset):
    items = LabelMaps(dataset, changes=CHANGES, seed=0)
    keys = [(0, index) for index in (2, 0, 3, 1)]

    def batches(workers):
        return list(
            DataLoader(
                items,  # pyright: ignore[reportArgumentType]
                batch_size=2,
                sampler=keys,
                num_workers=workers,
                collate_fn=collate_labels,
            )
        )

    for alone, worked in zip(batches(0), batches(1), strict=True):
        assert alone.pictures.shape == (2, 3, 32, 48) and alone.labels.shape == (2, 32, 48)
        assert torch.equal(alone.pictures, worked.pictures)
        assert torch.equal(alone.labels, worked.labels)
        assert alone.names == worked.names and len(alone) == 2


def test_a_batch_moves_whole(dataset):
    items = LabelMaps(dataset, changes=(), seed=0)
    batch = collate_labels([items[0, 0], items[0, 1]]).to("cpu", non_blocking=True)
    assert batch.pictures.device.type == batch.labels.device.type == "cpu"
    assert batch.names == tuple(str(sample.path) for sample in dataset.samples[:2])
