"""Margins of the person study, worked by hand on made-up cells."""

import pytest

from encompass.studies.claims import PERSON_FINDINGS
from encompass.studies.pairs import FACTORS, PairCheck, PairFinding, above, margins_of

A, B = {"method": "a"}, {"method": "b"}
CELLS = {
    ("a", 1, 0.0, None): 60.0,
    ("a", 1, 0.1, None): 59.0,
    ("a", 3, 0.0, None): 61.0,
    ("b", 1, 0.0, None): 50.0,
    ("b", 1, 0.1, None): 45.0,
    ("b", 3, 0.1, None): 47.0,
}


def test_cells_that_differ_in_nothing_else_are_paired():
    finding = PairFinding(claim="", terms=above(A, B))
    assert sorted(margins_of(finding, CELLS)) == [10.0, 14.0]
    assert margins_of(PairFinding(claim="", terms=above(A, {"method": "c"})), CELLS) == ()


def test_four_terms_tell_whether_one_drop_is_the_greater():
    none, ten = {"background": 0.0}, {"background": 0.1}
    terms = (*above({**B, **none}, {**B, **ten}), *above({**A, **ten}, {**A, **none}))
    assert margins_of(PairFinding(claim="", terms=terms), CELLS) == (5.0 - 1.0,)


def test_the_spread_is_of_the_mean_of_margins():
    # Student's factor for one degree of freedom, times 2 * sqrt(2) / sqrt(2).
    done = PairCheck((10.0, 14.0))
    assert (done.mean, done.spread) == (12.0, pytest.approx(12.706 * 2))
    assert done.verdict == "undecided"
    assert PairCheck((10.0, 11.0, 12.0)).verdict == "confirmed"
    assert PairCheck((-10.0, -11.0, -12.0)).verdict == "not confirmed"


@pytest.mark.parametrize("finding", PERSON_FINDINGS, ids=lambda finding: finding.claim)
def test_terms_name_factors_and_sum_to_nothing(finding):
    assert all(set(has) <= set(FACTORS) for _, has in finding.terms)
    assert sum(sign for sign, _ in finding.terms) == 0
    assert len({frozenset(has) for _, has in finding.terms}) == 1
