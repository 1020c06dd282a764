import torch

from encompass.losses.matching import match_anchors, pairwise_iou

ANCHORS = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 4, 4], [50, 50, 60, 60]])
NOTHING = torch.zeros(0, 4)


def test_iou_and_share_worked_by_hand():
    overlap, inside = pairwise_iou(ANCHORS[:2], torch.tensor([[0.0, 0, 20, 10]]))
    assert overlap.flatten().tolist() == [0.5, 0.5]
    assert inside.flatten().tolist() == [1.0, 1.0]


def test_an_anchor_above_half_takes_the_object_and_the_rest_is_background():
    match = match_anchors(ANCHORS, torch.tensor([[0.0, 0, 10, 9]]), NOTHING)
    # IoU 0.9; 45 / 145; 16 / 90; none.
    assert match.objects.tolist() == [0, -1, -1, -1]


def test_each_object_gets_its_best_anchor_even_below_half():
    match = match_anchors(ANCHORS, torch.tensor([[0.0, 0, 10, 10], [0, 0, 2, 2]]), NOTHING)
    assert match.objects.tolist() == [0, -1, 1, -1]


def test_of_objects_with_one_best_anchor_the_last_has_it():
    objects = torch.tensor([[50.0, 50, 55, 60], [0, 0, 4, 4], [55, 50, 60, 60]])
    assert match_anchors(ANCHORS, objects, NOTHING).objects.tolist() == [-1, -1, 1, 2]


def test_anchors_in_a_crowd_learn_nothing():
    crowd = torch.tensor([[45.0, 45, 65, 65]])
    match = match_anchors(ANCHORS, NOTHING, crowd)
    assert match.objects.tolist() == [-1, -1, -1, -2]
    assert match.negative.tolist() == [True, True, True, False]


def test_an_object_in_a_crowd_region_is_still_learnt():
    box = torch.tensor([[50.0, 50, 60, 60]])
    assert match_anchors(ANCHORS, box, box).positive.tolist() == [False, False, False, True]
