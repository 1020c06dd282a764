"""Between what bounds the values inside a graph lie, from pictures run through it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import onnx
import onnxruntime

from encompass.export.quantize import Layer, Range
from encompass.export.rewrite import copy_of, unconditional


def measure_ranges(
    model: onnx.ModelProto,
    layers: Collection[Layer],
    feeds: Iterable[Mapping[str, np.ndarray]],
    *,
    threads: int,
) -> dict[str, Range]:
    """The least and the greatest of what each layer reads and gives.

    What a layer reads: averaged over the pictures that have it, which spares the many the
    resolution that the extreme of one picture would take. What none reads: over all pictures, for
    such are scores, offsets and masks' logits, of which the extremes tell most; boxes whose scores
    are cut to one number have no order. A value that is empty in every picture, as of a branch
    that no box came to, has no range.

    Args:
        model: a graph for ONNX Runtime, which computes it whole, conditions or not.
        layers: of `find_layers(model)`.
        feeds: its inputs by name, of each picture.
        threads: to compute on.
    """
    read = {layer.source for layer in layers}
    values = list(dict.fromkeys(value for x in layers for value in (x.source, x.result)))
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
    ranges = {}
    for name, pairs in extremes.items():
        if pairs:
            least, greatest = zip(*pairs, strict=True)
            if name in read:
                ranges[name] = (float(np.mean(least)), float(np.mean(greatest)))
            else:
                ranges[name] = (min(least), max(greatest))
    return ranges
