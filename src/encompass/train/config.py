"""Settings of a training. Times are in optimizer steps, so runs on different data compare."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, TypeVar

from encompass.errors import UsageError, did_you_mean

AT_LEAST_ONE = {"least": 1}  # numbers are from 0 up unless a field says this, or that
BELOW_HALF = {"below": 0.5}
# A side, of maps that learn in bfloat16: on narrower ones oneDNN's gradient of a depthwise
# convolution reads memory that nobody wrote.
LEAST_CELLS = 10
PRECISIONS = ("32-true", "bf16-mixed")  # the second is twice as fast on CPUs with AVX512-BF16

Config = TypeVar("Config", bound="OptimizerConfig")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """RMSProp with a staircase of exponential decay (thesis 3.2.1), and the run's bookkeeping."""

    steps: int = field(metadata=AT_LEAST_ONE)  # optimizer steps in all
    interval: int = field(
        default=100, metadata=AT_LEAST_ONE
    )  # steps between checkpoints; a kill loses at most one interval
    validate_every: int = 0  # intervals between validations; the end is always validated
    batch_size: int = field(default=6, metadata=AT_LEAST_ONE)
    # Batches summed before a step: the effective batch is batch_size times this.
    accumulate: int = field(default=4, metadata=AT_LEAST_ONE)
    learning_rate: float = 4e-5
    decay_rate: float = 0.75
    decay_steps: int = field(default=10_000, metadata=AT_LEAST_ONE)
    # RMSProp's running mean starts at zero, which makes the first steps of pretrained weights too
    # long.
    warmup_steps: int = 50
    momentum: float = 0.9
    alpha: float = 0.9  # decay of the running mean of squares
    clip: float = 10.0  # largest gradient norm; 0 is without limit
    precision: str = (
        "32-true"  # Lightning's; "bf16-mixed" is twice as fast on CPUs with AVX512-BF16
    )
    workers: int = 2  # processes that read and augment pictures
    seed: int = 0

    def __post_init__(self) -> None:
        for known in dataclasses.fields(self):
            value, least = getattr(self, known.name), known.metadata.get("least", 0)
            below = known.metadata.get("below", math.inf)
            if isinstance(value, (int, float)) and not least <= value < below:
                end = "up" if below == math.inf else f"to below {below}"
                raise UsageError(f"{known.name}={value} must be a number from {least} {end}.")
        if self.precision not in PRECISIONS:
            raise UsageError(f"precision={self.precision!r} must be {' or '.join(PRECISIONS)}.")
        if self.steps % self.interval:
            raise UsageError(
                f"steps={self.steps} is not a multiple of interval={self.interval}; "
                f"use {-(-self.steps // self.interval) * self.interval}, or another interval."
            )

    def warmup(self, step: int) -> float:
        """Factor of the first steps, counted from 0."""
        return min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0

    def learning_rate_factor(self, step: int) -> float:
        """Factor of the learning rate at a step, counted from 0 (thesis equation 3.2)."""
        return self.warmup(step) * self.decay_rate ** (step // self.decay_steps)


@dataclass(frozen=True, kw_only=True)
class PictureConfig(OptimizerConfig):
    """A trunk that sees augmented pictures; its batch-norm statistics are frozen."""

    # "staircase" (thesis), or "cosine": from the learning rate to nothing at the end. With that a
    # training of other length is another training.
    schedule: str = "staircase"
    # Decay a step of the running mean of the weights, with which the training is scored and ends; 0
    # takes the weights of the last step.
    ema: float = field(default=0.0, metadata={"below": 1})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schedule not in ("staircase", "cosine"):
            raise UsageError(f"schedule={self.schedule!r} must be staircase or cosine.")

    def learning_rate_factor(self, step: int) -> float:
        """Factor of the learning rate at a step, counted from 0."""
        if self.schedule == "staircase":
            return super().learning_rate_factor(step)
        return self.warmup(step) * (1 + math.cos(math.pi * min(step / self.steps, 1.0))) / 2


@dataclass(frozen=True, kw_only=True)
class DistillationConfig(PictureConfig):
    """What a wider detector says; labels are not looked at."""

    schedule: str = "cosine"
    ema: float = field(default=0.99, metadata={"below": 1})


@dataclass(frozen=True, kw_only=True)
class DetectorConfig(PictureConfig):
    """Boxes and scores, trunk included."""

    # The stem and so many blocks stay as they came: the finest maps cost the most and change the
    # least.
    frozen_blocks: int = 0
    # "sigmoid", as the given weights have it, or "softmax" with a background class (thesis).
    score: str = "sigmoid"
    box_weight: float = 1.0
    score_weight: float = 1.0
    # The rate of what is not known yet (`is_known` of the training's module), as a multiple of the
    # rest's, which COCO taught.
    new_rate: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.score not in ("sigmoid", "softmax"):
            raise UsageError(f"score={self.score!r} must be sigmoid or softmax.")


@dataclass(frozen=True, kw_only=True)
class JointConfig(DetectorConfig):
    """Detector and branches together: the gradient of the masks reaches the trunk."""

    # Of the mean over the objects of a batch, beside the detector's losses.
    mask_weight: float = 5.0
    # How much of the masks' gradient passes the crop; 0 is the thesis's.
    crop_gradient: float = 1.0
    dice_weight: float = 0.0  # as `BranchConfig` has it
    edge_weight: float = 0.0
    box_jitter: float = field(default=0.0, metadata=BELOW_HALF)
    max_masks: int = field(default=12, metadata=AT_LEAST_ONE)  # objects of a picture
    # The detector ends between the weights that it began with, 0, and those that it came to, 1
    # (WiSE-FT, Wortsman et al. 2022): the first have seen all of COCO, the last more masks.
    interpolation: float = 1.0
    # How often a picture with masks gets people of another one (`data.paste`).
    copy_paste: float = 0.0
    # How often four pictures come as one (`data.mosaic`), but for the last passes over the data.
    # With it a training of other length is another training.
    mosaic: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("copy_paste", "interpolation", "mosaic"):
            if getattr(self, key) > 1:
                raise UsageError(f"{key}={getattr(self, key)} must be a number from 0 to 1.")


@dataclass(frozen=True, kw_only=True)
class BranchConfig(OptimizerConfig):
    """Masks, from features cached once: no gradient passes the crop."""

    # Of the maps; the branches themselves need "32-true": in bfloat16 oneDNN's gradient of a
    # depthwise convolution on a narrow crop (3x1, 7x2) reads memory that nobody wrote.
    maps_precision: str = "32-true"
    # How often each picture is augmented and cached.
    passes: int = field(default=4, metadata=AT_LEAST_ONE)
    mask_weight: float = 150.0  # thesis 3.2.1, several branches
    # Beside the cross-entropy (`losses.mask`; not in the thesis): Dice's loss, which is near to the
    # IoU itself, and a further weight of the cells that the outline passes.
    dice_weight: float = 0.0
    edge_weight: float = 0.0
    # Cropping uses ground-truth boxes; moving their edges by up to this part of the side shows the
    # branches the errors that predicted boxes will have.
    box_jitter: float = field(default=0.0, metadata=BELOW_HALF)
    shared_steps: int = 0  # all branches learn as one for so long, then go their own ways
    workers: int = 0
    warmup_steps: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.precision != "32-true":
            raise UsageError(f"precision={self.precision!r} of branches must be 32-true.")
        if self.maps_precision not in PRECISIONS:
            raise UsageError(
                f"maps_precision={self.maps_precision!r} must be {' or '.join(PRECISIONS)}."
            )
        if self.shared_steps >= self.steps:
            raise UsageError(
                f"shared_steps={self.shared_steps} must be below steps={self.steps}: the branches "
                "part only after it."
            )


@dataclass(frozen=True, kw_only=True)
class SemanticConfig(OptimizerConfig):
    """The class of every pixel; encoder included."""

    # The encoder's rate as a share of what begins at random: it comes with what ImageNet taught it.
    encoder_rate: float = 1.0
    # DeepLab's schedule, (1 - step / steps) to this power, in place of the staircase; 0 is the
    # staircase. With it a training of other length is another training.
    poly: float = 0.0
    # "windows": colours changed, a window of the picture scaled by a random factor, often mirrored.
    # "none": pictures whole and as they are; those of a batch must have one size.
    augment: str = "windows"
    window_height: int = field(default=320, metadata=AT_LEAST_ONE)  # pixels, after scaling
    window_width: int = field(default=480, metadata=AT_LEAST_ONE)
    least_scale: float = field(default=0.5, metadata={"least": 0.05})
    greatest_scale: float = 2.0
    # "shuffled": all pictures in turn. "balanced": those with rare classes more often.
    sampling: str = "shuffled"
    # A class weighs in the loss as its share of all pixels to the power of minus this: 0 is all
    # alike, 1 makes a pole teach as much as the road.
    class_balance: float = 0.0
    # Of the loss of the IoU itself, beside the pixels' (`losses.semantic.iou_loss`).
    iou_weight: float = 0.0
    # From so many pictures the encoder's batch norm first learns what its input is like; it then
    # computes what the initial weights do (`layers.renew_statistics`). 0 leaves it as it comes.
    norm_pictures: int = 16
    # Part of each batch in batch norm's running statistics. 0 keeps and uses those it has, for
    # batches too small to have their own.
    norm_momentum: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, known in (
            ("augment", ("windows", "none")),
            ("sampling", ("shuffled", "balanced")),
        ):
            if getattr(self, key) not in known:
                raise UsageError(f"{key}={getattr(self, key)!r} must be {' or '.join(known)}.")
        if self.least_scale > self.greatest_scale:
            raise UsageError(
                f"least_scale={self.least_scale} must not be above "
                f"greatest_scale={self.greatest_scale}."
            )
        if self.norm_momentum > 1:
            raise UsageError(f"norm_momentum={self.norm_momentum} must be a number from 0 to 1.")

    def learning_rate_factor(self, step: int) -> float:
        """Factor of the learning rate at a step, counted from 0."""
        if not self.poly:
            return super().learning_rate_factor(step)
        return self.warmup(step) * max(1 - step / self.steps, 0.0) ** self.poly


def override(config: Config, settings: dict[str, str]) -> Config:
    """A config with some fields replaced by text from the command line.

    Raises:
        UsageError: an unknown field (with the nearest name), or text that is not of its type.
    """
    fields = {f.name: type(getattr(config, f.name)) for f in dataclasses.fields(config)}
    values: dict[str, Any] = {}
    for key, text in settings.items():
        if key not in fields:
            hint = did_you_mean(key, fields)
            raise UsageError(f"No setting is called {key!r}.{hint} Known: {', '.join(fields)}.")
        try:
            values[key] = fields[key](text)
        except ValueError:
            raise UsageError(f"{key}={text!r} is not of type {fields[key].__name__}.") from None
    return dataclasses.replace(config, **values)
