"""What a network costs, stage by stage and branch by branch (thesis 5.2.3, Table 5.5).

A pass goes from a picture that is ready, (1, 3, H, W), to boxes and mask logits. It does the same
whatever the weights: the picture is noise, suppression gets drawn scores, and the branches get the
boxes of `people_boxes`. docs/profile.md defines every figure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from encompass.environment import peak_mb_of
from encompass.evaluate.network import load_network
from encompass.evaluate.stages import About, Lap, Measured, Work, describe_run, measure_in_turn
from encompass.geometry.grid import Shape
from encompass.models.instance import SsdIsb, parts
from encompass.models.rows import find_instance_row
from encompass.models.ssd import SsdOutputs

TRUNK, EXTRAS, PREDICTORS = "trunk", "extras", "predictors"
DECODE, CROPS = "decode + NMS", "crops"

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
class Profile(Measured):
    """An instance network on one device."""

    input_size: int  # pixels, square
    people: int | None  # None when every branch is filled up


class Pass(Work[SsdIsb]):
    """One picture through an instance network."""

    def __init__(self, network: SsdIsb, *, people: int | None, device: str = "cpu") -> None:
        """Args:
        network: in evaluation mode.
        people: boxes in the picture; None fills each branch with all the boxes that it takes, and
            suppression goes through all anchors, as in the thesis's graphs.
        device: "cpu" or "cuda".
        """
        super().__init__(network, device=device)
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
    def run(self, lap: Lap = lambda stage: None) -> None:
        """From picture to mask logits."""
        network = self.network
        outputs = network(self.picture)
        lap(PREDICTORS)
        _ = outputs.logits.cpu(), outputs.offsets.cpu()  # suppression is always done there
        network.detect(self.answer, score=self.score)
        lap(DECODE)
        features = {block: feature[0] for block, feature in outputs.features.items()}
        for number, cells in enumerate(self.cells):
            for some in parts(cells) if len(cells) else ():
                crops = network.crops(features, some, number)
                crops = network.with_box(crops, some * network.stride, some)
                lap(CROPS)
                network.head(number)(crops)
                lap(branch_name(network, number))

    def stages(self) -> list[About]:
        """The detector's, cropping and each branch."""
        detector, counts = self.network.detector, [len(cells) for cells in self.cells]
        fine = [] if detector.fine is None else [detector.fine.project, detector.fine.refine]
        return [
            About(name=TRUNK, part=detector.trunk),
            About(name=EXTRAS, part=nn.ModuleList([detector.extras, *fine])),
            About(name=PREDICTORS, part=nn.ModuleList(detector.heads)),
            About(name=DECODE),
            About(name=CROPS, boxes=sum(counts)),
            *(
                About(
                    name=branch_name(self.network, i),
                    # Weights that are shared are counted once.
                    part=None if i and self.network.spec.shared else self.network.head(i),
                    shape=branch.shape,
                    boxes=counts[i],
                )
                for i, branch in enumerate(self.network.spec.branches)
            ),
        ]

    def hooks(self) -> list[tuple[nn.Module, str]]:
        """The detector's parts."""
        detector = self.network.detector
        return [
            (detector.trunk, TRUNK),
            *((extra, EXTRAS) for extra in detector.extras),
            *([] if detector.fine is None else [(detector.fine, EXTRAS)]),
            *((predictor, PREDICTORS) for predictor in detector.heads),
        ]


def profile(
    models: Sequence[str], *, people: int | None, runs: int, threads: int, device: str = "cpu"
) -> list[Profile]:
    """Measure rows with fresh weights, or trained checkpoints, in turn.

    Args:
        models: name of a row, path of a row file (.toml) or of a checkpoint (.safetensors) each.
        people: boxes in the picture; None fills every branch, as the thesis's graphs do.
        runs: timed passes, after the warm-up.
        threads: of the CPU.
        device: "cpu", or "cuda" for all but decoding and suppression.

    Raises:
        UsageError: there is no such row.
        ModelError: the checkpoint cannot be used.
    """
    opened = [open_network(model) for model in models]
    torch.set_num_threads(threads)
    works = [Pass(network, people=people, device=device) for _, network, _ in opened]
    measured = measure_in_turn(works, runs)
    about = describe_run(device, runs=runs, threads=threads)
    child = (str(threads), str(people))
    return [
        Profile(
            model=name,
            weights=weights,
            input_size=network.spec.input_size,
            people=people,
            together=tuple(name for name, *_ in opened),
            peak_mb=peak_mb_of(_CHILD, model, *child) if device == "cpu" else None,
            **figures,
            **about,
        )
        for model, (name, network, weights), figures in zip(models, opened, measured, strict=True)
    ]


def open_network(model: str) -> tuple[str, SsdIsb, str]:
    """The row's name, its network in evaluation mode, and whether weights are fresh or trained."""
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
