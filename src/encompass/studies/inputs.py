"""What the studies need, and where it is looked for: below --data and --weights.

`--data FOLDER` holds datasets under the names of `NEEDS`. Where it has the thesis's own, Cityscapes
and COCO 2017, these are taken; else the small ones of this project. `--weights FOLDER` holds
initial weights under the names of their releases, or checkpoints to start from in their place
(NAME-start.safetensors), and what was trained here under the row's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from encompass.errors import UsageError

COCO = "coco/annotations/instances_{}2017.json"


@dataclass(frozen=True)
class Need:
    """A file or folder."""

    option: str
    what: str
    names: tuple[str, ...]  # below the option's folder; the first that is there is taken


NEEDS = {
    "streets": Need("--data", "streets with labels", ("cityscapes", "camvid")),
    "train": Need(
        "--data", "persons to learn from", (COCO.format("train"), "coco-person/person_train.json")
    ),
    "val": Need(
        "--data", "persons to score on", (COCO.format("val"), "coco-person/person_val.json")
    ),
    "mobilenet": Need(
        "--weights",
        "MobileNet-v1 0.5 of ImageNet",
        ("mobilenet_v1_0.5_160_quant.tflite", "mobilenet0.5-start.safetensors"),
    ),
    "squeezenet": Need(
        "--weights",
        "SqueezeNet 1.1 of ImageNet",
        ("squeezenet1_1_imagenet.npz", "squeezenet-start.safetensors"),
    ),
    "release": Need(
        "--weights",
        "SSD-MobileNet-v1 1.0 of COCO",
        ("ssd_mobilenet_v1_1.0_coco_fp16.npz", "ssd-mobilenet-v1-1.0-start.safetensors"),
    ),
    "release-0.75": Need(
        "--weights",
        "SSD-MobileNet-v1 0.75 of COCO",
        ("ssd_mobilenet_v1_0.75_coco_quant.tflite", "ssd-mobilenet-v1-0.75-start.safetensors"),
    ),
    "detector": Need(
        "--weights",
        "a fine-tuned detector of depth 1.0 at 640x640",
        ("ssd-mobilenet-v1-1.0-640.safetensors",),
    ),
    "detector-0.75": Need(
        "--weights",
        "a fine-tuned detector of depth 0.75 at 640x640",
        ("ssd-mobilenet-v1-0.75-640.safetensors", "multi-shape-mn0.75.safetensors"),
    ),
}


@dataclass(frozen=True)
class Inputs:
    """The folders that a user gave."""

    data: Path | None
    weights: Sequence[Path]

    def find(self, needs: Iterable[str], what_for: str) -> dict[str, Path]:
        """The files of some needs.

        Raises UsageError that names the first one missing and the option that gives it.
        """
        return {name: self._find(NEEDS[name], what_for) for name in needs}

    def _find(self, need: Need, what_for: str) -> Path:
        folders = self.weights if need.option == "--weights" else [self.data] if self.data else []
        for folder in folders:
            for name in need.names:
                if (folder / name).exists():
                    return folder / name
        names = " or ".join(need.names)
        if not folders:
            raise UsageError(
                f"{what_for} needs {need.what}; give {need.option} FOLDER with {names} in it."
            )
        where = ", ".join(map(str, folders))
        raise UsageError(
            f"{what_for} needs {need.what}: {names} is not in {where}; put it there, or give "
            f"another {need.option}."
        )

    def trained(self, row: str) -> Path | None:
        """The checkpoint of a row in the folders of weights, if one is there."""
        paths = (folder / f"{row}.safetensors" for folder in self.weights)
        return next((path for path in paths if path.exists()), None)
