"""Verdicts worked by hand on made-up results."""

import pytest

from encompass.models.zoo import MODELS
from encompass.studies.findings import FIGURES, FINDINGS, MAIN, Finding, check


def result(ap, iou=50.0):
    return {
        "mask_at_50": {"AP": ap, "APs": 1.0, "APm": 2.0, "APl": 3.0},
        "quality": {"all": {"mask_IoU": iou}},
    }


def finding(**changes):
    base = {"claim": "", "section": "", "better": "multi-shape", "worse": "single-branch"}
    return Finding(**base | {"figure": "AP50"} | changes)


RESULTS = {
    "multi-shape": [result(12), result(14), result(13)],
    "single-branch": [result(10), result(11), result(12)],
    "single-shape": [result(4), result(4), result(4)],
    "single-shape-plus": [result(10), result(12), result(14)],
    "multi-shape-fcn16": [result(9)],
}


def test_the_margin_is_the_mean_difference_of_equal_seeds():
    done = check(finding(), RESULTS)
    assert (done.better, done.worse, done.margin, done.seeds) == (13, 11, 2, 3)
    # Differences 2, 3, 1: a deviation of 1, so a standard error of 1 / sqrt(3).
    assert done.spread == pytest.approx(2 / 3**0.5)
    assert done.verdict == "confirmed"


def test_a_margin_inside_the_spread_is_undecided():
    done = check(finding(better="single-shape-plus"), RESULTS)
    assert done.margin == 1  # differences 0, 1, 2
    assert done.verdict == "undecided"


def test_a_margin_to_the_other_side_is_not_confirmed():
    turned = check(finding(better="single-branch", worse="multi-shape"), RESULTS)
    assert turned.verdict == "not confirmed"


def test_of_a_row_with_one_seed_the_main_rows_tell_the_spread():
    done = check(finding(worse="multi-shape-fcn16"), RESULTS)
    assert (done.margin, done.seeds) == (3, 1)
    # Variances 1, 1, 0 and 4 have the mean 1.5; two rows differ by the root of twice that.
    assert done.spread == pytest.approx(2 * 3**0.5)
    assert done.verdict == "undecided"


def test_less_than_half_is_a_share():
    done = check(finding(better="single-branch", worse="single-shape", share=0.5), RESULTS)
    assert done.margin == 1.5  # half of 10, 11 and 12, less 4 each
    assert done.verdict == "confirmed"


def test_every_finding_is_of_rows_and_figures_that_exist():
    assert {row for f in FINDINGS for row in (f.better, f.worse)} <= MODELS.keys()
    assert {f.figure for f in FINDINGS} <= FIGURES.keys()
    assert set(MAIN) <= MODELS.keys()
