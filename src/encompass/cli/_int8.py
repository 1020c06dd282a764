"""`encompass export --precision int8`: rounded as far as accuracy allows, and what that changed."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import click
import onnx
from rich.console import Console
from rich.progress import Progress

from encompass.cli._benchmark_tables import comparison_table
from encompass.cli._export import Form, Source, keep, open_source, write
from encompass.cli._int8_data import (
    Accuracy,
    Parts,
    Report,
    check_found,
    disagreement,
    feeds,
    found,
    kept,
    may_keep,
    number_found,
    open_parts,
    score,
    score_blocks,
)
from encompass.data.instances import Dataset
from encompass.errors import ParityError
from encompass.evaluate.network import SCORE_FOR_AP
from encompass.export.calibration import measure_ranges
from encompass.export.int8 import choose_layers
from encompass.export.quantize import Layer, find_layers, quantize
from encompass.export.rewrite import nodes_in, without_conditions
from encompass.files import describe_data
from encompass.run.comparison import compare
from encompass.run.machine import usable_cores
from encompass.run.predictor import load

AIM = 0.99  # of fp32's accuracy: what the choice of layers is after, as far as it can be told
LEAST = 0.96  # what a file must keep, as in MLPerf Mobile
RUNS = 50  # timed, of each file


def export_int8(
    model: Path,
    out: Path,
    form: Form,
    *,
    data: Path,
    split: str | None,
    force: bool,
    scores: Path | None,
    licence: str | None,
) -> None:
    """Write the file and its card, and print size, time and accuracy beside those of fp32.

    Raises:
        ParityError: too little accuracy is left, or scores have moved so that far more or fewer
            objects pass the threshold, and that is not forced. Nothing is kept then.
        UsageError: the data does not go with the model, or the format is not installed.
        BadData: the data is broken.
    """
    source = open_source(model, batch=1, least=SCORE_FOR_AP, scores=scores, licence=licence)
    parts = open_parts(data, source.card, split=split)
    about = {
        "data": describe_data(data, split),
        "num_images": len(parts.judgement),
    }
    bar = Progress(console=Console(stderr=True), transient=True)
    with tempfile.TemporaryDirectory() as folder, bar:
        before, after = (Path(folder, part, out.name) for part in ("fp32", "int8"))
        before.parent.mkdir()
        after.parent.mkdir()
        whole = dataclasses.replace(form, precision="fp32")
        write(source, dataclasses.replace(source.card, precision="fp32"), before, whole)
        graph, layers, others = _round(source, form, parts, before, after, bar)
        calibration = {
            "data": about["data"],
            "pictures": len(parts.calibration),
            "float_layers": list(others),
        }
        card = dataclasses.replace(source.card, precision="int8", calibration=calibration)
        files = write(dataclasses.replace(source, graph=graph), card, after, form)
        models = {path.parent.name: load(path) for path in (before, after)}
        judged = [
            score(model, parts.judgement, report=_report(bar, f"scoring {name}"))
            for name, model in models.items()
        ]
        share = kept(*judged)
        if share < LEAST and not force:
            raise ParityError(
                f"{out}: int8 keeps {share:.1%} of fp32's accuracy, less than {LEAST:.0%} "
                f"({_figures(*judged)} on {about['num_images']} pictures of {about['data']}); "
                "give more pictures or others with --calibration, choose --precision fp16, or "
                "take it as it is with --force."
            )
        if isinstance(parts.judgement, Dataset) and not force:
            found_before, found_after = (
                number_found(model, parts.judgement, report=_report(bar, "counting objects"))
                for model in models.values()
            )
            check_found(found_before, found_after, out)
        bar.stop()  # its thread would take part of what is timed
        rows = compare([str(before), str(after)], threads=[usable_cores()], runs=RUNS)
        keep(files, card, out, source=source)
    records = [
        dataclasses.asdict(row) | {"accuracy": points} | about
        for row, points in zip(rows, judged, strict=True)
    ]
    Console().print(comparison_table(records))
    click.echo(
        f"{out}: int8 in {len(layers)} of {len(layers) + len(others)} convolutions keeps "
        f"{share:.1%} of fp32's accuracy."
    )
    fp32, int8 = (row.median_ms for row in rows)
    if int8 > fp32:
        click.echo(f"int8 is slower than fp32 on this machine: {int8:.1f} ms, not {fp32:.1f} ms.")


def _round(
    source: Source, form: Form, parts: Parts, before: Path, after: Path, bar: Progress
) -> tuple[onnx.ModelProto, tuple[Layer, ...], tuple[str, ...]]:
    """The graph that loses little, its layers in int8, and the names of those in float.

    Args:
        source: the model.
        form: of the int8 file.
        parts: the pictures.
        before: the model's file in fp32.
        after: where trials may be written.
        bar: shows how far it is.
    """
    graph = source.graph
    if form.format == "openvino":
        graph = without_conditions(graph)
    every = find_layers(graph)
    whole = load(before)
    given = feeds(whole, parts.calibration, report=_report(bar, "calibrating"))
    ranges = measure_ranges(graph, every, given, threads=usable_cores())
    reference = score_blocks(whole, parts.choice, report=_report(bar, "scoring fp32"))
    seen = cache(partial(found, whole))

    def trial(layers: Sequence[Layer]) -> tuple[Any, Report]:
        rounded = dataclasses.replace(source, graph=quantize(graph, layers, ranges))
        write(rounded, source.card, after, form)
        return load(after), _report(bar, f"trying {len(layers)} of {len(every)} layers in int8")

    def enough(layers: Sequence[Layer]) -> bool:
        model, report = trial(layers)
        return may_keep(reference, score_blocks(model, parts.choice, report=report)) >= AIM

    def apart(layers: Sequence[Layer]) -> float:
        model, report = trial(layers)
        return disagreement(seen, model, parts.calibration, report=report)

    known = [layer for layer in every if {layer.source, layer.result} <= ranges.keys()]
    layers = choose_layers(known, enough, apart)
    rounded = {layer.name for layer in layers}
    convolutions = (node.output[0] for node in nodes_in(graph.graph) if node.op_type == "Conv")
    others = tuple(name for name in convolutions if name not in rounded)
    return quantize(graph, layers, ranges), layers, others


def _report(bar: Progress, text: str) -> Report:
    """Shows the pictures of one step, in place of the step before."""
    for shown in bar.task_ids:
        bar.remove_task(shown)
    task = bar.add_task(text, total=None)
    return lambda done, total: bar.update(task, completed=done, total=total)


def _figures(before: Accuracy, after: Accuracy) -> str:
    return ", ".join(f"{name} {after[name]:.1f}, was {before[name]:.1f}" for name in before)
