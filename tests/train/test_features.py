import dataclasses

import pytest

from encompass.data.loader import load_example
from encompass.errors import EncompassError
from encompass.train.features import cache_features


def test_after_a_full_disk_nothing_of_the_cache_is_left(build, people, tmp_path, monkeypatch):
    import encompass.train.features as features

    def full(*_):
        raise OSError(28, "No space left on device")

    examples = [load_example(sample, with_masks=True) for sample in people.samples]
    monkeypatch.setattr(features._Growing, "append", full)
    with pytest.raises(EncompassError, match=r"features cannot be written .*more room"):
        cache_features(
            build().eval(), examples, tmp_path / "cache", box_jitter=0, seed=0, autocast=False
        )
    assert list(tmp_path.iterdir()) == []


def test_pictures_with_boxes_alone_leave_no_crops(build, people, tmp_path):
    examples = [
        dataclasses.replace(load_example(sample, with_masks=True), masks=None)
        for sample in people.samples
    ]
    cache_features(
        build().eval(), examples, tmp_path / "cache", box_jitter=0, seed=0, autocast=False
    )
    assert sum(map(len, features_of(tmp_path / "cache"))) == 0


def features_of(folder):
    from encompass.train.features import load_features

    return load_features(folder)
