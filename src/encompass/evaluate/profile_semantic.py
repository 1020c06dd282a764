"""What a semantic network costs, stage by stage (thesis 4.2.3, Table 4.2).

A pass goes from a picture that is ready, (1, 3, H, W), to the class of every pixel, by logits of
every pixel as in the thesis; exported files do without those. docs/profile.md defines every figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from encompass.environment import peak_mb_of
from encompass.evaluate.semantic import load_semantic
from encompass.evaluate.stages import About, Lap, Measured, Work, describe_run, measure_in_turn
from encompass.models.rows import find_row
from encompass.models.semantic import SemanticNetwork, upsample
from encompass.models.zoo import SemanticSpec

ENCODER, DECODER, UPSAMPLE, ARGMAX = "encoder", "decoder", "upsample", "argmax"
NUM_CLASSES = 19  # of a row with fresh weights: Cityscapes'
SIZES = ((1024, 2048), (360, 480))  # (height, width), pixels: Cityscapes', CamVid's in most papers

_CHILD = """
import sys
import torch
from encompass.environment import peak_mb
from encompass.evaluate.profile_semantic import LabelPass, open_semantic
torch.set_num_threads(int(sys.argv[2]))
LabelPass(open_semantic(sys.argv[1])[1], size=(int(sys.argv[3]), int(sys.argv[4]))).run()
print(peak_mb())
"""


@dataclass(frozen=True, kw_only=True)
class SemanticProfile(Measured):
    """A semantic network on one device and one size of picture."""

    height: int  # of the picture, pixels
    width: int
    num_classes: int


class LabelPass(Work[SemanticNetwork]):
    """One picture through a semantic network."""

    def __init__(
        self, network: SemanticNetwork, *, size: tuple[int, int], device: str = "cpu"
    ) -> None:
        """Args:
        network: in evaluation mode.
        size: (height, width) of the picture, pixels.
        device: "cpu" or "cuda".
        """
        super().__init__(network, device=device)
        self.size = size
        rng = torch.Generator().manual_seed(0)
        self.picture = (torch.rand(1, 3, *size, generator=rng) * 255).to(device)

    @torch.no_grad()
    def run(self, lap: Lap = lambda stage: None) -> None:
        """From picture to labels."""
        logits = self.network(self.picture)
        full = upsample(logits, stride=self.network.stride, size=self.size)
        lap(UPSAMPLE)
        full.argmax(dim=1)
        lap(ARGMAX)

    def stages(self) -> list[About]:
        """Encoder, decoder, and what follows."""
        return [
            About(name=ENCODER, part=self.network.encoder),
            About(name=DECODER, part=self.network.decoder),
            About(name=UPSAMPLE),
            About(name=ARGMAX),
        ]

    def hooks(self) -> list[tuple[nn.Module, str]]:
        """Encoder and decoder."""
        return [(self.network.encoder, ENCODER), (self.network.decoder, DECODER)]


def profile_semantic(
    models: Sequence[str], *, size: tuple[int, int], runs: int, threads: int, device: str = "cpu"
) -> list[SemanticProfile]:
    """Measure rows with fresh weights, or trained checkpoints, in turn.

    Args:
        models: name of a semantic row, path of a row file (.toml) or of a checkpoint (.safetensors)
            each.
        size: (height, width) of the picture, pixels.
        runs: timed passes, after the warm-up.
        threads: of the CPU.
        device: "cpu" or "cuda".

    Raises:
        UsageError: there is no such row.
        ModelError: the checkpoint cannot be used.
    """
    opened = [open_semantic(model) for model in models]
    torch.set_num_threads(threads)
    works = [LabelPass(network, size=size, device=device) for _, network, _ in opened]
    measured = measure_in_turn(works, runs)
    about = describe_run(device, runs=runs, threads=threads)
    child = (str(threads), *map(str, size))
    return [
        SemanticProfile(
            model=name,
            weights=weights,
            height=size[0],
            width=size[1],
            num_classes=network.num_classes,
            together=tuple(name for name, *_ in opened),
            peak_mb=peak_mb_of(_CHILD, model, *child) if device == "cpu" else None,
            **figures,
            **about,
        )
        for model, (name, network, weights), figures in zip(models, opened, measured, strict=True)
    ]


def open_semantic(model: str) -> tuple[str, SemanticNetwork, str]:
    """The row's name, its network in evaluation mode, and whether weights are fresh or trained."""
    if model.endswith(".safetensors"):
        network, _, record = load_semantic(Path(model))
        return record["name"], network, "trained"
    name, spec = find_row(model)
    assert isinstance(spec, SemanticSpec)
    return name, SemanticNetwork(spec, num_classes=NUM_CLASSES).eval(), "fresh"
