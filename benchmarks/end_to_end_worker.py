"""One program from a decoded picture to masks: the worker of per_object.py, which starts it.

    python end_to_end_worker.py KIND FILE THREADS

KIND is "ours", an exported file; "graphs", an .onnx file's graph alone and that without its masks,
which take turns in one process; or "peer", a file that ultralytics exported, run as its users run
it. Each line {"people", "warm", "calls"} is answered with the milliseconds of so many calls on a
picture that shows so many people (of graphs in pairs), {"people", "facts"} with what is found
there. In the peer's environment only modules of `encompass` that need numpy and Pillow are
imported.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from encompass.environment import peak_mb, versions
from encompass.run.benchmark import scene, score_for

SURE = 100.0  # logit of a cell that is set without doubt

Calls = tuple[Callable[[], int], ...]  # each predicts once; how many objects were found


def ours(path: str, threads: int) -> tuple[Callable[[int], Calls], dict[str, Any]]:
    from encompass import load

    model = load(path, threads=threads)

    def calls(people: int) -> Calls:
        picture = scene(people)
        score = score_for(model, picture, people)
        return (lambda: len(model(picture, score=score)),)

    facts = {"name": model.card.name, "precision": model.card.precision, "runtime": model.runtime}
    return calls, facts | {"versions": versions(model.runtime)}


def graphs(path: str, threads: int) -> tuple[Callable[[int], Calls], dict[str, Any]]:
    import onnx

    from encompass import load
    from encompass.run.engine import open_engine

    card = load(path, threads=threads).card
    outputs = ["boxes", "scores", "labels"]
    boxes = onnx.utils.Extractor(_sure_of_masks(onnx.load(path))).extract_model(
        ["picture", "score_threshold"], outputs
    )
    with TemporaryDirectory() as folder:
        alone = Path(folder, "boxes.onnx")
        onnx.save(boxes, alone)
        engines = [open_engine(file, threads=threads) for file in (Path(path), alone)]

    def calls(people: int) -> Calls:
        feed = {"picture": scene(people), "score_threshold": np.asarray(0.5, np.float32)}
        return tuple(partial(_run, engine, feed) for engine in engines)

    facts = {"name": card.name, "precision": card.precision}
    return calls, facts | {"runtime": engines[0].runtime, "versions": versions("onnxruntime")}


def _run(engine: Any, feed: dict[str, np.ndarray]) -> int:
    found = dict(zip(engine.outputs, engine.run(list(engine.outputs), feed), strict=True))
    return len(found["scores"])


def _sure_of_masks(model: Any) -> Any:
    """The file with every mask set throughout, and computed by no branch.

    Where scores are those of box and mask together, they are then the box's.
    """
    from onnx import TensorProto, numpy_helper

    nodes = {node.output[0]: node for node in model.graph.node}
    for scatter in [node for node in model.graph.node if node.op_type == "ScatterND"]:
        empty = nodes[scatter.input[0]]
        (value,) = empty.attribute
        if value.t.data_type != TensorProto.FLOAT:
            continue  # the sizes of masks
        value.t.CopyFrom(numpy_helper.from_array(np.asarray([SURE], np.float32)))
        for node in model.graph.node:
            for place, name in enumerate(node.input):
                if name == scatter.output[0]:
                    node.input[place] = empty.output[0]
        model.graph.node.remove(scatter)
    return model


def peer(path: str, threads: int) -> tuple[Callable[[int], Calls], dict[str, Any]]:
    import torch

    torch.set_num_threads(threads)
    package = "openvino" if "openvino" in path else "onnxruntime"
    _same_threads(package, threads)
    from ultralytics import YOLO

    model = YOLO(path, task="segment")

    def calls(people: int) -> Calls:
        picture = np.ascontiguousarray(scene(people)[..., ::-1])  # BGR

        def predict(conf: float) -> Any:
            return model.predict(picture, conf=conf, imgsz=640, device="cpu", verbose=False)[0]

        # With random weights scores are tiny, and all boxes are found at 0.
        scores = np.sort(predict(0.0).boxes.conf.numpy())[::-1]
        conf = float(scores[people - 1] + scores[people]) / 2 if people else 1.0

        def call() -> int:
            found = predict(conf).masks
            return 0 if found is None else len(found.data)

        return (call,)

    facts = {"runtime": package, "precision": _precision(path, package)}
    return calls, facts | {"versions": versions(package, "torch", "ultralytics")}


def _precision(path: str, package: str) -> str:
    """In what the peer computes: OpenVINO, left to itself, in bfloat16 where the processor can."""
    if "_int8_" in path:
        return "int8"
    if package == "onnxruntime":
        return "fp32"
    import openvino

    kind = openvino.Core().get_property("CPU", "INFERENCE_PRECISION_HINT")
    return {"f32": "fp32"}.get(kind.to_string(), kind.to_string())


def _same_threads(package: str, threads: int) -> None:
    """The peer leaves the number of threads to the runtime; here both have the same."""
    if package == "openvino":
        import openvino

        compile_model = openvino.Core.compile_model

        def compiled(self: Any, *given: Any, config: Any = None, **named: Any) -> Any:
            config = {**(config or {}), "INFERENCE_NUM_THREADS": threads}
            return compile_model(self, *given, config=config, **named)

        openvino.Core.compile_model = compiled
        return
    import onnxruntime

    opened = onnxruntime.InferenceSession

    def session(path: str, sess_options: Any = None, **named: Any) -> Any:
        sess_options = sess_options or onnxruntime.SessionOptions()
        sess_options.intra_op_num_threads = threads
        return opened(path, sess_options, **named)

    onnxruntime.InferenceSession = session


def _times(call: Callable[[], int], asked: dict[str, int]) -> list[float]:
    """Milliseconds of calls, after some that do not count."""
    times = []
    for number in range(asked["warm"] + asked["calls"]):
        start = time.perf_counter()
        call()
        if number >= asked["warm"]:
            times.append((time.perf_counter() - start) * 1e3)
    return times


def main() -> None:
    kind, path, threads = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever the program says
    make, facts = {"ours": ours, "graphs": graphs, "peer": peer}[kind](path, int(threads))
    make = cache(make)
    order = [0, 1]  # of calls
    for line in sys.stdin:
        asked = json.loads(line)
        calls = make(asked["people"])
        if "facts" in asked:
            answer: Any = {**facts, "found": calls[0](), "peak_mb": peak_mb()}
        else:
            # One after the other, first and second by turns; what is not counted comes before each,
            # when threads of the other may still spin.
            order = order[::-1]
            times = {
                number: _times(calls[number], asked) for number in order if number < len(calls)
            }
            found = [times[number] for number in sorted(times)]
            answer = [ms for together in zip(*found, strict=True) for ms in together]
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
