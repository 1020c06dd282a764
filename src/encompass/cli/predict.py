"""`encompass predict`: pictures in; overlays, what was found and a table out."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from encompass.errors import BadData, EncompassError, UsageError
from encompass.files import replacing
from encompass.run.catalogue import DEFAULT_MODEL

JPEG_SIDE = 65_500  # pixels; JPEG's encoder takes no longer one

if TYPE_CHECKING:
    from rich.progress import Progress

    from encompass.run.label_map import LabelMap
    from encompass.run.result import Result


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Name or .onnx file.")
@click.option(
    "--score",
    type=click.FloatRange(0, 1),
    show_default="0.5",
    help="Leave out objects that score less.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default="out",
    show_default=True,
    help="Folder for the overlays, predictions.json and, of a semantic model, labels/.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, not tables.")
def command(
    sources: tuple[str, ...], model: str, score: float | None, out: Path, as_json: bool
) -> None:
    """Find the objects in pictures, or the class of every pixel.

    Each SOURCE is a picture, a folder of pictures or a glob. For each picture an overlay is
    written. predictions.json has the objects of all as COCO results. A semantic model has no
    objects: for each picture labels/ has a PNG of its classes, and predictions.json their areas.
    A picture that cannot be handled is reported and passed over; the exit code is then 3 when one
    was bad data, else 1.
    """
    # Only now, so that --help stays fast.
    from encompass.run.draw import write_picture
    from encompass.run.label_map import LabelMap
    from encompass.run.predictor import SemanticModel, load
    from encompass.run.source import expand_sources

    paths = expand_sources(sources)
    loaded = load(model)
    semantic = isinstance(loaded, SemanticModel)
    if semantic and score is not None:
        raise UsageError(f"--score: {model} labels every pixel, without scores; leave it out.")
    threshold = 0.5 if score is None else score
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be made a folder ({error}).") from error

    files: list[dict[str, Any]] = []
    errors: list[dict[str, str]] = []
    predictions: list[dict[str, Any]] = []
    codes: set[int] = set()  # of what went wrong
    ids, names = image_ids(paths), file_names(paths)
    overlays, masks = overlay_paths(paths, out), mask_paths(paths, out)
    with _progress(hidden=as_json) as progress:
        for i, path in enumerate(progress.track(paths, description="predict")):
            try:
                result = loaded(path) if semantic else loaded(path, score=threshold)
                if max(result.height, result.width) > JPEG_SIDE:
                    taken = {_place(other) for other in (*paths, *overlays)}
                    overlays[i] = _free(path, out, ".png", taken)
                write_picture(result.plot(), overlays[i])
                if isinstance(result, LabelMap):
                    result.save(masks[i])
            except UsageError:  # of an option, so for every picture
                raise
            except EncompassError as error:
                message = error.reason if isinstance(error, BadData) else str(error)
                errors.append({"file": str(path), "message": message})
                codes.add(error.exit_code)
                progress.console.print(
                    f"Error: {path}: {message}", markup=False, highlight=False, soft_wrap=True
                )
                continue
            files.append(_report(result, ids[i], overlays[i]))
            if isinstance(result, LabelMap):
                found = {"labels": str(masks[i]), "areas": result.areas}
                predictions.append({"image_id": ids[i], "file_name": names[i], **found})
                files[-1] |= found
            else:
                found = result.to_coco(image_id=ids[i])
                predictions += [record | {"file_name": names[i]} for record in found]
                files[-1]["detections"] = _detections(result)
    with replacing(out / "predictions.json") as file:
        file.write(json.dumps(predictions).encode())

    if as_json:
        document = {
            "model": loaded.card.name,
            "score": None if semantic else threshold,
            "predictions": str(out / "predictions.json"),
            "files": files,
            "errors": errors,
        }
        click.echo(json.dumps(document, indent=2))
    else:
        for file in files:
            click.echo(file["file"])
            if "areas" in file:
                _print_areas(file["areas"])
            else:
                _print_detections(file["detections"], threshold)
            speed = ", ".join(f"{stage} {time:.1f} ms" for stage, time in file["speed"].items())
            labels = f", labels {file['labels']}" if semantic else ""
            click.echo(f"{speed}; overlay {file['overlay']}{labels}\n")
        click.echo(f"{len(files)} of {len(paths)} pictures: {out / 'predictions.json'}")
    if codes:
        bad_data = BadData.exit_code in codes
        raise click.exceptions.Exit((BadData if bad_data else EncompassError).exit_code)


def image_ids(paths: Sequence[Path]) -> list[int]:
    """A different number for each file: its stem where that is one, as COCO names its pictures.

    Otherwise the position, counted from 1, or the next number that is free.
    """
    owner: dict[int, Path] = {}
    for path in paths:
        if path.stem.isascii() and path.stem.isdecimal():
            owner.setdefault(int(path.stem), path)
    numbered = {path: number for number, path in owner.items()}
    for position, path in enumerate(paths, start=1):
        if path not in numbered:
            numbered[path] = next(n for n in count(position) if n not in owner)
            owner[numbered[path]] = path
    return [numbered[path] for path in paths]


def file_names(paths: Sequence[Path]) -> list[str]:
    """Each path from the folder that holds all of them: for one folder, the plain names."""
    full = [path.absolute() for path in paths]
    folder = os.path.commonpath([path.parent for path in full])
    return [path.relative_to(folder).as_posix() for path in full]


def overlay_paths(paths: Sequence[Path], out: Path) -> list[Path]:
    """OUT/STEM.jpg for each file, numbered where it would replace another or a picture given."""
    return _output_paths(paths, out, ".jpg")


def mask_paths(paths: Sequence[Path], out: Path) -> list[Path]:
    """OUT/labels/STEM.png for each file, numbered likewise."""
    return _output_paths(paths, out / "labels", ".png")


def _output_paths(paths: Sequence[Path], folder: Path, suffix: str) -> list[Path]:
    taken = {_place(path) for path in paths}
    chosen = []
    for path in paths:
        chosen.append(_free(path, folder, suffix, taken))
        taken.add(_place(chosen[-1]))
    return chosen


def _free(path: Path, out: Path, suffix: str, taken: set[str]) -> Path:
    """OUT/STEM.suffix, or the first of OUT/STEM-2.suffix, ... whose place is not taken."""
    numbered = (out / f"{path.stem}-{n}{suffix}" for n in count(2))
    names = chain([out / f"{path.stem}{suffix}"], numbered)
    return next(name for name in names if _place(name) not in taken)


def _place(path: Path) -> str:
    """The same for all spellings of a path, also where upper and lower case are one."""
    return str(path.resolve()).casefold()


def _progress(*, hidden: bool) -> Progress:
    """A bar on stderr, if a person looks at it."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=hidden or not console.is_terminal)


def _report(result: Result | LabelMap, image_id: int, overlay: Path) -> dict[str, Any]:
    """One picture for a reader, without what was found: size in pixels, times in milliseconds."""
    return {
        "file": str(result.path),
        "image_id": image_id,
        "height": result.height,
        "width": result.width,
        "overlay": str(overlay),
        "speed": {stage: round(time, 3) for stage, time in result.speed.items()},
    }


def _detections(result: Result) -> list[dict[str, Any]]:
    """The objects of a picture for a reader, in its pixels."""
    return [
        {
            "label": result.names[label],
            "score": round(score, 4),
            "box_xyxy": [round(edge, 1) for edge in box],
            "mask_area": mask.area,
        }
        for label, score, box, mask in zip(
            result.labels.tolist(),
            result.scores.tolist(),
            result.boxes.tolist(),
            result.masks,
            strict=True,
        )
    ]


def _print_detections(detections: list[dict[str, Any]], score: float) -> None:
    from rich.console import Console
    from rich.table import Table

    if not detections:
        click.echo(f"nothing of score {score:g} or more")
        return
    table = Table("#", "label", "score", "box (x0 y0 x1 y1)", "mask, px")
    for number, found in enumerate(detections, start=1):
        table.add_row(
            str(number),
            found["label"],
            f"{found['score']:.2f}",
            " ".join(f"{edge:.0f}" for edge in found["box_xyxy"]),
            f"{found['mask_area']:,}",
        )
    Console().print(table)


def _print_areas(areas: dict[str, int]) -> None:
    """The classes that were found, the largest first."""
    from rich.console import Console
    from rich.table import Table

    total = sum(areas.values())
    table = Table("label", "px", "of the picture")
    for name, area in sorted(areas.items(), key=lambda one: -one[1]):
        if area:
            table.add_row(name, f"{area:,}", f"{area / total:.1%}")
    Console().print(table)
