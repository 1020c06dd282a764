"""One program from a decoded picture to masks: the worker of per_object.py, which starts it.

    python end_to_end_worker.py KIND FILE THREADS

KIND is "ours", an exported file; "detector", the same without its masks; or "peer", a file that
ultralytics exported, run as its users run it. Each line {"people", "warm", "calls"} is answered
with the milliseconds of so many calls on a picture that shows so many people, {"people", "facts"}
with what is found there. In the peer's environment only modules of `encompass` that need numpy and
Pillow are imported.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from encompass.environment import peak_mb, versions
from encompass.run.benchmark import scene, score_for

Call = Callable[[], int]  # predicts once; how many objects were found


def ours(path: str, threads: int) -> tuple[Callable[[int], Call], dict[str, Any]]:
    from encompass import load

    model = load(path, threads=threads)

    def calls(people: int) -> Call:
        picture = scene(people)
        score = score_for(model, picture, people)
        return lambda: len(model(picture, score=score))

    facts = {"name": model.card.name, "precision": model.card.precision, "runtime": model.runtime}
    return calls, facts | {"versions": versions(model.runtime)}


def detector(path: str, threads: int) -> tuple[Callable[[int], Call], dict[str, Any]]:
    import onnx
    import onnxruntime

    from encompass import load

    model = load(path, threads=threads)
    outputs = ["boxes", "scores", "labels"]
    graph = onnx.utils.Extractor(onnx.load(path)).extract_model(["picture"], outputs)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options)

    def calls(people: int) -> Call:
        picture = scene(people)
        score = np.asarray(score_for(model, picture, people), np.float32)
        feed = {"picture": picture, "score_threshold": score}
        given = {value.name for value in session.get_overridable_initializers()}
        feed = {k: v for k, v in feed.items() if k == "picture" or k in given}
        return lambda: len(session.run(outputs, feed)[0])

    facts = {"name": f"{model.card.name}, boxes alone", "precision": model.card.precision}
    return calls, facts | {"runtime": "onnxruntime", "versions": versions("onnxruntime")}


def peer(path: str, threads: int) -> tuple[Callable[[int], Call], dict[str, Any]]:
    import torch

    torch.set_num_threads(threads)
    package = "openvino" if "openvino" in path else "onnxruntime"
    _same_threads(package, threads)
    from ultralytics import YOLO

    model = YOLO(path, task="segment")

    def calls(people: int) -> Call:
        picture = np.ascontiguousarray(scene(people)[..., ::-1])  # BGR

        def predict(conf: float) -> Any:
            return model.predict(picture, conf=conf, imgsz=640, device="cpu", verbose=False)[0]

        # With random weights scores are tiny, and all boxes are found at 0.
        scores = np.sort(predict(0.0).boxes.conf.numpy())[::-1]
        conf = float(scores[people - 1] + scores[people]) / 2 if people else 1.0

        def call() -> int:
            found = predict(conf).masks
            return 0 if found is None else len(found.data)

        return call

    return calls, {"runtime": package, "versions": versions(package, "torch", "ultralytics")}


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


def main() -> None:
    kind, path, threads = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever the program says
    make, facts = {"ours": ours, "detector": detector, "peer": peer}[kind](path, int(threads))
    make = cache(make)
    for line in sys.stdin:
        asked = json.loads(line)
        call = make(asked["people"])
        if "facts" in asked:
            answer: Any = {**facts, "found": call(), "peak_mb": peak_mb()}
        else:
            answer = []
            for number in range(asked["warm"] + asked["calls"]):
                start = time.perf_counter()
                call()
                if number >= asked["warm"]:
                    answer.append((time.perf_counter() - start) * 1e3)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
