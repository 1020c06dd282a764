import dataclasses

import numpy as np
import pytest

from encompass.data.loader import load_example
from encompass.errors import EncompassError
from encompass.train.features import cache_features, load_features


def test_after_a_full_disk_nothing_of_the_cache_is_left(build, people, tmp_path, monkeypatch):
    import encompass.train.features as features

    def full(*_):
        raise OSError(28, "No space left on device")

    examples = [load_example(sample, with_masks=True) for sample in people.samples]
    monkeypatch.setattr(features, "_quantised", full)
    with pytest.raises(EncompassError, match=r"features cannot be written .*more room"):
        cache_features(
            build().eval(), examples, tmp_path / "cache", blocks=(11, 5, 3), autocast=False
        )
    assert list(tmp_path.iterdir()) == []


def test_pictures_with_boxes_alone_leave_no_crops(build, people, tmp_path):
    examples = [
        dataclasses.replace(load_example(sample, with_masks=True), masks=None)
        for sample in people.samples
    ]
    cache_features(build().eval(), examples, tmp_path / "cache", blocks=(11, 5, 3), autocast=False)
    cache = load_features(tmp_path / "cache")
    assert len(cache.labels) == len(cache.sizes) == 0


def test_masks_and_boxes_come_back_as_they_were(build, people, tmp_path):
    examples = [load_example(sample, with_masks=True) for sample in people.samples]
    cache_features(build().eval(), examples, tmp_path / "cache", blocks=(11, 5, 3), autocast=False)
    cache = load_features(tmp_path / "cache")
    masks = [mask for example in examples for mask in example.masks]
    assert len(masks) == len(cache.labels) > 5
    for i, mask in enumerate(masks):
        kept = cache.mask(i)
        assert (kept.x, kept.y) == (mask.x, mask.y)
        assert np.array_equal(kept.pixels, mask.pixels)
