"""What a measurement was made on: processor, versions and commit stand beside every figure."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from importlib import metadata
from math import inf
from pathlib import Path

from encompass.errors import ModelError

ROOT = Path("/")  # of what Linux tells in files

_CHECKOUT = Path(__file__).parents[2]  # the root of the checkout, if this is one
_UNLIMITED = 1 << 60  # bytes; version 1 of control groups writes a number beyond for "no limit"


def cpu_name() -> str:
    """The processor, as the system names it."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.M) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def versions(*packages: str) -> dict[str, str]:
    """The versions of Python and of the packages named."""
    return {"python": platform.python_version()} | {p: metadata.version(p) for p in packages}


def commit() -> str:
    """The checkout's commit, "-dirty" appended when files differ from it; "" outside a checkout."""
    if not (_CHECKOUT / ".git").exists():
        return ""
    command = ["git", "-C", str(_CHECKOUT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:  # no git on this machine
        return ""
    return done.stdout.strip()


def today() -> str:
    """The date, as 2026-01-31."""
    return date.today().isoformat()


def origin(processor: str, packages: Mapping[str, str], commit: str) -> str:
    """The line that stands below a table of figures: of `cpu_name`, `versions` and `commit`."""
    about = [processor, *(f"{name} {version}" for name, version in packages.items())]
    return ", ".join([*about, f"commit {commit}"] if commit else about)


def memory_bytes(root: Path = ROOT) -> float:
    """What this process may hold, of the machine's memory and its container's limit the smaller.

    Infinity on systems that do not tell.
    """
    told = (machine_bytes(), container_bytes(root))
    return min((float(limit) for limit in told if limit is not None), default=inf)


def machine_bytes() -> int | None:
    """Memory of this machine; None on systems that do not tell."""
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def container_bytes(root: Path = ROOT) -> int | None:
    """The least limit of memory of this process's control groups."""
    limits = []
    for group in control_groups("memory", root):
        text = read_text(group / "memory.max") or read_text(group / "memory.limit_in_bytes") or ""
        if text.isdecimal() and int(text) < _UNLIMITED:
            limits.append(int(text))
    return min(limits, default=None)


def control_groups(controller: str, root: Path) -> Iterator[Path]:
    """The folders of this process's group of a controller and of all groups above it.

    Inside a container the group may be named as the host sees it, and its files then lie at the
    top: folders that are not there are given as well.
    """
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        # Version 2 has one tree for all controllers, and names none.
        top = root / "sys/fs/cgroup" / (controller if controllers else "")
        group = Path(name.lstrip("/"))
        yield from (top / folder for folder in (group, *group.parents))


def read_text(path: Path) -> str | None:
    """What a file of the system says; None where it is not there or may not be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return None


def peak_mb() -> float | None:
    """Most memory, in 10^6 bytes, that this process has held; None on systems that do not tell."""
    # `ru_maxrss` would begin with the parent's.
    status = Path("/proc/self/status")
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.M) if status.exists() else None
    return round(int(found[1]) * 1024 / 1e6, 1) if found else None


def peak_mb_of(code: str, model: str, *arguments: str) -> float | None:
    """`peak_mb` of a fresh process: what `code` prints, given a model and arguments in `sys.argv`.

    Raises ModelError when that process fails.
    """
    command = [sys.executable, "-c", code, model, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ModelError(f"{model}: measuring memory failed: {done.stderr.strip()}")
    return None if (printed := done.stdout.strip()) == "None" else float(printed)
