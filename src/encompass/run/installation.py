"""What is installed: versions, extras, bytes on disk, and whether the bundled files are intact.

Nothing is imported to be looked at: packages tell by their metadata, models by their cards.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from encompass import __version__
from encompass.environment import commit
from encompass.files import sha256
from encompass.run.catalogue import Entry, entries

PACKAGE = "encompass"
RUNTIMES = ("onnxruntime", "openvino", "ai-edge-litert", "torch")
_FOLDER = Path(__file__).parents[1]
_DEVELOPERS = "dev"  # the extra that is no user's


@dataclass(frozen=True, kw_only=True)
class Installation:
    """What a report of a fault must tell of the software. Sizes are in 10^6 bytes."""

    version: str
    commit: str  # "" outside a checkout
    python: str
    system: str
    runtimes: dict[str, str | None]  # version by package; None where it is not installed
    extras: dict[str, list[str]]  # the requirements that are unmet, by extra
    sizes_mb: dict[str, float]  # on disk, of the runtime half's packages


def describe_installation() -> Installation:
    """Versions, extras and sizes of this environment."""
    return Installation(
        version=__version__,
        commit=commit(),
        python=platform.python_version(),
        system=platform.platform(),
        runtimes={name: _version(name) for name in RUNTIMES},
        extras={name: unmet(requirements(PACKAGE, extra=name)) for name in _extras()},
        sizes_mb={name: round(size / 1e6, 1) for name, size in runtime_sizes().items()},
    )


def requirements(package: str, *, extra: str = "") -> list[Requirement]:
    """What a package needs on this system: always, or beside that for one extra.

    Empty for a package that is not installed.
    """
    try:
        lines = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return []

    def asked(requirement: Requirement, extra: str) -> bool:
        return requirement.marker is None or requirement.marker.evaluate({"extra": extra})

    found = map(Requirement, lines)
    return [r for r in found if asked(r, extra) and not (extra and asked(r, ""))]


def unmet(needed: list[Requirement]) -> list[str]:
    """Those that are missing or of a version that does not do, as pip takes them."""
    return [
        f"{r.name}{r.specifier}"
        for r in needed
        if (version := _version(r.name)) is None
        or not r.specifier.contains(version, prereleases=True)
    ]


def runtime_sizes() -> dict[str, int]:
    """Bytes on disk of this package and of all that it needs, extras left out, the largest first.

    Packages that are not installed, or whose installer kept no list of files, are left out.
    """
    sizes = {PACKAGE: folder_bytes(_FOLDER)}  # its list has no files where it is a checkout
    waiting = [PACKAGE]
    while waiting:
        for requirement in requirements(waiting.pop()):
            name = _canonical(requirement.name)
            if name not in sizes and (size := package_bytes(name)) is not None:
                sizes[name] = size
                waiting.append(name)
    return dict(sorted(sizes.items(), key=lambda one: -one[1]))


def package_bytes(name: str) -> int | None:
    """What an installed package takes on disk, by its list of files."""
    try:
        files = metadata.files(name)
    except metadata.PackageNotFoundError:
        return None
    if files is None:
        return None
    paths = {Path(str(file.locate())) for file in files}
    return sum(path.stat().st_size for path in paths if path.is_file())


def folder_bytes(folder: Path) -> int:
    """All files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def bundle_states() -> dict[str, str]:
    """Of each model of the catalogue: "intact", "missing" or, by its SHA-256, "damaged".

    Raises ModelError for a card that cannot be read.
    """
    return {name: _state(entry) for name, entry in entries().items()}


def _state(entry: Entry) -> str:
    if not entry.bundled:
        return "missing"
    return "intact" if sha256(entry.path) == entry.sha256 else "damaged"


def _extras() -> list[str]:
    try:
        extras = metadata.metadata(PACKAGE).get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return []
    return [name for name in extras if name != _DEVELOPERS]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _canonical(name: str) -> str:
    """As PyPI spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()
