"""A network's work in stages: what each costs, counted and timed."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import nn

from encompass.environment import commit, cpu_name, versions
from encompass.evaluate.cost import CostCounter
from encompass.geometry.grid import Shape
from encompass.models.layers import tensorflow_parameters

WARM_UP = 5  # passes, not counted: the first ones allocate

Network = TypeVar("Network", bound=nn.Module)
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
    times_ms: tuple[float, ...]  # of the whole passes, in their order
    together: tuple[str, ...]  # models that took turns: the i-th passes of all followed each other
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


class Work(ABC, Generic[Network]):
    """One picture through a network in evaluation mode, as often as wanted, always the same."""

    def __init__(self, network: Network, *, device: str) -> None:
        """`device` is "cpu" or "cuda"."""
        self.device = device
        self.network = network.to(device)

    @abstractmethod
    def run(self, lap: Lap = lambda stage: None) -> None:
        """One pass; `lap` is called with the name of each stage that ends, hooks tell of others."""

    @abstractmethod
    def stages(self) -> Sequence[About]:
        """The stages, in their order."""

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

    def clock_ms(self) -> np.ndarray:
        """Now, when all that was asked of the device is done."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        return np.asarray(time.perf_counter() * 1e3)

    def figures(
        self, whole_ms: np.ndarray, staged_ms: Sequence[dict[str, np.ndarray]]
    ) -> dict[str, Any]:
        """What `Measured` says of a pass and its stages, from (runs,) times of each."""
        costs = self.count()
        times_ms = {stage: np.stack([s[stage] for s in staged_ms]) for stage in staged_ms[0]}
        no_cost, no_time = np.zeros(2), np.zeros(len(whole_ms))  # of a branch to which no box came
        about = About(name="whole", part=self.network)
        return {
            "fps": round(1e3 / float(whole_ms.mean()), 3),
            "times_ms": tuple(round(float(ms), 3) for ms in whole_ms),
            "whole": _stage(about, sum(costs.values(), no_cost), whole_ms),
            "stages": tuple(
                _stage(each, costs.get(each.name, no_cost), times_ms.get(each.name, no_time))
                for each in self.stages()
            ),
        }


def measure_in_turn(works: Sequence[Work], runs: int) -> list[dict[str, Any]]:
    """`figures` of each work, a pass of each at a time: a machine that wavers does so for all.

    A turn is a whole pass of each, then a pass of each with a clock after every stage. Each turn
    has an order of its own, because a pass finds memory as the one before left it.
    """
    order = list(range(len(works)))
    shuffle = random.Random(0).shuffle
    for work in works:
        for _ in range(WARM_UP):
            work.run()
    whole_ms: list[list[np.ndarray]] = [[] for _ in works]
    staged_ms: list[list[dict[str, np.ndarray]]] = [[] for _ in works]
    for _ in range(runs):
        shuffle(order)
        for i in order:
            start = works[i].clock_ms()
            works[i].run()
            whole_ms[i].append(works[i].clock_ms() - start)
        for i in order:
            staged_ms[i].append(works[i].staged(works[i].clock_ms))
    return [
        work.figures(np.stack(whole), staged)
        for work, whole, staged in zip(works, whole_ms, staged_ms, strict=True)
    ]


def describe_run(device: str, *, runs: int, threads: int) -> dict[str, Any]:
    """What `Measured` says of how and on what it was measured."""
    return {
        "device": device,
        "processor": cpu_name() if device == "cpu" else torch.cuda.get_device_name(),
        "runs": runs,
        "threads": threads,
        "versions": versions("torch", "numpy"),
        "commit": commit(),
    }


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
