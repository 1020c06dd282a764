"""From files to batches: sizes checked, geometry exact, the same whoever loads."""

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the loader gives tensors")

from PIL import Image  # noqa: E402

from encompass.data.coco import load_coco  # noqa: E402
from encompass.data.drawn import draw_people  # noqa: E402
from encompass.data.loader import (  # noqa: E402
    Batch,
    DetectionDataset,
    collate,
    load_augmented,
    load_example,
    to_network,
)
from encompass.errors import AnnotationError, ImageError  # noqa: E402
from encompass.geometry.resize import Stretch  # noqa: E402


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return draw_people(tmp_path_factory.mktemp("drawn"), num_images=6, seed=1, size=(96, 128))


def test_an_example_has_the_samples_objects_and_masks(people):
    for sample in people.samples:
        example = load_example(sample, with_masks=True)
        assert example.picture.shape == (96, 128, 3)
        np.testing.assert_array_equal(example.boxes_xyxy, sample.boxes_xyxy)
        np.testing.assert_array_equal(example.ignore_xyxy, sample.ignore_xyxy)
        assert [mask.area for mask in example.masks] == [a.area for a in sample.objects]
        assert load_example(sample, with_masks=False).masks is None


def test_one_object_without_a_mask_leaves_boxes_only(people):
    sample = people.samples[0]
    first, *rest = sample.annotations
    bare = dataclasses.replace(first, segmentation=None)
    partial = dataclasses.replace(sample, annotations=(bare, *rest))
    assert load_example(partial, with_masks=True).masks is None
    empty = dataclasses.replace(sample, annotations=())
    assert load_example(empty, with_masks=True).masks == ()


def test_boxes_are_cut_to_the_picture_and_slivers_dropped(people):
    sample = people.samples[0]
    first = sample.objects[0]
    annotations = tuple(
        dataclasses.replace(first, box_xywh=box_xywh)
        for box_xywh in [(-5, -5, 20, 30), (127.5, 10, 9, 9), (10, 10, 0.5, 50), (130, 5, 9, 9)]
    )
    example = load_example(dataclasses.replace(sample, annotations=annotations), with_masks=True)
    np.testing.assert_array_equal(example.boxes_xyxy, [[0, 0, 15, 25]])
    assert len(example.masks) == len(example.labels) == 1


def test_a_picture_of_another_size_is_refused_by_name(people):
    sample = dataclasses.replace(people.samples[0], width=127)
    with pytest.raises(AnnotationError, match=r"000001.jpg: is 128 x 96 .* says 127 x 96"):
        load_example(sample, with_masks=False)


def test_exif_orientation_counts_in_the_size(people, tmp_path):
    tags = Image.Exif()
    tags[0x0112] = 6  # shown turned by a quarter
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=tags)
    sample = dataclasses.replace(
        people.samples[0], path=tmp_path / "a.jpg", height=30, width=20, annotations=()
    )
    assert load_example(sample, with_masks=False).picture.shape == (30, 20, 3)
    with pytest.raises(AnnotationError):
        load_example(dataclasses.replace(sample, height=20, width=30), with_masks=False)


def reference(picture, size):
    """Pillow's antialiased bilinear resize of each channel, after the average over whole blocks."""
    fy, fx = Stretch(src=picture.shape[:2], net=size).reduction
    channels = Image.fromarray(picture).reduce((fx, fy)).split()
    width_height = size[::-1]
    return np.stack(
        [
            np.asarray(c.convert("F").resize(width_height, Image.Resampling.BILINEAR))
            for c in channels
        ]
    )


@pytest.mark.parametrize(
    "shape",
    [(32, 48), (40, 50), (20, 20), (64, 96), (130, 200), (300, 300), (1, 1), (1, 90), (40, 500)],
)
def test_the_network_sees_the_picture_as_stretch_describes(shape):
    size = (32, 48)
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    given = to_network(picture, size)
    assert given.shape == (3, *size) and given.dtype == torch.float32
    np.testing.assert_allclose(given.numpy(), reference(picture, size), atol=1e-3)


def test_a_picture_of_the_networks_size_is_unchanged():
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    np.testing.assert_array_equal(to_network(picture, (32, 48)).numpy(), picture.transpose(2, 0, 1))


def test_an_item_is_the_augmented_example_in_network_pixels(people):
    items = DetectionDataset(people, size=(48, 32), seed=7)
    assert len(items) == len(people)
    for index, sample in enumerate(people.samples):
        item = items[2, index]
        example = load_augmented(sample, with_masks=False, seed=(7, 2, index))
        height, width = example.picture.shape[:2]
        scale = [32 / width, 48 / height] * 2
        np.testing.assert_allclose(item.boxes_xyxy.numpy(), example.boxes_xyxy * scale, rtol=1e-5)
        np.testing.assert_allclose(item.ignore_xyxy.numpy(), example.ignore_xyxy * scale, rtol=1e-5)
        assert torch.equal(item.picture, to_network(example.picture, (48, 32)))
        assert item.labels.tolist() == example.labels.tolist()
        assert item.labels.dtype == torch.int64
        assert item.name == str(sample.path)


def test_augmentation_draws_the_same_with_and_without_masks(people):
    for index, sample in enumerate(people.samples):
        plain, masked = (
            load_augmented(sample, with_masks=with_masks, seed=(0, index))
            for with_masks in (False, True)
        )
        assert plain.masks is None and len(masked.masks) == len(masked.boxes_xyxy)
        np.testing.assert_array_equal(plain.picture, masked.picture)
        np.testing.assert_array_equal(plain.boxes_xyxy, masked.boxes_xyxy)


def same(a, b):
    return torch.equal(a.picture, b.picture) and torch.equal(a.boxes_xyxy, b.boxes_xyxy)


def test_items_follow_seed_epoch_and_index_alone(people):
    def items(seed, epoch, order=range(6)):
        dataset = DetectionDataset(people, size=(64, 64), seed=seed)
        return {index: dataset[epoch, index] for index in order}

    first = items(3, 1)
    again = items(3, 1, order=reversed(range(6)))
    assert all(same(first[index], again[index]) for index in first)
    for other in (items(3, 2), items(4, 1)):
        assert not any(same(first[index], other[index]) for index in first)


def test_augmented_boxes_stay_in_the_networks_input(people):
    dataset = DetectionDataset(people, size=(64, 64), seed=0)
    for epoch in range(5):
        for index in range(len(dataset)):
            item = dataset[epoch, index]
            for boxes in (item.boxes_xyxy, item.ignore_xyxy):
                assert ((boxes >= 0) & (boxes <= 64.001)).all()
            assert item.picture.min() >= -1e-3 and item.picture.max() <= 255.001


def test_a_batch_stacks_its_items_in_order(people):
    dataset = DetectionDataset(people, size=(32, 32), seed=0)
    items = [dataset[0, index] for index in (4, 2, 0)]
    batch = collate(items)
    assert isinstance(batch, Batch) and len(batch) == 3
    assert batch.pictures.shape == (3, 3, 32, 32)
    for index, item in enumerate(items):
        assert torch.equal(batch.pictures[index], item.picture)
        assert torch.equal(batch.boxes[index], item.boxes_xyxy)
        assert torch.equal(batch.labels[index], item.labels)
        assert torch.equal(batch.ignore[index], item.ignore_xyxy)
        assert batch.names[index] == item.name
    moved = batch.to("meta", non_blocking=True)
    assert moved.pictures.is_meta and moved.boxes[0].is_meta and moved.names == batch.names


def batches(dataset, *, workers):
    keys = [(epoch, index) for epoch in range(2) for index in range(len(dataset))]
    return list(
        torch.utils.data.DataLoader(
            dataset,
            batch_size=2,
            sampler=keys,
            collate_fn=collate,
            num_workers=workers,
            multiprocessing_context="fork" if workers else None,
        )
    )


def test_worker_processes_change_nothing(people):
    dataset = DetectionDataset(people, size=(32, 32), seed=5)
    alone, helped = (batches(dataset, workers=workers) for workers in (0, 2))
    assert len(alone) == len(helped) == 6
    for a, b in zip(alone, helped, strict=True):
        assert torch.equal(a.pictures, b.pictures) and a.names == b.names
        assert all(map(torch.equal, a.boxes, b.boxes))
    assert not torch.equal(alone[0].pictures, alone[3].pictures)


def test_a_broken_picture_stops_loading_and_is_named(tmp_path):
    draw_people(tmp_path, num_images=3, seed=0, size=(48, 64))
    path = tmp_path / "images" / "000002.jpg"
    path.write_bytes(path.read_bytes()[:-500])
    dataset = load_coco(tmp_path / "annotations.json", tmp_path / "images")
    items = DetectionDataset(dataset, size=(32, 32), seed=0)
    with pytest.raises(ImageError, match=r"000002.jpg: is truncated"):
        batches(items, workers=0)
    with pytest.raises(ImageError, match=r"000002.jpg: is truncated"):
        batches(items, workers=1)


def test_annotations_without_pictures_load_and_the_missing_file_is_named_on_use(tmp_path):
    record = {"id": 1, "file_name": "gone.jpg", "height": 5, "width": 5}
    content = {"images": [record], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    dataset = load_coco(tmp_path / "a.json", tmp_path)
    with pytest.raises(ImageError, match=r"gone.jpg: no such file"):
        load_example(dataset.samples[0], with_masks=False)
