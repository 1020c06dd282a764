"""The thesis's tables and figures, each with the study that makes it.

`encompass reproduce` finds its targets here. A table is what `tables` reads from the results of its
study's items; a figure is drawn from data and trained weights (`drawings`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from encompass.errors import UsageError, did_you_mean
from encompass.studies import drawings, person_crops, published, semantic
from encompass.studies.makers import STUDIES, Run


@dataclass(frozen=True, kw_only=True)
class Target:
    """A table or a figure of the thesis."""

    kind: str  # "table" or "figure"
    number: str
    title: str
    study: str = ""  # of a table: a key of `STUDIES`; "" where nothing is trained or measured
    items: tuple[str, ...] = ()  # of the study
    needs: tuple[str, ...] = ()  # of a figure: keys of `inputs.NEEDS`
    draw: Callable[[Run], list[Path]] | None = None  # of a figure

    @property
    def name(self) -> str:
        """As a reader of the thesis calls it."""
        return f"{self.kind.title()} {self.number}"


def _tables() -> Iterable[Target]:
    methods = {number: method for method, number in published.PERSON_TABLES.items()}
    for number, table in published.TABLES.items():
        study, items = "", ()
        if number in published.COSTS:
            study, items = "costs", tuple(published.TABLE_ROWS[number].values())
        elif number in published.SCORES:
            study, items = "instance", tuple(published.TABLE_ROWS[number].values())
        elif number in methods:
            cells = person_crops.cells([methods[number]])
            study, items = "person-crops", tuple(cell.name for cell in cells)
        elif number == "4.1":
            study, items = "semantic", semantic.ROWS
        elif number == "5.1":
            study = "counts"
        yield Target(kind="table", number=number, title=table.title, study=study, items=items)


def _figures() -> Iterable[Target]:
    for number, (title, needs, draw) in drawings.FIGURES.items():
        yield Target(kind="figure", number=number, title=title, needs=needs, draw=draw)


TARGETS: tuple[Target, ...] = (*_tables(), *_figures())


def find_targets(tables: Sequence[str], figures: Sequence[str]) -> list[Target]:
    """The targets of some numbers. Raises UsageError for one that is not here."""
    found = []
    for kind, numbers in (("table", tables), ("figure", figures)):
        known = {target.number: target for target in TARGETS if target.kind == kind}
        for number in numbers:
            if number not in known:
                raise UsageError(
                    f"--{kind} {number}: not made here.{did_you_mean(number, known)} Known: "
                    f"{', '.join(known)}."
                )
            found.append(known[number])
    return found


def reproduce(targets: Sequence[Target], run: Run) -> dict[str, list[Path]]:
    """Make what some targets need, then draw the figures; the files of each figure by its number.

    Raises UsageError before anything is made when an input is missing.
    """
    for target in targets:
        study = STUDIES[target.study].needs if target.study else ()
        run.inputs.find([*study, *target.needs], target.name)
    todo: dict[str, list[str]] = {}
    for target in targets:
        if target.study:
            todo.setdefault(target.study, []).extend(target.items[: run.effort.items])
    for study, items in todo.items():
        STUDIES[study].make(run, list(dict.fromkeys(items)))
    return {target.number: target.draw(run) for target in targets if target.draw}
