"""What a measurement was made on: processor, versions and commit stand beside every figure."""

from __future__ import annotations

import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

_CHECKOUT = Path(__file__).parents[2]  # the root of the checkout, if this is one


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
