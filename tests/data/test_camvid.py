"""CamVid: eleven classes, void ignored, two layouts."""

import numpy as np
import pytest
from PIL import Image

from encompass.data.camvid import TABLE, load_camvid, splits
from encompass.data.label_augment import count_pixels
from encompass.data.labels import IGNORE
from encompass.errors import AnnotationError, UsageError


@pytest.mark.parametrize(
    ("images", "labels"), [("train/images", "train/labels"), ("train", "trainannot")]
)
def test_values_are_labels_and_eleven_is_ignored(tmp_path, images, labels):
    for folder in (images, labels):
        (tmp_path / folder).mkdir(parents=True)
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.new("RGB", (4, 3)).save(tmp_path / images / "a.png")
    Image.fromarray(values).save(tmp_path / labels / "a.png")
    assert splits(tmp_path) == ("train",)
    dataset = load_camvid(tmp_path, split="train")
    assert dataset.samples[0].read_labels().ravel().tolist() == [*range(11), IGNORE]
    values[0, 0] = 12
    Image.fromarray(values).save(tmp_path / labels / "a.png")
    with pytest.raises(AnnotationError, match="value 12 is no class"):
        dataset.samples[0].read_labels()
    with pytest.raises(UsageError, match=r"no split 'val' of CamVid. Splits: train"):
        load_camvid(tmp_path, split="val")


def test_the_real_set_is_read_whole(shared_data):
    root = shared_data / "camvid"
    assert splits(root) == ("train", "val")
    assert len(load_camvid(root, split="train")) == 367
    val = load_camvid(root, split="val")
    assert len(val) == 101
    pixels = count_pixels(val)
    shares = dict(zip(TABLE.names, pixels.sum(axis=0) / pixels.sum(), strict=True))
    assert pixels.sum() + 297_271 == 101 * 480 * 360  # void, counted apart from this code
    assert max(shares, key=lambda name: shares[name]) == "road"
    assert min(shares, key=lambda name: shares[name]) == "pole"
