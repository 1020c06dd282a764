"""What this process may compute on: the processor's features, cores, memory, a container's limits.

Linux tells all of it in files below `/`; other systems the number of cores and little else. What is
not told is None.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from encompass.environment import (
    ROOT,
    container_bytes,
    control_groups,
    cpu_name,
    machine_bytes,
    read_text,
)

# Instructions that inference is faster with, by Linux's name of each: x86 first, then ARM.
FEATURES = {
    "avx2": "avx2",
    "fma": "fma",
    "avx512f": "avx512f",
    "avx512_vnni": "avx512_vnni",
    "avx_vnni": "avx_vnni",
    "avx512_bf16": "avx512_bf16",
    "amx_tile": "amx_tile",
    "amx_int8": "amx_int8",
    "amx_bf16": "amx_bf16",
    "neon": "neon",  # of 32 bits
    "asimd": "neon",  # of 64 bits
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "bf16": "bf16",
    "sve": "sve",
}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Memory is in 10^6 bytes."""

    cpu: str
    features: tuple[str, ...] | None  # values of `FEATURES` that the processor has
    usable_cores: int  # by this process: what `load` computes on unless told otherwise
    logical_cores: int
    physical_cores: int | None
    memory_mb: float | None
    available_mb: float | None
    container_cores: float | None  # the quota of the container; None for no limit
    container_memory_mb: float | None


def describe_machine(root: Path = ROOT) -> Machine:
    """This machine, as the files below `root` tell."""
    return Machine(
        cpu=cpu_name(),
        features=cpu_features(root),
        usable_cores=usable_cores(root),
        logical_cores=os.cpu_count() or 1,
        physical_cores=physical_cores(root),
        memory_mb=_mb(machine_bytes()),
        available_mb=_mb(available_bytes(root)),
        container_cores=container_cores(root),
        container_memory_mb=_mb(container_bytes(root)),
    )


def cpu_features(root: Path = ROOT) -> tuple[str, ...] | None:
    """Those of `FEATURES` that every core has."""
    text = read_text(root / "proc/cpuinfo") or ""
    cores = [set(line.split()) for line in re.findall(r"^(?:flags|Features)\s*:(.*)$", text, re.M)]
    if not cores:
        return None
    shared = set.intersection(*cores)
    return tuple(dict.fromkeys(name for flag, name in FEATURES.items() if flag in shared))


def physical_cores(root: Path = ROOT) -> int | None:
    """Cores of the machine, those that share one counted once."""
    found = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/topology/thread_siblings_list")
    return len({path.read_text() for path in found}) or None


def usable_cores(root: Path = ROOT) -> int:
    """How many cores this process may use, by its affinity and its container's quota."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = container_cores(root)
    return cores if quota is None else min(cores, max(1, ceil(quota)))


def available_bytes(root: Path = ROOT) -> int | None:
    """Memory that the system can give without swapping."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", read_text(root / "proc/meminfo") or "", re.M)
    return int(found[1]) * 1024 if found else None


def container_cores(root: Path = ROOT) -> float | None:
    """The least quota of CPU time of this process's control groups, in cores."""
    quotas = []
    for group in control_groups("cpu", root):
        both = read_text(group / "cpu.max")  # version 2: "200000 100000", or "max 100000"
        if both is None:
            parts = ("quota", "period")
            both = " ".join(str(read_text(group / f"cpu.cfs_{part}_us")) for part in parts)
        if found := re.fullmatch(r"(\d+) (\d+)", both):  # version 1 has -1 for no limit
            quotas.append(int(found[1]) / int(found[2]))
    return min(quotas, default=None)


def _mb(number: float | None) -> float | None:
    return None if number is None else round(number / 1e6, 1)
