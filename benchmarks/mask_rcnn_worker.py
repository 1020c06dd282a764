"""One network in a process of its own: the worker of against_mask_rcnn.py, which starts it.

    python mask_rcnn_worker.py KIND NAME PEOPLE THREADS

Each line of JSON that it reads, it answers with one: {"warm", "calls"} with the milliseconds of so
many calls after so many that do not count, {"facts"} with what the network is. Of `encompass` the
peer's interpreter imports only modules that need torch, safetensors, Pillow and faster-coco-eval.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from encompass.environment import peak_mb, versions

SIZE = 640  # pixels, square

Run = Callable[[], float]  # runs the network once; its milliseconds
Facts = Callable[[], dict[str, Any]]


def timed(call: Callable[[], object]) -> Run:
    def run() -> float:
        start = time.perf_counter()
        call()
        return (time.perf_counter() - start) * 1e3

    return run


def mask_rcnn(backbone: str, people: int, threads: int) -> tuple[Run, Facts]:
    """torchvision's Mask R-CNN with a feature pyramid, for two classes, from tensor to mask logits.

    With random weights every box scores about a half; at a threshold of 0 the best `people` are
    kept, so that the mask head gets just so many. Batch norm first learns the scale of one picture:
    without, the maps of 101 random layers grow until no proposal is left in the picture.
    """
    import torch
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.models.detection.image_list import ImageList

    from encompass.evaluate.cost import CostCounter
    from encompass.models.layers import tensorflow_parameters

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    # Not torchvision's frozen batch norm, which costs more operators.
    norm = torch.nn.BatchNorm2d
    model = MaskRCNN(
        resnet_fpn_backbone(backbone_name=backbone, weights=None, norm_layer=norm),
        num_classes=2,
        box_score_thresh=0.0,
        box_detections_per_img=people,
    )
    pictures = ImageList(torch.randn(1, 3, SIZE, SIZE), [(SIZE, SIZE)])
    for part in model.modules():
        if isinstance(part, norm):
            part.momentum = None  # the mean of all batches seen, of which there is one
    with torch.no_grad():
        model.train().backbone(pictures.tensors)
    model.eval()
    numbers = {}

    @torch.no_grad()
    def call() -> None:
        features = model.backbone(pictures.tensors)
        proposals, _ = model.rpn(pictures, features)
        found, _ = model.roi_heads(features, proposals, pictures.image_sizes)
        numbers.update(boxes=len(found[0]["masks"]), proposals=len(proposals[0]))

    def facts() -> dict[str, Any]:
        with CostCounter() as counter:
            call()
        return {
            "input_size": SIZE,
            **numbers,
            "parameters": tensorflow_parameters(model),
            "torch_parameters": sum(p.numel() for p in model.parameters()),
            "macs": counter.macs,
            "output_bytes": counter.output_bytes,
            "versions": versions("torch", "torchvision"),
        }

    return timed(call), facts


def ours(row: str, people: int, threads: int) -> tuple[Run, Facts]:
    """A row of ours in the same library, eager and in float32 as the peer is."""
    import torch

    from encompass.evaluate.profile import Pass, open_network
    from encompass.models.layers import tensorflow_parameters

    torch.set_num_threads(threads)
    _, network, _ = open_network(row)
    work = Pass(network, people=people)

    def facts() -> dict[str, Any]:
        macs, output_bytes = sum(work.count().values())
        return {
            "input_size": network.spec.input_size,
            "boxes": sum(len(cells) for cells in work.cells),
            "proposals": None,
            "parameters": tensorflow_parameters(network),
            "torch_parameters": sum(p.numel() for p in network.parameters()),
            "macs": int(macs),
            "output_bytes": int(output_bytes),
            "versions": versions("torch"),
        }

    return timed(work.run), facts


def exported(name: str, people: int, threads: int) -> tuple[Run, Facts]:
    """An exported file of ours in ONNX Runtime, from a uint8 picture of the peer's size."""
    import numpy as np
    from PIL import Image

    from encompass import load
    from encompass.run.benchmark import scene, score_for

    model = load(name, threads=threads)
    picture = np.asarray(Image.fromarray(scene(people)).resize((SIZE, SIZE)))
    score = score_for(model, picture, people)

    def facts() -> dict[str, Any]:
        return {
            "input_size": model.card.input_size[0],
            "boxes": len(model(picture, score=score)),
            "proposals": None,
            "parameters": model.card.parameters,
            "torch_parameters": None,
            "macs": None,
            "output_bytes": None,
            "versions": versions("onnxruntime"),
        }

    return lambda: model(picture, score=score).speed["network"], facts


def main() -> None:
    kind, name, people, threads = sys.argv[1:]
    build = {"mask-rcnn": mask_rcnn, "torch": ours, "onnx": exported}[kind]
    run, facts = build(name, int(people), int(threads))
    for line in sys.stdin:
        asked = json.loads(line)
        if "facts" in asked:
            peak = peak_mb()  # before anything else is done
            answer = {**facts(), "peak_mb": peak}
        else:
            answer = [run() for _ in range(asked["warm"] + asked["calls"])][asked["warm"] :]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
