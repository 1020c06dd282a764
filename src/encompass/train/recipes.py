"""How each row is trained unless told otherwise.

The thesis trains for tens of thousands of steps on 64,116 pictures; these fit two CPU cores in an
hour, but for `JOINT`, which takes a few. So the decay steps shrink with the budget (twelve decays,
to 3 % of the rate), and bfloat16 halves the time. The weights in `weights/` say in their records
what they were trained with.

Semantic rows have two recipes, each the same for all rows so that what is compared is the
architecture: the thesis's, and ours (why it differs stands beside it). A study may choose the rate
of an encoder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from encompass.errors import UsageError
from encompass.models.mobilenet import MobileNetV1
from encompass.models.zoo import InstanceSpec
from encompass.train.config import (
    LEAST_CELLS,
    BranchConfig,
    Config,
    DetectorConfig,
    DistillationConfig,
    JointConfig,
    SemanticConfig,
    override,
)

# What a pruned trunk has lost; boxes; masks on maps that stand still; both together.
STAGES = ("distillation", "detector", "branches", "joint")
MASK_WEIGHT_ONE, MASK_WEIGHT_SEVERAL = 30.0, 150.0  # thesis 3.2.1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of the trainings of a row, and which of them it has, in their order."""

    distillation: DistillationConfig
    detector: DetectorConfig
    branches: BranchConfig
    joint: JointConfig
    stages: tuple[str, ...]


# Half an hour on two cores.
DISTILLATION = DistillationConfig(
    steps=3000,
    interval=100,
    batch_size=16,
    accumulate=1,
    learning_rate=1e-4,
    alpha=0.99,
    precision="bf16-mixed",
)
# At 640 people are twice as large in pixels as anything the initial weights saw, so the upper
# blocks must move far; the lowest, which see edges and textures, may stay.
DETECTOR_640 = DetectorConfig(
    steps=500,
    batch_size=6,
    accumulate=4,
    learning_rate=5e-5,
    decay_steps=42,
    frozen_blocks=3,
    precision="bf16-mixed",
)
# From a detector of depth 1.0 whose two missing kernels were learnt first (docs/training.md).
DETECTOR_640_FULL = dataclasses.replace(DETECTOR_640, steps=400, interval=50, decay_steps=34)
DETECTOR_320 = DetectorConfig(
    steps=300,
    interval=50,
    batch_size=12,
    accumulate=2,
    learning_rate=1.5e-5,
    decay_steps=25,
    precision="bf16-mixed",
)
# What branches learn before they have a say in the trunk: with that they see every picture anew,
# where maps are kept they soon know their few thousand crops.
BRANCHES_FIRST = {
    "steps": 4000,
    "interval": 500,
    "decay_steps": 334,
    "shared_steps": 0,
    "passes": 1,
    "dice_weight": 1.0,
    "edge_weight": 1.0,
}
# From a trained detector and branches; minutes on a GPU, hours on two cores, for which the batch is
# cut in four. The rate falls to nothing, and the weights' running mean is kept: a few thousand
# pictures make every step's gradient a rough one.
JOINT = JointConfig(
    steps=1500,
    interval=100,
    batch_size=12,
    accumulate=4,
    learning_rate=3e-5,
    schedule="cosine",
    ema=0.995,
    dice_weight=1.0,
    edge_weight=1.0,
    box_jitter=0.05,
    new_rate=3.0,
    copy_paste=0.5,
    mosaic=0.5,
    interpolation=0.75,
    precision="bf16-mixed",
)
# Equal for every row at 640, so that what is compared is the architecture alone.
BRANCHES_640 = BranchConfig(
    steps=3000,
    interval=500,
    batch_size=16,
    accumulate=1,
    learning_rate=1e-4,
    decay_steps=250,
    passes=3,
    box_jitter=0.05,
    shared_steps=750,
    maps_precision="bf16-mixed",
)
BRANCHES_320 = dataclasses.replace(
    BRANCHES_640, steps=16000, interval=1000, decay_steps=1334, passes=4, shared_steps=3000
)

# Section 4.2.2: whole pictures one by one at a constant rate, scored now and then (there every ten
# minutes). TensorFlow's RMSProp has no momentum unless told. Nothing is said of augmentation, and a
# batch of one picture has no statistics of its own. Person crops (4.3.2): batch_size=4 and
# steps=400000.
SEMANTIC_THESIS = SemanticConfig(
    steps=300_000,
    interval=1000,
    validate_every=1,
    batch_size=1,
    accumulate=1,
    learning_rate=1e-5,
    decay_rate=1.0,
    momentum=0.0,
    clip=0.0,
    augment="none",
    norm_momentum=0.0,
)
# Why this should be better on little data and few steps: a rate at which a step moves a weight by
# two hundred times as much (momentum 0.9 adds up ten steps), less so in the encoder, which has
# something to lose, and falling to nothing so that the end is quiet; eight windows a step instead
# of one picture, so that batch norm can follow the new data; colours, scales and mirroring, since a
# few hundred pictures are soon known by heart; and rare classes weighing more, because mIoU counts
# each class alike however few its pixels.
SEMANTIC_OURS = SemanticConfig(
    steps=3000,
    interval=100,
    validate_every=5,
    batch_size=8,
    accumulate=1,
    learning_rate=2e-4,
    encoder_rate=0.25,
    poly=0.9,
    warmup_steps=100,
    alpha=0.99,
    least_scale=0.75,
    class_balance=0.3,
    norm_momentum=0.05,
    precision="bf16-mixed",
)
SEMANTIC_RECIPES = {"ours": SEMANTIC_OURS, "thesis": SEMANTIC_THESIS}


def find_recipe(spec: InstanceSpec, settings: Iterable[str] = ()) -> Recipe:
    """The recipe of a row, with settings like "detector.steps=500" put in.

    Raises:
        UsageError: a setting does not exist, is not of its type or does not suit the row.
    """
    changes = _changes(settings, STAGES)
    if "score" in changes["joint"]:
        raise UsageError("joint: a network has one kind of scores; set detector.score.")
    recipe = _base(spec)
    parts = {part: _override(part, getattr(recipe, part), changes[part]) for part in STAGES}
    parts["joint"] = dataclasses.replace(parts["joint"], score=parts["detector"].score)
    for part in ("distillation", "detector", "joint"):
        if _is_narrow(spec) and parts[part].precision != "32-true":
            raise UsageError(
                f"{part}.precision={parts[part].precision}: the last map of an input of "
                f"{spec.input_size} pixels is too narrow for it; leave it at 32-true."
            )
    return dataclasses.replace(recipe, **parts)


def find_semantic_recipe(name: str, settings: Iterable[str] = ()) -> SemanticConfig:
    """A recipe of semantic rows, with settings like "semantic.steps=500" put in.

    Raises:
        UsageError: a setting does not exist or is not of its type.
    """
    changes = _changes(settings, ("semantic",))["semantic"]
    return _override("semantic", SEMANTIC_RECIPES[name], changes)


def _changes(settings: Iterable[str], parts: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Texts like "part.key=value" as {part: {key: value}}."""
    changes: dict[str, dict[str, str]] = {part: {} for part in parts}
    for setting in settings:
        key, equals, value = setting.partition("=")
        part, dot, field = key.partition(".")
        if not (equals and dot and part in changes):
            forms = " or ".join(f"{part}.KEY=VALUE" for part in parts)
            raise UsageError(f"{setting!r} is not {forms}.")
        changes[part][field] = value
    return changes


def _base(spec: InstanceSpec) -> Recipe:
    small = spec.input_size < 480 or spec.anchors == "pixels"
    branches = BRANCHES_320 if small else BRANCHES_640
    if small:  # a pixel scale that the weights know
        detector = DETECTOR_320
    else:
        detector = DETECTOR_640 if spec.multiplier < 1 else DETECTOR_640_FULL
    detector = dataclasses.replace(detector, score=spec.score)
    distillation, joint = DISTILLATION, dataclasses.replace(JOINT, score=spec.score)
    if spec.inner < 1:
        detector = dataclasses.replace(detector, frozen_blocks=0)
    if _is_narrow(spec):
        distillation = dataclasses.replace(distillation, precision="32-true")
        detector = dataclasses.replace(detector, precision="32-true")
        joint = dataclasses.replace(joint, precision="32-true")
    weight = MASK_WEIGHT_ONE if len(spec.branches) == 1 else MASK_WEIGHT_SEVERAL
    # Branches that cannot share their weights go their own ways from the start; those that always
    # do never part.
    shared = branches.shared_steps if spec.is_uniform and not spec.shared else 0
    branches = dataclasses.replace(branches, mask_weight=weight, shared_steps=shared)
    stages = ("detector", "branches")
    if spec.anchors == "pixels":  # a detector that begins where it shall end
        branches, stages = dataclasses.replace(branches, **BRANCHES_FIRST), ("branches", "joint")
    if spec.inner < 1:
        stages = ("distillation", *stages)
    return Recipe(
        distillation=distillation, detector=detector, branches=branches, joint=joint, stages=stages
    )


def _is_narrow(spec: InstanceSpec) -> bool:
    return spec.input_size // MobileNetV1.STRIDES[13] < LEAST_CELLS


def _override(part: str, config: Config, settings: dict[str, str]) -> Config:
    try:
        return override(config, settings)
    except UsageError as error:
        raise UsageError(f"{part}: {error}") from None
