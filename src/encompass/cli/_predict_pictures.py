"""`encompass predict` of picture files: read ahead, predicted, and written behind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from encompass.cli._predict_names import (
    file_names,
    free,
    image_ids,
    mask_paths,
    overlay_paths,
    place,
)
from encompass.cli._predict_report import Report
from encompass.errors import EncompassError, UsageError
from encompass.files import replacing
from encompass.pictures import read_picture
from encompass.run.draw import write_picture
from encompass.run.label_map import LabelMap
from encompass.run.pipeline import overlapped
from encompass.run.result import Result
from encompass.run.stream import Predict, from_file

JPEG_SIDE = 65_500  # pixels; JPEG's encoder takes no longer one


def predict_pictures(paths: Sequence[Path], predict: Predict, out: Path, report: Report) -> None:
    """Write the overlay of each picture, and predictions.json of all that could be read."""
    ids, names = image_ids(paths), file_names(paths)
    overlays, masks = overlay_paths(paths, out), mask_paths(paths, out)
    predictions: list[dict[str, Any]] = []

    def read(i: int) -> tuple[np.ndarray, float]:
        begun = perf_counter()
        return read_picture(paths[i]), (perf_counter() - begun) * 1000

    def work(i: int, picture: tuple[np.ndarray, float]) -> Result | LabelMap:
        pixels, read_ms = picture
        result = from_file(predict(pixels), path=paths[i], read_ms=read_ms)
        if max(result.height, result.width) > JPEG_SIDE:
            taken = {place(other) for other in (*paths, *overlays)}
            overlays[i] = free(paths[i], out, ".png", taken)
        return result

    def write(i: int, result: Result | LabelMap) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """What is reported and what is predicted; the pixels are let go."""
        write_picture(result.plot(), overlays[i])
        about = _about(result, ids[i], overlays[i])
        if isinstance(result, LabelMap):
            result.save(masks[i])
            found = {"labels": str(masks[i]), "areas": result.areas}
            return about | found, [{"image_id": ids[i], "file_name": names[i], **found}]
        records = [{**record, "file_name": names[i]} for record in result.to_coco(image_id=ids[i])]
        return about | {"detections": _detections(result)}, records

    done = overlapped(range(len(paths)), read=read, work=work, write=write)
    with closing(done):
        for i, outcome in report.progress.track(done, total=len(paths), description="predict"):
            try:
                about, records = outcome.result()
            except UsageError:  # of an option, so for every picture
                raise
            except EncompassError as error:
                report.fault(paths[i], error)
                continue
            report.files.append(about)
            predictions += records
    if report.files:  # else what an earlier call wrote stays
        with replacing(out / "predictions.json") as file:
            file.write(json.dumps(predictions).encode())


def _about(result: Result | LabelMap, image_id: int, overlay: Path) -> dict[str, Any]:
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
