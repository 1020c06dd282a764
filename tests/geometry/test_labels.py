import numpy as np
import pytest
import torch

from encompass.geometry.labels import label_pixels
from encompass.models.semantic import upsample


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def smooth(classes, h, w):
    """Regions of several cells, as networks give."""
    coarse = noise(1, classes, -(-h // 5), -(-w // 5), seed=1)
    return torch.nn.functional.interpolate(coarse, size=(h, w), mode="bicubic")


def ours(logits, *, stride, size):
    return label_pixels(logits[0].numpy(), stride=stride, height=size[0], width=size[1])


SHAPES = [
    (19, 16, 24, 16, (256, 384)),
    (19, 16, 24, 8, (123, 185)),
    (5, 7, 9, 4, (27, 33)),
    (5, 3, 3, 32, (65, 70)),
    (2, 1, 16, 32, (1, 500)),
    (3, 16, 1, 32, (500, 1)),
    (3, 1, 1, 32, (1, 1)),
    (3, 2, 2, 16, (1, 1)),
    (255, 4, 4, 2, (8, 8)),
]


@pytest.mark.parametrize("make", [smooth, lambda *shape: noise(1, *shape)], ids=["smooth", "noise"])
@pytest.mark.parametrize(("classes", "h", "w", "stride", "size"), SHAPES)
def test_labels_are_those_of_the_largest_full_size_logit(make, classes, h, w, stride, size):
    logits = make(classes, h, w)
    full = upsample(logits, stride=stride, size=size)[0]
    labels = ours(logits, stride=stride, size=size)
    assert labels.dtype == np.uint8
    assert labels.shape == size
    chosen = full.gather(0, torch.from_numpy(labels.astype(np.int64))[None])[0]
    # Equal wherever the largest is larger than the next by more than rounding.
    assert (full.amax(dim=0) - chosen).max() < 1e-5
    assert (labels == full.argmax(dim=0).numpy()).mean() >= 0.999


def test_the_border_of_two_cells_by_hand():
    logits = np.asarray([[[1, 0]], [[0, 1]]], np.float32)
    labels = label_pixels(logits, stride=4, height=2, width=7)
    assert labels.tolist() == [[0, 0, 0, 0, 1, 1, 1]] * 2


def test_a_class_that_is_the_largest_at_no_centre_may_be_so_between_them():
    # Halfway the values are 0, 0 and 2.
    logits = np.asarray([[[10, -10]], [[-10, 10]], [[2, 2]]], np.float32)
    labels = label_pixels(logits, stride=8, height=1, width=16)[0].tolist()
    assert labels[7] == labels[8] == 2
    assert (labels[0], labels[-1]) == (0, 1)


def test_of_equal_classes_the_lower_one_is_taken():
    logits = np.zeros((3, 2, 2), np.float32)
    logits[0, 0, 0] = -1  # the other two are equal everywhere
    labels = label_pixels(logits, stride=4, height=8, width=8)
    assert labels[0, 0] == 1
    assert labels[-1, -1] == 0
    assert 2 not in labels


def test_an_odd_stride_is_refused():
    with pytest.raises(AssertionError):
        label_pixels(np.zeros((2, 1, 1), np.float32), stride=3, height=3, width=3)
