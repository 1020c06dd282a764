"""The thesis's numbers against its own text, where that is here."""

import re
from pathlib import Path

import pytest

from encompass.geometry.grid import ISB_SHAPES
from encompass.models.zoo import MODELS, SEMANTIC_MODELS
from encompass.studies.published import (
    COSTS,
    MAIN,
    PERSON_COUNTS,
    PERSON_IOUS,
    PERSON_TABLES,
    PICTURES,
    ROWS,
    SCORES,
    SEMANTIC_ROWS,
    TABLES,
    Cost,
)

THESIS = Path(__file__).parents[3] / "shared" / "thesis.md"


@pytest.fixture(scope="module")
def text():
    if not THESIS.is_file():
        pytest.skip("the thesis's text (shared/thesis.md beside the checkout) is not here")
    return THESIS.read_text()


@pytest.fixture(scope="module")
def tables(text):
    """Cells of each table of the text, by its number: the rows that stand before its caption."""
    found, rows = {}, []
    for line in text.splitlines():
        if caption := re.match(r"Table (\d\.\d): ", line):
            found[caption[1]], rows = rows, []
        elif "\t" in line:
            rows.append([re.sub(r"<[^>]+>", "", cell).strip() for cell in line.split("\t")])
    return found


def number(cell):
    return None if cell == "-" else float(cell.removesuffix("%"))


def letters(cell):
    return re.sub(r"[\s$]", "", cell)


@pytest.mark.parametrize("which", TABLES)
def test_every_number_and_name_is_that_of_the_text(tables, which):
    (_, *columns), *rows = tables[which]
    assert list(map(letters, TABLES[which].columns)) == list(map(letters, columns))
    assert {name: tuple(map(number, cells)) for name, *cells in rows} == TABLES[which].rows


def test_numbers_of_pictures_are_those_of_the_text(text):
    for sentence, which in (
        (r"with (\d+ \d+) images for training and (\d \d+) images for validation", "person crops"),
        (r"made up of (\d+) images in its training dataset and (\d+) images in", "ISB shapes"),
        (r"COCO includes (\d+) training images and (\d+) validation images", "persons"),
    ):
        (found,) = re.findall(sentence, text)
        assert tuple(int(count.replace(" ", "")) for count in found) == PICTURES[which]


def test_all_tables_with_results_are_there():
    assert list(TABLES) == [
        *("2.6", "2.7"),
        *(f"4.{i}" for i in range(1, 7)),
        *(f"5.{i}" for i in range(1, 10)),
    ]


def test_rows_of_the_zoo_find_their_numbers():
    for row, (scores, costs, name) in ROWS.items():
        assert row in MODELS
        assert SCORES[scores][name]["AP"] > 0
        assert COSTS[costs][name].parameters > 1e6
    assert SCORES["5.4"]["Multi-Shape"]["AR100"] == 57.19
    assert MAIN == ("single-branch", "single-shape", "single-shape-plus", "multi-shape")
    assert COSTS["4.2"]["MN-FCN16"] == Cost(80.19, 5.62, 1612.21, 849_942)
    assert SEMANTIC_ROWS.keys() <= SEMANTIC_MODELS.keys()
    assert SEMANTIC_ROWS["stride16-mobilenet0.5"] == (42.75, "MN-Stride16")
    assert {name for _, name in SEMANTIC_ROWS.values()} == COSTS["4.2"].keys()
    assert PERSON_IOUS[PERSON_TABLES["mobilenet0.5"]][0.10] == (46.88, 49.62, 48.61)


def test_table_5_1_counts_all_person_annotations_of_val2017():
    assert PERSON_COUNTS["val2017"].annotations == 11004
    assert PERSON_COUNTS["train2017"].annotations == 262466
    names = [f"{height}x{width}" for height, width in ISB_SHAPES]
    assert list(TABLES["5.1"].columns) == [*names, "Other"]


def test_numbers_that_cannot_be_are_those_the_guide_names():
    # More finds a picture find no less. AP is a mean over 101 recalls, so it is at most
    # one hundredth above the recall that is reached.
    falling, above = set(), set()
    for number, rows in SCORES.items():
        for name, s in rows.items():
            if not s["AR1"] <= s["AR10"] <= s["AR100"]:
                falling.add((number, name))
            for size, recall in (("", "100"), ("s", "s"), ("m", "m"), ("l", "l")):
                if s[f"AP{size}"] > (int(s[f"AR{recall}"]) + 1) / 101 * 100:
                    above.add((number, name, f"AP{size}"))
    assert falling == {("5.3", "Single-Branch")}
    assert above == {("5.4", "Single-Branch", "APl"), ("5.6", "SB-Default", "APl")}
