"""Instance and semantic segmentation on plain CPUs, without torch at run time.

>>> import encompass
>>> model = encompass.load("encompass-s")
>>> result = model("photo.jpg")
>>> result.boxes, result.scores, result.masks
>>> for result in encompass.stream("clip.mp4", model):
...     result.frame, result.time, len(result)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from encompass.errors import (
        AnnotationError,
        BadData,
        Diverged,
        EncompassError,
        ImageError,
        ModelError,
        ParityError,
        UsageError,
        VideoError,
    )
    from encompass.run.label_map import LabelMap
    from encompass.run.predictor import InstanceModel, Model, SemanticModel, load
    from encompass.run.result import Result
    from encompass.run.stream import stream
    from encompass.schema import BoxMask, Instances, ModelCard

__version__ = "0.1.0"

__all__ = [
    "AnnotationError",
    "BadData",
    "BoxMask",
    "Diverged",
    "EncompassError",
    "ImageError",
    "InstanceModel",
    "Instances",
    "LabelMap",
    "Model",
    "ModelCard",
    "ModelError",
    "ParityError",
    "Result",
    "SemanticModel",
    "UsageError",
    "VideoError",
    "__version__",
    "load",
    "stream",
]

# Where the names above are found; each module is imported when a name of it is first used.
_MODULES = {
    "load": "encompass.run.predictor",
    "InstanceModel": "encompass.run.predictor",
    "Model": "encompass.run.predictor",
    "SemanticModel": "encompass.run.predictor",
    "LabelMap": "encompass.run.label_map",
    "Result": "encompass.run.result",
    "stream": "encompass.run.stream",
    "BoxMask": "encompass.schema",
    "Instances": "encompass.schema",
    "ModelCard": "encompass.schema",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'encompass' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES.get(name, "encompass.errors")), name)


def __dir__() -> list[str]:
    return __all__
