"""A network's work in stages: what each costs, counted and timed."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from encompass.environment import cpu_name
from encompass.evaluate.cost import CostCounter
from encompass.geometry.grid import Shape
from encompass.models.layers import tensorflow_parameters

WARM_UP = 5  # passes, not counted: the first ones allocate

Lap = Callable[[str], None]  # is told the name of each stage that ends


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
class Measured:
    """A network's cost on one device, and on what it was measured."""

    model: str
    weights: str  # "fresh" or "trained"
    device: str  # "cpu" or "cuda"
    processor: str
    fps: float  # pictures a second: the inverse of the mean of whole passes
    whole: Stage
    stages: tuple[Stage, ...]
    peak_mb: float | None  # 10^6 bytes, of a process that does one pass; None where not Linux's CPU
    runs: int
    threads: int
    versions: dict[str, str]
    commit: str  # "" outside a checkout


@dataclass(frozen=True, kw_only=True)
class About:
    """A stage before it is measured."""

    name: str
    part: nn.Module | None = None  # whose parameters it has
    shape: Shape | None = None
    boxes: int | None = None


class Work(ABC):
    """One picture through a network in evaluation mode, as often as wanted, always the same."""

    def __init__(self, network: nn.Module, *, device: str) -> None:
        """`device` is "cpu" or "cuda"."""
        self.device = device
        network.to(device)

    @abstractmethod
    def run(self, lap: Lap = lambda stage: None) -> None:
        """One pass; `lap` is called with the name of each stage that ends, hooks tell of others."""

    def hooks(self) -> Sequence[tuple[nn.Module, str]]:
        """Parts whose forward ends a stage inside `run`."""
        return ()

    def staged(self, read: Callable[[], np.ndarray]) -> dict[str, np.ndarray]:
        """Run once; by how much the reading of a meter grew in each stage."""
        grown: dict[str, np.ndarray] = {}
        hooks = [
            part.register_forward_hook(lambda *_, stage=stage: lap(stage))
            for part, stage in self.hooks()
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

    def measure(
        self, whole: nn.Module, stages: Sequence[About], *, runs: int
    ) -> tuple[Stage, tuple[Stage, ...], float]:
        """The whole pass, its stages in this order, and frames a second (of the mean pass)."""
        costs, (whole_ms, stage_ms) = self.count(), self.time(runs)
        no_cost, no_time = np.zeros(2), np.zeros(runs)  # of a branch to which no box came
        measured = tuple(
            _stage(about, costs.get(about.name, no_cost), stage_ms.get(about.name, no_time))
            for about in stages
        )
        total = _stage(About(name="whole", part=whole), sum(costs.values(), no_cost), whole_ms)
        return total, measured, round(1e3 / float(whole_ms.mean()), 3)


def processor_name(device: str) -> str:
    """What `device` is."""
    return cpu_name() if device == "cpu" else torch.cuda.get_device_name()


def _stage(about: About, cost: np.ndarray, times_ms: np.ndarray) -> Stage:
    macs, output_bytes = cost
    median, p95 = np.percentile(times_ms, [50, 95])
    part = about.part or nn.Module()
    return Stage(
        name=about.name,
        shape=about.shape,
        boxes=about.boxes,
        parameters=tensorflow_parameters(part),
        torch_parameters=sum(p.numel() for p in part.parameters()),
        macs=int(macs),
        output_bytes=int(output_bytes),
        mean_ms=round(float(times_ms.mean()), 3),
        median_ms=round(float(median), 3),
        p95_ms=round(float(p95), 3),
    )
