"""`encompass predict`: pictures, videos and cameras in; overlays and what was found out."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click

from encompass.errors import UsageError
from encompass.run.catalogue import DEFAULT_MODEL


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Name or exported file.")
@click.option(
    "--score",
    type=click.FloatRange(0, 1),
    show_default="the card's of best F1, or 0.5",
    help="Leave out objects that score less. Of instance models alone.",
)
@click.option(
    "--tiles",
    metavar="ROWSxCOLUMNS",
    help="Look at so many overlapping tiles too, for small objects. Of instance models alone.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default="out",
    show_default=True,
    help="Folder for the overlays, predictions.json and, of a semantic model, labels/.",
)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads; all cores by default.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, not tables.")
def command(
    sources: tuple[str, ...],
    model: str,
    score: float | None,
    tiles: str | None,
    out: Path,
    threads: int | None,
    as_json: bool,
) -> None:
    """Find the objects in pictures, or the class of every pixel.

    Each SOURCE is a picture, a folder of pictures, a glob of pictures or a video; or the only one
    is a camera. For each picture an overlay is written. predictions.json has the objects of all as
    COCO results, masks included; it replaces that of an earlier call. A semantic model has no
    objects: for each picture labels/ has a PNG of its classes, and predictions.json their areas. A
    source that cannot be handled is reported and passed over; the exit code is then 3 when one was
    bad data, else 1.

    \b
    Videos (.mp4 .m4v .mov .mkv .webm .avi) need PyAV, the extra 'video'. Of
    clip.mp4 come an overlay, OUT/clip.mp4 (without sound), and OUT/clip.jsonl,
    a line for each frame:
      {"frame": 0, "time": 0.0, "detections": [COCO results, image_id = frame]}
    with "areas" in place of "detections" of a semantic model. Where a video is
    broken, the frames before are kept and the exit code is 3.

    A camera is camera:0 (the number of a device) or a URL (rtsp://, http://, https://). The newest
    frame is shown to the model and late ones are dropped, until Ctrl-C, which completes the files.
    """
    # Only now, so that --help stays fast.
    from encompass.cli._predict_pictures import predict_pictures
    from encompass.cli._predict_report import Report, progress_bar, show_pictures, show_videos
    from encompass.cli._size import parse_tiles
    from encompass.run.camera import is_camera
    from encompass.run.predictor import InstanceModel, SemanticModel, load
    from encompass.run.source import expand_sources
    from encompass.run.video import SUFFIXES

    camera = next(filter(is_camera, sources), None)
    if camera and len(sources) > 1:
        raise UsageError(f"{camera}: a camera has no end, so it must be the only SOURCE.")
    paths = [] if camera else expand_sources(sources)
    videos = [path for path in paths if path.suffix.lower() in SUFFIXES]
    pictures = [path for path in paths if path not in videos]
    loaded = load(model, threads=threads)
    semantic = isinstance(loaded, SemanticModel)
    if semantic and score is not None:
        raise UsageError(f"--score: {model} labels every pixel, without scores; leave it out.")
    if semantic and tiles is not None:
        raise UsageError(f"--tiles: {model} labels every pixel at full size; leave it out.")
    predict, threshold = loaded, 0.0
    if isinstance(loaded, InstanceModel):
        threshold = loaded.default_score if score is None else score
        predict = partial(
            loaded, score=threshold, tiles=parse_tiles(tiles) if tiles is not None else None
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be made a folder ({error}).") from error

    with progress_bar(hidden=as_json) as progress:
        report = Report(progress=progress)
        if pictures:
            predict_pictures(pictures, predict, out, report)
        if videos or camera:
            from encompass.cli._predict_video import predict_camera, predict_videos

            predict_videos(videos, predict, out, report)
            if camera:
                predict_camera(camera, predict, out, report)

    if as_json:
        document = {
            "model": loaded.card.name,
            "score": None if semantic else threshold,
            "predictions": str(out / "predictions.json") if report.files else None,
            "files": report.files,
            "videos": report.videos,
            "errors": report.errors,
        }
        click.echo(json.dumps(document, indent=2))
    else:
        show_pictures(report, threshold)
        show_videos(report)
        if pictures:
            where = out / "predictions.json" if report.files else "nothing written"
            click.echo(f"{len(report.files)} of {len(pictures)} pictures: {where}")
    if report.exit_code:
        raise click.exceptions.Exit(report.exit_code)
