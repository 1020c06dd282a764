"""docs/thesis.md: every path and name in it is there, and every part of the thesis is in it."""

import re
from pathlib import Path

import pytest

from encompass.models.zoo import MODELS
from encompass.studies.reproduce import TARGETS

ROOT = Path(__file__).parents[1]
THESIS = ROOT.parent / "shared" / "thesis.md"
GUIDE = (ROOT / "docs" / "thesis.md").read_text()
PATHS = sorted(set(re.findall(r"`([\w/.-]+\.(?:py|toml))`", GUIDE)))


def test_the_guide_names_many_paths():
    assert len(PATHS) > 60


@pytest.mark.parametrize("path", PATHS)
def test_every_path_is_there(path):
    assert any((ROOT / base / path).is_file() for base in ("src/encompass", "tests", "."))


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)", GUIDE))))
def test_every_link_leads_somewhere(link):
    assert (ROOT / "docs" / link).is_file()


def numbers(heading):
    """The numbers in the first column under a heading, ranges filled."""
    part = GUIDE.split(f"## {heading}\n")[1].split("\n## ")[0]
    found = set()
    for line in part.splitlines():
        if cell := re.match(r"\| (\d[^|]*) \|", line):
            number = r"(\d(?:\.\d+)*)"
            for first, last in re.findall(rf"(?<![\w.-]){number}(?: to {number})?", cell[1]):
                above, _, start = first.rpartition(".")
                end = (last or first).rpartition(".")[2]
                found |= {f"{above}.{i}".lstrip(".") for i in range(int(start), int(end) + 1)}
    return found


def ranges(**counts):
    return {f"{chapter[1:]}.{i}" for chapter, n in counts.items() for i in range(1, n + 1)}


def test_every_table_figure_and_equation_of_the_thesis_is_in_the_guide():
    assert numbers("Tables") == ranges(_2=9, _4=6, _5=9)
    assert numbers("Figures") == ranges(_2=16, _3=9, _4=6, _5=3)
    assert numbers("Equations") == ranges(_2=22, _3=2, _5=1)


# Of each section of the thesis how many are below it, where none is below those.
COUNTS = "1:5 2.1:5 2.2:5 2.3:4 2.4:1 2.5:2 2.6:1 3.1:5 3.2:1 4.1:1 4.2:3 4.3:3 5.1:2 5.2:4 6:2"
SECTIONS = dict(part.split(":") for part in COUNTS.split())
LEAVES = {f"{above}.{i}" for above, n in SECTIONS.items() for i in range(1, int(n) + 1)}
LEAVES |= {"3.3", "4.4", "5.3"}  # conclusions


def test_every_section_of_the_thesis_is_in_the_guide():
    mapped = numbers("Sections")
    above = {leaf: [leaf, leaf.rpartition(".")[0], leaf[0]] for leaf in LEAVES}
    assert [leaf for leaf in sorted(LEAVES) if not mapped.intersection(above[leaf])] == []
    assert mapped <= LEAVES | SECTIONS.keys()


@pytest.mark.skipif(not THESIS.is_file(), reason="the thesis's text is not beside the checkout")
def test_the_numbers_of_the_thesis_are_those_of_its_text():
    contents, rest = THESIS.read_text().split("# List of Figures", 1)
    listed, body = rest.split("# Nomenclature", 1)
    sections = set(re.findall(r"^(?:<b>)?(\d(?:\.\d+)+)(?:</b>)?\s", contents, re.M))
    assert {s for s in sections if not any(o.startswith(f"{s}.") for o in sections)} == LEAVES
    figures, tables = (
        set(re.findall(r"^(\d\.\d+)\t", part, re.M)) for part in listed.split("# List of Tables")
    )
    assert (figures, tables) == (numbers("Figures"), numbers("Tables"))
    equations = set(re.findall(r"(?:\\tag\{|\()([2-5]\.\d+)[)}]", body))
    assert equations <= numbers("Equations")
    assert "2.6" in equations


LINES = [
    line for line in GUIDE.splitlines() if re.search(r"^\|.*(`\w+`.*\.py`|\.py`.*`\w+`)", line)
]


@pytest.mark.parametrize("line", LINES, ids=[line.split("|")[1].strip()[:20] for line in LINES])
def test_every_name_is_in_a_module_that_its_line_names(line):
    modules = [ROOT / "src" / "encompass" / path for path in PATHS if f"`{path}`" in line]
    text = "\n".join(path.read_text() for path in modules if path.is_file())
    for name in re.findall(r"`([A-Za-z_]\w*)`", line):
        assert re.search(rf"^(?:def |class )?{name}\b", text, re.M), name


def test_every_row_that_is_named_is_in_the_zoo():
    rows = set(re.findall(r"`((?:single|multi|mask)-[\w.-]+)`", GUIDE))
    assert {"single-branch-anchors", "multi-shape"} <= rows <= MODELS.keys()


def test_what_is_reproduced_is_in_the_guide():
    assert {t.number for t in TARGETS if t.kind == "table"} <= numbers("Tables")
    assert {t.number for t in TARGETS if t.kind == "figure"} <= numbers("Figures")
