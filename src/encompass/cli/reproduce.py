"""`encompass reproduce`: the thesis's tables and figures, rerun and put beside its own."""

from __future__ import annotations

from pathlib import Path

import click

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command(name="reproduce")
@click.option("--table", "tables", multiple=True, metavar="NUMBER", help="E.g. 5.4; repeatable.")
@click.option("--figure", "figures", multiple=True, metavar="NUMBER", help="E.g. 5.3; repeatable.")
@click.option("--all", "everything", is_flag=True, help="All tables and figures.")
@click.option(
    "--quick",
    is_flag=True,
    help="On drawn data with a step or two, to see that all works; everything unless told what.",
)
@click.option(
    "--data",
    type=FOLDER,
    help="Folder of datasets: cityscapes/ or camvid/, coco/ (annotations/, train2017/, val2017/) "
    "or coco-person/.",
)
@click.option(
    "--weights",
    multiple=True,
    type=FOLDER,
    help="Folder of initial and trained weights; may be repeated.",
)
@click.option(
    "--recipe",
    type=click.Choice(["ours", "thesis"]),
    default="ours",
    show_default=True,
    help="Of the trainings; the thesis's needs days and a machine like its own.",
)
@click.option(
    "--out",
    type=FOLDER,
    help="Folder of crops, runs, trained weights, figures and tables.md, of one recipe.  "
    "[default: runs/reproduce, runs/reproduce-thesis or runs/reproduce-quick]",
)
@click.option("--results", type=FOLDER, help="Folder of the scores.  [default: results/ in --out]")
def command(
    tables: tuple[str, ...],
    figures: tuple[str, ...],
    everything: bool,
    quick: bool,
    data: Path | None,
    weights: tuple[Path, ...],
    recipe: str,
    out: Path | None,
    results: Path | None,
) -> None:
    """Rerun what the thesis reports: train, score and measure, then show its figures and ours.

    What is there already for the same data, weights and settings is not made again, and a run goes
    on where it was stopped. docs/thesis.md says which module makes what.
    """
    from encompass.errors import UsageError
    from encompass.files import replacing
    from encompass.studies.inputs import Inputs
    from encompass.studies.makers import Effort, Run
    from encompass.studies.quick import QUICK, draw_inputs
    from encompass.studies.reproduce import TARGETS, find_targets, reproduce
    from encompass.studies.tables import section

    if quick and (data or weights or results or recipe != "ours"):
        raise UsageError("--quick draws its own data and weights; give it --out alone.")
    if everything and (tables or figures):
        raise UsageError("--all is every table and figure; leave out --table and --figure.")
    if not (tables or figures or everything or quick):
        raise UsageError("What? Give --table NUMBER, --figure NUMBER, --all or --quick.")
    targets = find_targets(tables, figures) or list(TARGETS)
    kind = "-quick" if quick else "-thesis" if recipe == "thesis" else ""
    out = out or Path("runs", f"reproduce{kind}")
    run = Run(
        inputs=draw_inputs(out) if quick else Inputs(data, weights),
        out=out,
        results=results or out / "results",
        effort=QUICK if quick else Effort(recipe=recipe),
        say=click.echo,
    )
    drawn = reproduce(targets, run)
    tables_made = [t.number for t in targets if t.kind == "table"]
    lines = [line for number in tables_made for line in section(number, run.results)]
    if lines:
        click.echo("\n".join(lines))
        with replacing(out / "tables.md") as file:
            file.write("\n".join(lines).encode())
        click.echo(f"{out / 'tables.md'}: these tables")
    for target in targets:
        for path in drawn.get(target.number, ()):
            click.echo(f"{target.name}, {target.title}: {path}")
