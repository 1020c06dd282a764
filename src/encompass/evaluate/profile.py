"""What a network costs, stage by stage and branch by branch (thesis 5.2.3, Table 5.5).

A pass goes from a picture that is ready, (1, 3, H, W), to boxes and mask logits. It does the same
whatever the weights: the picture is noise, suppression gets drawn scores, and the branches get the
boxes of `people_boxes`. docs/profile.md defines every figure.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from encompass.environment import commit, cpu_name, peak_mb_of, versions
from encompass.errors import UsageError
from encompass.evaluate.cost import CostCounter
from encompass.evaluate.network import load_network
from encompass.geometry.grid import Shape
from encompass.models.instance import SsdIsb
from encompass.models.layers import tensorflow_parameters
from encompass.models.rows import find_instance_row
from encompass.models.ssd import SsdOutputs

TRUNK, EXTRAS, PREDICTORS = "trunk", "extras", "predictors"
DECODE, CROPS = "decode + NMS", "crops"
WARM_UP = 5  # passes, not counted: the first ones allocate

_CHILD = """
import sys
import torch
from encompass.environment import peak_mb
from encompass.evaluate.profile import Pass, open_network
torch.set_num_threads(int(sys.argv[2]))
people = None if sys.argv[3] == "None" else int(sys.argv[3])
Pass(open_network(sys.argv[1])[1], people=people).run()
print(peak_mb())
"""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What one stage of a pass costs."""

    name: str
    shape: Shape | None  # (height, width) of a branch, in cells; None for other stages
    boxes: int | None  # that went through; None for stages of the whole picture
    parameters: int  # as TensorFlow counts: batch norm has four numbers a channel
    torch_parameters: int  # as PyTorch counts: two
    macs: int  # multiply-adds of convolutions and matrix products
    output_bytes: int
    mean_ms: float
    median_ms: float
    p95_ms: float


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A network on one device, and on what it was measured."""

    model: str
    weights: str  # "fresh" or "trained"
    input_size: int  # pixels, square
    device: str  # "cpu" or "cuda"
    processor: str
    people: int | None  # None when every branch is filled up
    fps: float  # pictures a second: the inverse of the mean of whole passes
    whole: Stage
    stages: tuple[Stage, ...]
    peak_mb: float | None  # 10^6 bytes, of a process that does one pass; None where not Linux's CPU
    runs: int
    threads: int
    versions: dict[str, str]
    commit: str  # "" outside a checkout


class Pass:
    """One picture through the network, as often as wanted, always doing the same."""

    def __init__(self, network: SsdIsb, *, people: int | None, device: str = "cpu") -> None:
        """Args:
        network: in evaluation mode.
        people: boxes in the picture; None fills each branch with all the boxes that it takes, and
            suppression goes through all anchors, as in the thesis's graphs.
        device: "cpu" or "cuda".
        """
        self.network = network.to(device)
        self.device = device
        size = network.spec.input_size
        rng = torch.Generator().manual_seed(0)
        self.picture = (torch.rand(1, 3, size, size, generator=rng) * 255).to(device)
        with torch.no_grad():
            outputs = self.network(self.picture)
        # Fresh weights score all anchors alike, which no threshold could tell apart.
        self.answer = dataclasses.replace(
            outputs,
            features={},
            logits=torch.randn(outputs.logits.shape, generator=rng),
            offsets=torch.zeros(outputs.offsets.shape),
        )
        self.score = 0.0 if people is None else score_for(network, self.answer, people)
        self.cells = _full(network) if people is None else _routed(network, people)

    @torch.no_grad()
    def run(self, lap: Callable[[str], None] = lambda stage: None) -> None:
        """From picture to mask logits; `lap` is called with the name of each stage that ends.

        Hooks on the detector's parts, if any, tell of the stages inside of it.
        """
        network = self.network
        outputs = network(self.picture)
        lap(PREDICTORS)
        _ = outputs.logits.cpu(), outputs.offsets.cpu()  # suppression is always done there
        network.detect(self.answer, score=self.score)
        lap(DECODE)
        features = {block: feature[0] for block, feature in outputs.features.items()}
        for number, cells in enumerate(self.cells):
            if len(cells):
                crops = network.crops(features, cells, number)
                lap(CROPS)
                network.branches[number](crops)
                lap(branch_name(network, number))

    def staged(self, read: Callable[[], np.ndarray]) -> dict[str, np.ndarray]:
        """Run once; by how much the reading of a meter grew in each stage."""
        grown: dict[str, np.ndarray] = {}
        detector = self.network.detector
        parts = [(detector.trunk, TRUNK)]
        parts += [(extra, EXTRAS) for extra in detector.extras]
        parts += [(predictor, PREDICTORS) for predictor in detector.predictors]
        hooks = [
            part.register_forward_hook(lambda *_, stage=stage: lap(stage)) for part, stage in parts
        ]
        last = read()

        def lap(stage: str) -> None:
            nonlocal last
            now = read()
            grown[stage] = grown.get(stage, 0) + now - last
            last = now

        self.run(lap)
        for hook in hooks:
            hook.remove()
        return grown

    def count(self) -> dict[str, np.ndarray]:
        """Multiply-adds and output bytes of each stage."""
        with CostCounter() as counter:
            return self.staged(lambda: np.asarray([counter.macs, counter.output_bytes]))

    def time(self, runs: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Milliseconds of whole passes, (runs,), and of each stage in as many others, in turn."""

        def read() -> np.ndarray:
            if self.device == "cuda":
                torch.cuda.synchronize()
            return np.asarray(time.perf_counter() * 1e3)

        whole, staged = [], []
        for _ in range(WARM_UP):
            self.run()
        for _ in range(runs):
            start = read()
            self.run()
            whole.append(read() - start)
            staged.append(self.staged(read))
        return np.stack(whole), {stage: np.stack([s[stage] for s in staged]) for stage in staged[0]}


def profile(
    model: str, *, people: int | None, runs: int, threads: int, device: str = "cpu"
) -> Profile:
    """Measure a row with fresh weights, or a trained checkpoint.

    Args:
        model: name of a row, path of a row file (.toml) or of a checkpoint (.safetensors).
        people: boxes in the picture; None fills every branch, as the thesis's graphs do.
        runs: timed passes, after the warm-up.
        threads: of the CPU.
        device: "cpu", or "cuda" for all but decoding and suppression.

    Raises:
        UsageError: there is no such row, or the file is an exported one.
        ModelError: the checkpoint cannot be used.
    """
    name, network, weights = open_network(model)
    torch.set_num_threads(threads)
    work = Pass(network, people=people, device=device)
    costs, (whole_ms, stage_ms) = work.count(), work.time(runs)

    detector, counts, nothing = network.detector, [len(c) for c in work.cells], nn.Module()
    stages: list[tuple[str, nn.Module, Shape | None, int | None]] = [
        (TRUNK, detector.trunk, None, None),
        (EXTRAS, detector.extras, None, None),
        (PREDICTORS, detector.predictors, None, None),
        (DECODE, nothing, None, None),
        (CROPS, nothing, None, sum(counts)),
    ]
    stages += [
        (branch_name(network, i), branch, network.spec.branches[i].shape, counts[i])
        for i, branch in enumerate(network.branches)
    ]
    no_cost, no_time = np.zeros(2), np.zeros(runs)  # of a branch to which no box came
    return Profile(
        model=name,
        weights=weights,
        input_size=network.spec.input_size,
        device=device,
        processor=cpu_name() if device == "cpu" else torch.cuda.get_device_name(),
        people=people,
        fps=round(1e3 / float(whole_ms.mean()), 3),
        whole=_stage("whole", network, None, None, sum(costs.values(), no_cost), whole_ms),
        stages=tuple(
            _stage(*about, costs.get(about[0], no_cost), stage_ms.get(about[0], no_time))
            for about in stages
        ),
        peak_mb=peak_mb_of(_CHILD, model, str(threads), str(people)) if device == "cpu" else None,
        runs=runs,
        threads=threads,
        versions=versions("torch", "numpy"),
        commit=commit(),
    )


def _stage(
    name: str,
    part: nn.Module,
    shape: Shape | None,
    boxes: int | None,
    cost: np.ndarray,
    times_ms: np.ndarray,
) -> Stage:
    macs, output_bytes = cost
    median, p95 = np.percentile(times_ms, [50, 95])
    return Stage(
        name=name,
        shape=shape,
        boxes=boxes,
        parameters=tensorflow_parameters(part),
        torch_parameters=sum(p.numel() for p in part.parameters()),
        macs=int(macs),
        output_bytes=int(output_bytes),
        mean_ms=round(float(times_ms.mean()), 3),
        median_ms=round(float(median), 3),
        p95_ms=round(float(p95), 3),
    )


def open_network(model: str) -> tuple[str, SsdIsb, str]:
    """The row's name, its network in evaluation mode, and whether weights are fresh or trained."""
    if model.endswith(".onnx"):
        raise UsageError(
            f"{model}: an exported file is one graph, whose stages cannot be told apart; give its "
            f"checkpoint (.safetensors) or row, or use `encompass benchmark --model {model}`."
        )
    if model.endswith(".safetensors"):
        network, record = load_network(Path(model))
        return record["name"], network, "trained"
    name, spec = find_instance_row(model)
    return name, SsdIsb(spec, num_classes=1).eval(), "fresh"


def branch_name(network: SsdIsb, number: int) -> str:
    """The stage's name of a branch: no two branches of a row have the same."""
    spec = network.spec.branches[number]
    return "{} {}x{}".format("exact" if spec.exact else "branch", *spec.shape)


def people_boxes(people: int, *, stride: int, grid: Shape) -> np.ndarray:
    """So many boxes from small to large: (N, 4) float32 xyxy, net pixels.

    Their heights go from one cell to all of them in equal ratios; they are half as wide as high,
    and all begin in the corner, since where a box is costs nothing.
    """
    heights = grid[0] ** ((np.arange(people) + 0.5) / people) * stride
    return np.stack([0 * heights, 0 * heights, heights / 2, heights], axis=1).astype(np.float32)


def score_for(network: SsdIsb, outputs: SsdOutputs, people: int) -> float:
    """The threshold at which so many boxes remain after suppression, or all there are."""
    if people == 0:
        return 1.0
    scores = network.detect(outputs, score=0.0)[0].scores
    return 0.0 if len(scores) <= people else float(scores[people - 1 : people + 1].mean())


def _routed(network: SsdIsb, people: int) -> list[np.ndarray]:
    """For each branch the cells, (N, 4), of those people's boxes that it gets."""
    cells = network.cells(people_boxes(people, stride=network.stride, grid=network.grid))
    branches = network.route(cells)
    return [
        cells[branches == number][: spec.max_boxes]
        for number, spec in enumerate(network.spec.branches)
    ]


def _full(network: SsdIsb) -> list[np.ndarray]:
    """For each branch the cells, (N, 4), of all the boxes it takes, each of its own shape."""
    rows, columns = network.grid
    return [
        np.tile(
            np.asarray([0, 0, min(width, columns), min(height, rows)], np.float32),
            (spec.max_boxes, 1),
        )
        for spec in network.spec.branches
        for height, width in [spec.shape]
    ]
