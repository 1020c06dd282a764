"""Verdicts worked by hand on made-up results."""

import pytest

from encompass.models.zoo import MODELS, SEMANTIC_MODELS
from encompass.studies.claims import (
    CONTROL,
    COST_FINDINGS,
    FINDINGS,
    SEMANTIC_COST_FINDINGS,
    SEMANTIC_FINDINGS,
)
from encompass.studies.findings import (
    FIGURES,
    VARIES_AS,
    CostFinding,
    Finding,
    check,
    check_cost,
)
from encompass.studies.markdown import cost_findings


def result(ap, iou=50.0):
    return {
        "mask_at_50": {"AP": ap, "APs": 1.0, "APm": 2.0, "APl": 3.0},
        "quality": {"all": {"mask_IoU": iou}},
    }


def finding(**changes):
    base = {"claim": "", "section": "", "better": "multi-shape", "worse": "single-branch"}
    return Finding(**base | {"figure": "AP50"} | changes)


# Variances over the seeds of the main rows: 1, 1, 0 and 4; of the three that vary the mean is 2,
# of 6 degrees of freedom.
RESULTS = {
    "multi-shape": [result(22), result(24), result(23)],
    "single-branch": [result(10), result(11), result(12)],
    "single-shape": [result(4), result(4), result(4)],
    "single-shape-plus": [result(10), result(12), result(14)],
    "multi-shape-fcn16": [result(19)],
}


def test_the_spread_is_that_of_means_of_the_seeds():
    done = check(finding(), RESULTS)
    assert (done.better, done.worse, done.margin, done.seeds) == (23, 11, 12, (3, 3))
    assert done.spread == pytest.approx(2.447 * (2 * (1 / 3 + 1 / 3)) ** 0.5)
    assert done.verdict == "confirmed"


def test_a_margin_inside_the_spread_is_undecided():
    done = check(finding(better="single-shape-plus"), RESULTS)
    assert done.margin == 1
    assert done.verdict == "undecided"


def test_a_margin_to_the_other_side_is_not_confirmed():
    turned = check(finding(better="single-branch", worse="multi-shape"), RESULTS)
    assert turned.verdict == "not confirmed"


def test_a_row_with_one_seed_has_the_others_spread():
    done = check(finding(worse="multi-shape-fcn16"), RESULTS)
    assert (done.better, done.worse, done.margin, done.seeds) == (23, 19, 4, (3, 1))
    assert done.spread == pytest.approx(2.447 * (2 * (1 / 3 + 1)) ** 0.5)
    assert done.verdict == "confirmed"


def test_rows_of_different_detectors_test_nothing():
    other = {"multi-shape-fcn16": [result(19) | {"detector": "another"}]}
    done = check(finding(worse="multi-shape-fcn16"), RESULTS | other)
    assert (done.margin, done.verdict) == (4, "not testable here")


def test_a_figure_of_a_subset_varies_as_that_of_the_whole():
    def scored(ap):
        subset = {"val-isb": {"mask_at_50": {"AP": ap}}}
        return {"subsets": subset, **result(0)}

    first = {row: [r | {"subsets": {}} for r in several] for row, several in RESULTS.items()}
    for row, ap in (("multi-shape", 30), ("single-branch", 20)):
        first[row][0]["subsets"] = scored(ap)["subsets"]
    done = check(finding(figure="AP50 of ISB shapes"), first)
    assert (done.better, done.worse, done.seeds) == (30, 20, (1, 1))
    assert done.spread == pytest.approx(2.447 * (2 * 2) ** 0.5)


def test_less_than_half_is_a_share_of_what_is_shown():
    done = check(finding(better="single-branch", worse="single-shape", share=0.5), RESULTS)
    assert (done.better, done.worse, done.margin) == (11, 4, 1.5)
    assert done.spread == pytest.approx(2.447 * (2 * 1.25 / 3) ** 0.5)


def test_a_row_may_be_compared_with_itself_in_another_figure():
    results = {
        "multi-shape": [result(20, iou) for iou in (50.0, 52.0, 54.0)],
        "single-branch": [result(ap, 50.0) for ap in (10.0, 12.0)],
    }
    within = finding(worse="multi-shape", figure="mask IoU", figure_of_worse="AP50", share=0.5)
    done = check(within, results)
    assert (done.better, done.worse, done.margin) == (52, 20, 6)
    # Variances 4 of 2 degrees of freedom and 2 of one; the factor of one counts.
    assert done.spread == pytest.approx(12.706 * (0.25 * 4 / 3 + 2 / 3) ** 0.5)


def test_every_finding_is_of_rows_and_figures_that_exist():
    assert {row for f in FINDINGS for row in (f.better, f.worse)} <= MODELS.keys()
    assert {row for f in COST_FINDINGS for row in (f.cheaper, f.dearer)} <= MODELS.keys()
    assert set(CONTROL) <= MODELS.keys()
    assert {row for f in SEMANTIC_FINDINGS for row in (f.better, f.worse)} <= SEMANTIC_MODELS.keys()
    dear = {row for f in SEMANTIC_COST_FINDINGS for row in (f.cheaper, f.dearer)}
    assert dear <= SEMANTIC_MODELS.keys()
    assert {name for f in (*FINDINGS, *SEMANTIC_FINDINGS) for name in f.figures} <= FIGURES.keys()
    assert set(VARIES_AS.values()) <= FIGURES.keys()
    for several in (FINDINGS, SEMANTIC_FINDINGS, COST_FINDINGS, SEMANTIC_COST_FINDINGS):
        assert len({f.claim for f in several}) == len(several)


def costing(times_ms, *, macs=1, output_bytes=1, together=("a", "b")):
    whole = {"median_ms": sorted(times_ms)[len(times_ms) // 2], "macs": macs, "parameters": 7}
    return {
        "whole": whole | {"output_bytes": output_bytes},
        "times_ms": times_ms,
        "together": together,
    }


def verdict(a, b, *, noise=0.0, **changes):
    found = CostFinding(claim="", cheaper="a", dearer="b", **{"on": ("time",)} | changes)
    return check_cost(found, {"a": a, "b": b}, noise=noise)


def test_a_time_is_compared_turn_by_turn():
    # The machine halves its speed after the first half; in every turn a takes half of b's time.
    a, b = costing([1.0] * 8 + [2.0] * 8), costing([2.0] * 8 + [4.0] * 8)
    equal = dict.fromkeys(("multiply-adds", "output bytes", "parameters"), 1.0)
    assert verdict(a, b) == ({"time": 0.5, **equal}, "confirmed")
    assert verdict(b, a)[1] == "not confirmed"
    # Of 16 turns equal rows part at most 12 to 4: 8 more than the other are outside 1.96 * 4.
    for ahead, expected in [(12, "confirmed"), (11, "undecided"), (4, "not confirmed")]:
        mixed = costing([1.0] * ahead + [3.0] * (16 - ahead))
        assert verdict(mixed, costing([2.0] * 16))[1] == expected


def test_a_time_as_near_to_the_limit_as_the_control_is_to_one_decides_nothing():
    a, b = costing([0.9] * 16), costing([1.0] * 16)
    assert verdict(a, b, noise=0.09)[1] == "confirmed"
    assert verdict(a, b, noise=0.11)[1] == "undecided"
    assert verdict(b, a, noise=0.1)[1] == "not confirmed"  # 1.11
    assert verdict(a, b, noise=0.09, below=0.5)[1] == "not confirmed"


def test_the_control_is_told_and_counts_where_it_took_turns_with_itself():
    rows = ("a", "b", "same")
    profiles = {
        row: costing([ms] * 16, together=rows)
        for row, ms in zip(rows, (0.9, 1.0, 1.2), strict=True)
    }
    found = CostFinding(claim="a is cheap", cheaper="a", dearer="b", on=("time",))
    page = "\n".join(cost_findings([found], profiles, control=("same", "b")))
    assert "| a is cheap | **0.900** |" in page
    assert "| undecided |" in page
    assert "the ratio of its times to themselves is 1.200" in page
    assert "| confirmed |" in "\n".join(cost_findings([found], profiles))
    apart = profiles | {"same": costing([1.2] * 16, together=("same",))}
    assert "| confirmed |" in "\n".join(cost_findings([found], apart, control=("same", "b")))


def test_times_of_rows_that_took_no_turns_decide_nothing():
    a, b = costing([1.0] * 16, together=("a",)), costing([9.0] * 16, together=("b",))
    assert verdict(a, b)[1] == "undecided"
    assert verdict(a, b, on=("output bytes",))[1] == "undecided"  # they are equal


def test_costs_that_are_counted_need_no_turns_and_have_their_own_limit():
    a, b = costing([1.0], output_bytes=102), costing([1.0], output_bytes=100)
    assert verdict(a, b, on=("output bytes",))[1] == "not confirmed"
    assert verdict(a, b, on=("output bytes",), below=1.03)[1] == "confirmed"
    assert verdict(a, b, on=("time", "output bytes"))[1] == "not confirmed"
