"""Between what bounds the values inside a graph lie, from pictures run through it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import onnx
import onnxruntime

from encompass.export.quantize import Range
from encompass.export.rewrite import copy_of, unconditional


def measure_ranges(
    model: onnx.ModelProto,
    values: Collection[str],
    feeds: Iterable[Mapping[str, np.ndarray]],
    *,
    threads: int,
) -> dict[str, Range]:
    """The least and the greatest of each value, averaged over the pictures that have it.

    The average spares the many the resolution that the extreme of one picture would take. A value
    that is empty in every picture, as of a branch that no box came to, has no range.

    Args:
        model: a graph for ONNX Runtime, which computes it whole, conditions or not.
        values: names of values in it.
        feeds: its inputs by name, of each picture.
        threads: to compute on.
    """
    values = list(dict.fromkeys(values))
    model = copy_of(unconditional(model))
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in values)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    extremes: dict[str, list[Range]] = {name: [] for name in values}
    for feed in feeds:
        for name, found in zip(values, map(np.asarray, session.run(values, feed)), strict=True):
            if found.size:
                extremes[name].append((float(found.min()), float(found.max())))
    means = {name: np.mean(pairs, axis=0) for name, pairs in extremes.items() if pairs}
    return {name: (float(least), float(greatest)) for name, (least, greatest) in means.items()}
