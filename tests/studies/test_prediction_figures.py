"""Figures 5.2 and 5.3: which finds meet which people, and which pictures are shown."""

from pathlib import Path

import numpy as np
import pytest

from encompass.data.drawn import draw_people
from encompass.data.instances import Annotation, Sample
from encompass.schema import BoxMask, Instances
from encompass.studies.prediction_figures import (
    choose,
    draw_case,
    figure_5_2,
    figure_5_3,
    look,
    with_masks,
    without_its_largest,
)


def annotation(box, area=None):
    x0, y0, x1, y1 = box
    outline = [[x0, y0, x1, y0, x1, y1, x0, y1]]
    box_xywh = (x0, y0, x1 - x0, y1 - y0)
    return Annotation(0, box_xywh, area or (x1 - x0) * (y1 - y0), False, outline)


def sample(*boxes, name="a.jpg", area=None):
    return Sample(Path(name), 1, 100, 200, tuple(annotation(box, area) for box in boxes))


def finds(*boxes, empty=()):
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    masks = tuple(
        BoxMask(
            int(x0), int(y0), np.ones((0, 0) if i in empty else (int(y1 - y0), int(x1 - x0)), bool)
        )
        for i, (x0, y0, x1, y1) in enumerate(boxes)
    )
    return Instances(
        height=100,
        width=200,
        boxes=boxes,
        scores=np.linspace(0.9, 0.5, len(boxes), dtype=np.float32),
        labels=np.zeros(len(boxes), np.int64),
        masks=masks,
        names=("person",),
    )


LEFT, RIGHT = (0, 0, 40, 80), (100, 0, 140, 80)


def test_a_find_meets_one_person_and_a_second_find_of_the_same_is_wrong():
    case = look(sample(LEFT, RIGHT), finds(LEFT, (1, 0, 40, 80)))
    assert (case.missed, case.wrong) == (1, 1)
    assert case.quality == pytest.approx(0.5)  # one mask is right to the pixel, one person has none


def test_a_find_that_lies_by_half_in_a_crowd_region_is_not_wrong():
    crowd = Annotation(0, (100, 0, 60, 100), 6000.0, True, None)
    people = Sample(Path("a.jpg"), 1, 100, 200, (annotation(LEFT), crowd))
    by_half, by_less = (80, 0, 120, 80), (79, 0, 119, 80)
    assert look(people, finds(LEFT, RIGHT, by_half)).wrong == 0
    assert look(people, finds(by_less)).wrong == 1
    assert look(people, finds(LEFT)).missed == 0  # a crowd is nobody to be found


def test_nobody_and_nothing_are_counted_too():
    assert (look(sample(LEFT), finds()).missed, look(sample(), finds(LEFT)).wrong) == (1, 1)
    assert look(sample(), finds()).quality == 0


def test_rules_choose_the_best_the_most_missed_and_the_most_wrong():
    good = look(sample(LEFT, RIGHT, name="good.jpg"), finds(LEFT, RIGHT))
    alone = look(sample(LEFT, name="alone.jpg"), finds(LEFT))
    fair = look(sample(LEFT, RIGHT, name="fair.jpg"), finds(LEFT))
    blind = look(sample(LEFT, RIGHT, name="blind.jpg"), finds())
    wild = look(sample(name="wild.jpg"), finds(LEFT, RIGHT))
    chosen = choose([alone, fair, blind, wild, good])
    assert [case.sample.path.stem for _, case in chosen] == ["good", "fair", "blind", "wild"]
    assert [text for text, _ in chosen[2:]] == ["2 people not found", "2 finds that meet nobody"]


def test_figure_5_2_shows_where_the_largest_person_alone_has_no_mask():
    person = sample(LEFT, RIGHT, area=100)
    large = sample(LEFT, RIGHT, area=10_000, name="large.jpg")
    whole = look(large, finds(LEFT, RIGHT))
    blind = look(large, finds())
    half = look(large, finds(RIGHT))  # the first of equals counts as the largest
    assert without_its_largest([whole, blind, look(person, finds(RIGHT)), half]) is half
    assert without_its_largest([whole]) is whole
    assert len(with_masks(finds(LEFT, RIGHT, empty=(0,)))) == 1


def test_both_figures_are_drawn(tmp_path):
    people = draw_people(tmp_path, num_images=4, seed=0)

    def predict(path):
        shown = next(s for s in people.samples if s.path == path)
        return finds(*shown.boxes_xyxy[:1])

    assert figure_5_2(people, predict).height > 640
    assert figure_5_3(people, predict).height > 640
    case = look(people.samples[0], predict(people.samples[0].path))
    assert draw_case(case).size == (320, 240)
