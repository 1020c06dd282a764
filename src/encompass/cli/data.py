"""`encompass data`: datasets and branch shapes from annotations."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from encompass.data.persons import PersonCounts
    from encompass.data.shapes import BranchWidths, ShapeReport
    from encompass.models.zoo import InstanceSpec


@click.group(name="data")
def command() -> None:
    """Make datasets and branch shapes from annotations."""


@command.command()
@click.argument("annotations", type=click.Path(path_type=Path))
@click.option(
    "--val", type=click.Path(path_type=Path), help="A second COCO file, treated in the same way."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the files.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON, not as a table.")
def persons(annotations: Path, val: Path | None, out: Path, as_json: bool) -> None:
    """The thesis's person datasets (5.1.2, 5.2.1) of ANNOTATIONS, a COCO instances file.

    Three COCO files are written for each file NAME.json; pictures are not copied (give their
    folder to train and evaluate with --images):

    \b
    NAME-persons.json       pictures with at least one person annotation,
                            and their person annotations
    NAME-isb.json           pictures with at least one matching annotation,
                            and all their person annotations
    NAME-isb-matching.json  the same pictures, and their matching annotations
                            alone; what is dropped is background there

    A person annotation is any of the category "person", crowd region or not, so a picture with
    only a crowd region is in the first file. It is matching if its encompassing box, on the 20x20
    cells of the picture stretched to 640x640, has one of the twelve shapes of Table 5.1; crowd
    regions may match. A box of zero width or height has no shape: it is not in the table and never
    matches, but stays where all person annotations stay. COCO 2017 should give 64,116 and 2,693
    pictures in the first file (train, val) and 30,545 and 1,284 in the others.
    """
    from encompass.data.persons import build_person_sets, save_coco
    from encompass.errors import UsageError
    from encompass.studies.published import PERSON_COUNTS

    paths = [annotations] if val is None else [annotations, val]
    if len({path.stem for path in paths}) < len(paths):
        raise UsageError(
            f"{annotations} and {val} have the same name, and so would their files; rename one."
        )
    counts: dict[str, PersonCounts] = {}
    contents: dict[Path, dict[str, Any]] = {}
    for path in paths:
        sets = build_person_sets(path)
        counts[path.stem] = sets.counts
        contents |= {out / name: content for name, content in sets.files(path.stem).items()}
    save_coco(contents)
    if as_json:
        _print_json(
            {
                "files": {
                    str(path): {key: len(content[key]) for key in ("images", "annotations")}
                    for path, content in contents.items()
                },
                "counts": {name: _count_facts(c) for name, c in counts.items()},
                "thesis": {name: _count_facts(c) for name, c in PERSON_COUNTS.items()},
            }
        )
        return
    _print_counts(counts | {f"thesis, {name}": c for name, c in PERSON_COUNTS.items()})
    for path, content in contents.items():
        images, records = len(content["images"]), len(content["annotations"])
        click.echo(f"{path}: {images:,} pictures, {records:,} annotations")


@command.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--branches", required=True, type=click.IntRange(1, 100), help="How many shapes to propose."
)
@click.option(
    "--model",
    default="multi-shape",
    show_default=True,
    help="Row of the zoo whose input size, coarse map and widths are taken.",
)
@click.option(
    "--classes",
    multiple=True,
    metavar="NAME",
    help="Look at this class of the data alone; may be repeated. All by default.",
)
@click.option(
    "--coverage",
    type=click.FloatRange(0, 1),
    default=0.9,
    show_default=True,
    help="Least share of the objects that some branch holds without shrinking them. The default "
    "is what the thesis's ten shapes hold of COCO's people.",
)
@click.option(
    "--budget-ms",
    type=click.FloatRange(0, min_open=True),
    help="Most time that the branches may take for one picture, as predicted for this machine. "
    "Without limit by default.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the proposal as a row file (.toml)."
)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def shapes(
    data: Path,
    branches: int,
    model: str,
    classes: tuple[str, ...],
    coverage: float,
    budget_ms: float | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Propose branch shapes for DATA: COCO annotations (.json) or a folder with images/ and masks/.

    Printed beside the thesis's ten shapes on the same data, with the objects as annotated:

    \b
    coverage    share of objects that a branch holds without shrinking them
    exact       share of objects whose encompassing box has its branch's shape
    distortion  mean over objects of |log(h'/h)| + |log(w'/w)|, from the shape
                (h, w) of the encompassing box to that of its branch (h', w')
    cost        multiply-adds of the branches for one picture; in ms at the
                speed of a small matrix product here, a lower bound

    The proposal has the least distortion that was found within --coverage and --budget-ms.
    """
    from encompass.data.coco import load_coco
    from encompass.data.shapes import (
        count_shapes,
        format_row,
        measure_multiply_add,
        propose_shapes,
        report_shapes,
    )
    from encompass.data.sources import load_dataset
    from encompass.errors import UsageError
    from encompass.files import replacing
    from encompass.models.rows import find_instance_row
    from encompass.models.zoo import TEN_SHAPES, BranchSpec

    if out:
        _check_row_path(out)
    name, spec = find_instance_row(model)
    plain = {BranchSpec(shape=b.shape, max_boxes=b.max_boxes) == b for b in spec.branches}
    if (spec.crop, spec.head, plain) != ("encompassing", "fcn", {True}):
        raise UsageError(
            f"{name} does not resize encompassing boxes to plain branches; choose a row that does, "
            "like multi-shape."
        )
    if data.suffix == ".json":  # the pictures need not be there
        dataset = load_coco(data, data.parent / "images", categories=classes or None)
    else:
        dataset = load_dataset(data, classes=classes)
    stride, widths = _coarse_map(spec, num_classes=len(dataset.classes))
    histogram = count_shapes(dataset, input_size=spec.input_size, stride=stride)
    seconds = measure_multiply_add()
    budget = None if budget_ms is None else budget_ms / 1000 / seconds
    proposal = propose_shapes(histogram, branches, widths, coverage=coverage, budget=budget)
    reports = {
        "proposal": report_shapes(histogram, proposal, widths),
        "thesis": report_shapes(histogram, TEN_SHAPES, widths),
    }
    if out:
        with replacing(out) as file:
            most = max(branch.max_boxes for branch in spec.branches)
            text = format_row(out.stem, proposal, _settings(spec), max_boxes=most)
            file.write(text.encode())
    objects = int(histogram.counts.sum())
    if as_json:
        _print_json(
            {
                "images": histogram.num_images,
                "objects": objects,
                "model": name,
                "seconds_per_multiply_add": seconds,
                **{name: _report_facts(report, seconds) for name, report in reports.items()},
            }
        )
        return
    grid = spec.input_size // stride
    click.echo(
        f"{objects:,} objects in {histogram.num_images:,} pictures, {grid}x{grid} cells of {name}"
    )
    _print_reports(reports, seconds)
    if out:
        click.echo(out)


@command.command("person-crops")
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The new folder to write."
)
@click.option(
    "--size",
    type=click.Choice(["320x192", "160x96"]),
    default="320x192",
    show_default=True,
    metavar="HEIGHTxWIDTH",
    help="Of the crops, pixels: 320x192 or 160x96.",
)
@click.option(
    "--background",
    type=click.Choice(["0", "5", "10"]),
    default="0",
    show_default=True,
    help="Percent of the box added on every side.",
)
@click.option("--split", help="Which split of Cityscapes.")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of a COCO file's pictures; images/ beside the file by default.",
)
def person_crops(
    source: Path, out: Path, size: str, background: str, split: str | None, images: Path | None
) -> None:
    """The thesis's crops of persons (4.3) from SOURCE: Cityscapes, or instances with masks.

    Each person's box is made higher or wider to the aspect ratio of the crops, the person in its
    middle, and grows by --background on every side. That person alone is labelled; all else is
    background, and what lies beyond the picture is ignored. OUT gets images/, masks/ and
    classes.txt, whole or not at all, and is a dataset to train with. Persons without a mask, crowd
    regions, groups and riders give no crop.
    """
    from encompass.cli._size import parse_size
    from encompass.data.cityscapes import is_cityscapes
    from encompass.data.person_crops import (
        people_of_cityscapes,
        people_of_instances,
        write_person_crops,
    )
    from encompass.data.sources import load_dataset
    from encompass.errors import UsageError

    if is_cityscapes(source):
        if split is None or images is not None:
            raise UsageError(f"{source} is Cityscapes: give --split, and no --images.")
        pictures = people_of_cityscapes(source, split=split)
    elif split is not None:
        raise UsageError(f"{source} is not laid out as Cityscapes; --split goes with that alone.")
    else:
        pictures = people_of_instances(load_dataset(source, images=images))
    counts = write_person_crops(
        pictures, out, size=parse_size(size), background=int(background) / 100
    )
    left_out = f"; {counts.left_out:,} left out" if counts.left_out else ""
    click.echo(f"{out}: {counts.written:,} persons at {size}{left_out}")


def _check_row_path(path: Path) -> None:
    from encompass.errors import UsageError
    from encompass.models.zoo import MODELS, SEMANTIC_MODELS

    if path.suffix != ".toml" or not re.fullmatch(r"[A-Za-z0-9._-]+", path.stem):
        raise UsageError(
            f"{path} must be a name of letters, digits, dots and dashes that ends in .toml."
        )
    if path.stem in MODELS | SEMANTIC_MODELS:
        raise UsageError(f"{path.stem} is a row of the zoo; choose another name.")


def _coarse_map(spec: InstanceSpec, *, num_classes: int) -> tuple[int, BranchWidths]:
    """The stride of a row's coarse map, and the widths of its branches."""
    from encompass.data.shapes import BranchWidths
    from encompass.models.branches import DEPTH, SKIP_DEPTH
    from encompass.models.mobilenet import BLOCKS, MobileNetV1, scaled

    channels = tuple(scaled(BLOCKS[block - 1][0], spec.multiplier) for block in spec.crop_blocks)
    return MobileNetV1.STRIDES[spec.crop_blocks[0]], BranchWidths(
        channels=channels, depth=DEPTH, skip_depth=SKIP_DEPTH, num_classes=num_classes
    )


def _settings(spec: InstanceSpec) -> dict[str, Any]:
    """What a row file says of a row beside its branches: all that is not the default."""
    values = {f.name: (getattr(spec, f.name), f.default) for f in dataclasses.fields(spec)}
    return {
        key: value
        for key, (value, default) in values.items()
        if key != "branches" and value != default
    }


def _print_json(content: dict[str, Any]) -> None:
    click.echo(json.dumps(content, indent=2))


def _count_facts(counts: PersonCounts) -> dict[str, Any]:
    from encompass.geometry.grid import ISB_SHAPES

    shapes = zip(ISB_SHAPES, counts.shapes, strict=True)
    return {
        "shapes": {f"{h}x{w}": count for (h, w), count in shapes} | {"other": counts.other},
        "annotations": counts.annotations,
        "person_images": counts.person_images,
        "isb_images": counts.isb_images,
    }


def _print_counts(columns: dict[str, PersonCounts]) -> None:
    """Table 5.1, a column for each dataset, and the numbers of pictures."""
    facts = {name: _count_facts(counts) for name, counts in columns.items()}
    rows: list[tuple[str, ...]] = []
    for shape in next(iter(facts.values()))["shapes"]:
        counts = [(f["shapes"][shape], f["annotations"]) for f in facts.values()]
        rows.append((shape, *(f"{count:,} {count / max(of, 1):6.1%}" for count, of in counts)))
    for label, key in (
        ("annotations", "annotations"),
        ("pictures", "person_images"),
        ("isb pictures", "isb_images"),
    ):
        rows.append((label, *(f"{f[key]:,}" for f in facts.values())))
    _print_table(("height x width", *facts), rows)


def _report_facts(report: ShapeReport, seconds: float) -> dict[str, Any]:
    return {
        "shapes": [list(shape) for shape in report.shapes],  # height, width
        "objects_per_image": [round(objects, 4) for objects in report.objects_per_image],
        "coverage": round(report.coverage, 4),
        "exact": round(report.exact, 4),
        "distortion": round(report.distortion, 4),
        "multiply_adds": round(report.multiply_adds),
        "predicted_ms": report.multiply_adds * seconds * 1000,
    }


def _print_reports(reports: dict[str, ShapeReport], seconds: float) -> None:
    """The lists of shapes side by side, each with its objects a picture, then their measures."""
    branches = [
        [
            f"{height}x{width} {objects:7.3f}"
            for (height, width), objects in zip(r.shapes, r.objects_per_image, strict=True)
        ]
        for r in reports.values()
    ]
    rows = [
        (f"branch {number}, its objects a picture", *texts)
        for number, texts in enumerate(zip_longest(*branches, fillvalue=""), start=1)
    ]
    for label, describe in (
        ("coverage", lambda r: f"{r.coverage:.1%}"),
        ("exact", lambda r: f"{r.exact:.1%}"),
        ("distortion", lambda r: f"{r.distortion:.3f}"),
        ("million multiply-adds a picture", lambda r: f"{r.multiply_adds / 1e6:.1f}"),
        ("predicted ms a picture", lambda r: f"{r.multiply_adds * seconds * 1000:.2f}"),
    ):
        rows.append((label, *map(describe, reports.values())))
    _print_table(("height x width", *reports), rows)


def _print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    table = Table(head[0], *(Column(name, justify="right") for name in head[1:]))
    for row in rows:
        table.add_row(*row)
    Console().print(table)
