"""The thesis's numbers against its own text, where that is here."""

import re
from pathlib import Path

import pytest

from encompass.studies.published import COSTS, PERSON_IOUS, SCORES, SEMANTIC_ROWS, Cost

THESIS = Path(__file__).parents[3] / "shared" / "thesis.md"


@pytest.fixture(scope="module")
def tables():
    """Cells of each table of the text, by its number: the rows that stand before its caption."""
    if not THESIS.is_file():
        pytest.skip("the thesis's text (shared/thesis.md beside the checkout) is not here")
    found, rows = {}, []
    for line in THESIS.read_text().splitlines():
        if caption := re.match(r"Table (\d\.\d): ", line):
            found[caption[1]], rows = rows, []
        elif "\t" in line:
            rows.append([re.sub(r"<[^>]+>", "", cell).strip() for cell in line.split("\t")])
    return found


@pytest.mark.parametrize("number", SCORES)
def test_scores_are_those_of_the_text(tables, number):
    _, *rows = tables[number]
    assert {row[0]: tuple(map(float, row[1:])) for row in rows} == {
        name: tuple(scores.values()) for name, scores in SCORES[number].items()
    }


@pytest.mark.parametrize("number", COSTS)
def test_costs_are_those_of_the_text(tables, number):
    _, *rows = tables[number]
    assert {row[0]: Cost(*map(float, row[1:4]), int(row[4])) for row in rows} == COSTS[number]


def test_mean_ious_are_those_of_the_text(tables):
    _, *rows = tables["4.1"]
    encoders = ("squeezenet", "squeezenet", "mobilenet0.5", "mobilenet0.5")
    found = {}
    for stride, *ious in rows:
        for encoder, method, iou in zip(encoders, ("fcn", "stride") * 2, ious, strict=True):
            base = {"squeezenet": "16", "mobilenet0.5": "32"}[encoder]
            row = encoder if stride == base else f"{method}{stride}-{encoder}"
            if iou != "-":
                found[row] = float(iou)
    assert found == {row: iou for row, (iou, _) in SEMANTIC_ROWS.items()}
    assert {name for _, name in SEMANTIC_ROWS.values()} == COSTS["4.2"].keys()


@pytest.mark.parametrize("number", PERSON_IOUS)
def test_person_ious_are_those_of_the_text(tables, number):
    _, *rows = tables[number]
    found = {float(row[0]): tuple(map(float, row[1:])) for row in rows}
    assert found == PERSON_IOUS[number]
