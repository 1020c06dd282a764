"""Does the exported file label pixels as its network does? The last step of a semantic export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from encompass.errors import ParityError

PredictLabels = Callable[[Path], np.ndarray]  # (H, W) labels at the picture's size

# Least part of the pixels. Half-precision weights move a logit by about a thousandth of its range,
# activations in bfloat16 by a hundredth.
EQUAL_PIXELS = {"fp32": 0.999, "fp16": 0.995, "bf16": 0.98}


@dataclass(frozen=True, kw_only=True)
class LabelGap:
    """How far two predictors are apart over some pictures."""

    pictures: int
    classes: int  # that the reference tells apart in them
    equal_pixels: float  # part of all pixels that have the same label, in [0, 1]

    def __str__(self) -> str:
        return (
            f"{self.classes} classes in {self.pictures} pictures, {self.equal_pixels:.3%} of "
            "labels equal"
        )


def compare_labels(
    reference: PredictLabels, exported: PredictLabels, pictures: Sequence[Path]
) -> LabelGap:
    """Run both on real pictures."""
    classes: set[int] = set()
    same = pixels = 0
    for path in pictures:
        ours, theirs = reference(path), exported(path)
        classes.update(np.unique(ours).tolist())
        same += int((ours == theirs).sum())
        pixels += ours.size
    return LabelGap(pictures=len(pictures), classes=len(classes), equal_pixels=same / pixels)


def check_label_parity(gap: LabelGap, equal_pixels: float, path: Path) -> None:
    """Raises ParityError when fewer pixels agree; also when one class was all that was found."""
    if gap.classes < 2:
        raise ParityError(
            f"{path}: its network tells no two classes apart in {gap.pictures} pictures, so "
            "nothing was compared; give others with --pictures."
        )
    if gap.equal_pixels < equal_pixels:
        raise ParityError(
            f"{path}: does not compute what its network does: {gap.equal_pixels:.3%} of labels "
            f"agree, less than {equal_pixels:.1%}. Of pictures unlike those that it learnt from it "
            "is sure of little, and rounding decides: give its own kind with --pictures."
        )
