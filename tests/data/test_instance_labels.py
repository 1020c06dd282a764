"""Label maps drawn from instances: the smaller object is on top, crowds are ignored."""

from pathlib import Path

import numpy as np
import pytest

from encompass.data.classes import ClassTable
from encompass.data.instance_labels import label_instances
from encompass.data.instances import Annotation, Dataset, Sample
from encompass.data.labels import IGNORE
from encompass.errors import UsageError


def annotation(label, x0, y0, x1, y1, *, crowd=False, masked=True):
    polygon = [x0, y0, x1, y0, x1, y1, x0, y1]
    return Annotation(
        label=label,
        box_xywh=(x0, y0, x1 - x0, y1 - y0),
        area=(x1 - x0) * (y1 - y0),
        crowd=crowd,
        segmentation=[[float(edge) for edge in polygon]] if masked else None,
    )


def labels_of(*annotations, names=("cup", "table")):
    sample = Sample(Path("a.jpg"), 1, 8, 10, annotations)
    table = ClassTable(names, tuple(range(1, len(names) + 1)))
    dataset = label_instances(Dataset((sample,), table, (Path("a.json"),)))
    return dataset, dataset.samples[0].source.read()


TABLE, CUP = annotation(1, 1, 2, 9, 7), annotation(0, 3, 1, 6, 4)


@pytest.mark.parametrize("order", [(TABLE, CUP), (CUP, TABLE)])
def test_the_smaller_object_is_on_top_in_any_order(order):
    dataset, labels = labels_of(*order)
    assert dataset.table.names == ("background", "cup", "table")
    expected = np.zeros((8, 10), np.uint8)
    expected[2:7, 1:9] = 2
    expected[1:4, 3:6] = 1
    np.testing.assert_array_equal(labels, expected)


def test_of_one_size_the_later_is_on_top():
    _, labels = labels_of(annotation(0, 0, 0, 4, 4), annotation(1, 2, 0, 6, 4))
    assert labels[0].tolist() == [1, 1, 2, 2, 2, 2, 0, 0, 0, 0]


@pytest.mark.parametrize("region", [{"crowd": True}, {"masked": False}])
def test_crowds_and_bare_boxes_are_ignored_where_no_object_lies_on_them(region):
    _, labels = labels_of(CUP, annotation(1, 0, 0, 10, 3, **region))
    expected = np.zeros((8, 10), np.uint8)
    expected[:3] = IGNORE
    expected[1:4, 3:6] = 1
    np.testing.assert_array_equal(labels, expected)


def test_a_box_beyond_the_picture_is_cut():
    _, labels = labels_of(annotation(0, -5, 6, 30, 20, masked=False))
    assert (labels[6:] == IGNORE).all() and not labels[:6].any()


def test_more_categories_than_labels_are_refused():
    with pytest.raises(UsageError, match="has 255 categories; choose at most 254"):
        labels_of(CUP, names=tuple(map(str, range(255))))
