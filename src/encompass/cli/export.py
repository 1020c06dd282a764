"""`encompass export`: a model to one file of a runtime, proved against what it was made from."""

from __future__ import annotations

from pathlib import Path

import click

PATH = click.Path(path_type=Path)
SUFFIX = {"onnx": ".onnx", "openvino": ".xml", "litert": ".tflite"}  # of each format


@click.command(name="export")
@click.argument("model", metavar="MODEL", type=PATH)
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(SUFFIX)),
    default="onnx",
    show_default=True,
    help="Of ONNX Runtime (.onnx), OpenVINO (.xml with a .bin) or LiteRT (.tflite).",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "bf16", "int8"]),
    default="fp32",
    show_default=True,
    help="fp16 keeps weights in half precision and computes in float32: half the file. bf16 "
    "(OpenVINO) computes in it too, twice as fast where the processor can. int8 (ONNX Runtime, "
    "OpenVINO) needs --calibration.",
)
@click.option(
    "--size",
    metavar="HEIGHTxWIDTH",
    help="The one size of picture, pixels, that the file takes; any by default. LiteRT files have "
    "one in any case: an instance model's input, and a semantic model needs it.",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Pictures of one size that the file takes in one call.",
)
@click.option("--out", required=True, type=PATH, help="The file to write.")
@click.option("--scores", type=PATH, help="Result of `encompass evaluate`, for the model's card.")
@click.option(
    "--licence",
    metavar="SPDX",
    help="Of the weights, for the model's card: the data's terms may reach them. By default what "
    "MODEL says, else NOASSERTION.",
)
@click.option(
    "--pictures",
    multiple=True,
    type=PATH,
    help="Photos or folders on which the two are compared; by default a photo of this package, "
    "at several sizes or in groups of up to twenty.",
)
@click.option(
    "--calibration",
    metavar="DATA",
    type=PATH,
    help="For int8: pictures with their truth, as of `encompass evaluate --data`, if possible not "
    "those of the training. A third of them gives the ranges of values, a third decides which "
    "layers stay in float, and on the last third the file is scored beside fp32.",
)
@click.option(
    "--data",
    type=PATH,
    help="Score MODEL and the file on it, as `encompass evaluate --data` does: in fp32 AP or mIoU "
    "may differ by 0.1 point.",
)
@click.option(
    "--split", metavar="NAME", help="Part of --data or --calibration that has parts, e.g. val."
)
@click.option(
    "--force",
    is_flag=True,
    help="Write an int8 file even where it keeps less than 96 % of fp32's AP (or mIoU).",
)
def command(
    model: Path,
    format_: str,
    precision: str,
    size: str | None,
    batch: int,
    out: Path,
    scores: Path | None,
    licence: str | None,
    pictures: tuple[Path, ...],
    calibration: Path | None,
    data: Path | None,
    split: str | None,
    force: bool,
) -> None:
    """Export MODEL and compare the file with it.

    MODEL is a checkpoint (.safetensors, from a training), the name of a bundled model or an
    exported .onnx file. Writes the model's card (.json) beside the file. When the two disagree
    nothing is kept and the exit code is 1. An int8 file is not compared but scored.
    """
    from encompass.cli._export import Form, export
    from encompass.cli._size import parse_size
    from encompass.errors import UsageError

    if out.suffix != SUFFIX[format_]:
        raise UsageError(f"--out {out}: the file's name must end in {SUFFIX[format_]}.")
    if precision == "bf16" and format_ != "openvino":
        raise UsageError(f"--precision bf16: {format_} computes in float32 on CPUs; use openvino.")
    fixed = None if size is None else parse_size(size)
    form = Form(format=format_, precision=precision, size=fixed, batch=batch)
    if precision != "int8":
        given = {"--calibration": calibration, "--force": force}
        if lost := [option for option, value in given.items() if value]:
            raise UsageError(f"{lost[0]} is for --precision int8; give that, or leave it out.")
        if split and not data:
            raise UsageError(f"--split {split}: is a part of --data; give that, or leave it out.")
        told = export(
            model,
            out,
            form,
            scores=scores,
            licence=licence,
            pictures=pictures,
            data=data,
            split=split,
        )
        click.echo(told)
        return
    if format_ == "litert":
        raise UsageError("--precision int8: litert has none; use --format onnx or openvino.")
    if calibration is None:
        raise UsageError("--precision int8 needs pictures with their truth: give --calibration.")
    if batch > 1:
        raise UsageError(f"--batch {batch}: int8 files take one picture at a time; leave it out.")
    for option, value in (("--pictures", pictures), ("--data", data)):
        if value:
            raise UsageError(
                f"{option}: an int8 file is scored on a part of --calibration; leave it out."
            )
    from encompass.cli._int8 import export_int8

    export_int8(
        model,
        out,
        form,
        data=calibration,
        split=split,
        force=force,
        scores=scores,
        licence=licence,
    )
