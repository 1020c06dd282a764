"""docs/thesis.md: every path in it is there, and every part of the thesis is in it."""

import re
from pathlib import Path

import pytest

from encompass.studies.reproduce import TARGETS

ROOT = Path(__file__).parents[1]
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
            for first, last in re.findall(r"(\d\.\d+)(?: to (\d\.\d+))?", cell[1]):
                chapter, start = first.split(".")
                end = last.split(".")[1] if last else start
                found |= {f"{chapter}.{i}" for i in range(int(start), int(end) + 1)}
    return found


def ranges(**counts):
    return {f"{chapter[1:]}.{i}" for chapter, n in counts.items() for i in range(1, n + 1)}


def test_every_table_figure_and_equation_of_the_thesis_is_in_the_guide():
    assert numbers("Tables") == ranges(_2=9, _4=6, _5=9)
    assert numbers("Figures") == ranges(_2=16, _3=9, _4=6, _5=3)
    assert numbers("Equations") == ranges(_2=22, _3=2, _5=1)


def test_what_is_reproduced_is_in_the_guide():
    assert {t.number for t in TARGETS if t.kind == "table"} <= numbers("Tables")
    assert {t.number for t in TARGETS if t.kind == "figure"} <= numbers("Figures")
