"""How each row is trained unless told otherwise. The budgets are those of the released weights.

The thesis trains for tens of thousands of steps on 64,116 pictures; these fit two CPU cores in an
hour. So the decay steps shrink with the budget (twelve decays, to 3 % of the rate), and bfloat16
halves the time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from encompass.errors import UsageError, did_you_mean
from encompass.train.config import BranchConfig, DetectorConfig, OptimizerConfig, override


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of the two trainings of a row."""

    detector: DetectorConfig
    branches: BranchConfig


RECIPES: dict[str, Recipe] = {
    "multi-shape-mn0.75": Recipe(
        # At 640 people are twice as large in pixels as anything the initial weights saw, so the
        # upper blocks must move far; the lowest, which see edges and textures, may stay.
        detector=DetectorConfig(
            steps=500,
            batch_size=6,
            accumulate=4,
            learning_rate=5e-5,
            decay_steps=42,
            frozen_blocks=3,
            precision="bf16-mixed",
        ),
        branches=BranchConfig(
            steps=8000,
            interval=500,
            batch_size=16,
            accumulate=1,
            learning_rate=1e-4,
            decay_steps=667,
            passes=3,
            box_jitter=0.05,
            shared_steps=2000,
            precision="bf16-mixed",
        ),
    ),
    "multi-shape": Recipe(
        detector=DetectorConfig(
            steps=600,
            batch_size=6,
            accumulate=4,
            learning_rate=7e-5,
            decay_steps=50,
            frozen_blocks=3,
            validate_every=2,
            precision="bf16-mixed",
        ),
        branches=BranchConfig(steps=8000, interval=500),
    ),
    "multi-shape-mn0.75-320": Recipe(
        detector=DetectorConfig(
            steps=300,
            interval=50,
            batch_size=12,
            accumulate=2,
            learning_rate=1.5e-5,
            decay_steps=25,
            precision="bf16-mixed",
        ),
        branches=BranchConfig(
            steps=16000,
            interval=1000,
            batch_size=16,
            accumulate=1,
            learning_rate=1e-4,
            decay_steps=1334,
            passes=4,
            box_jitter=0.05,
            shared_steps=3000,
            precision="bf16-mixed",
        ),
    ),
}


def find_recipe(name: str, settings: Iterable[str] = ()) -> Recipe:
    """The recipe of a row, with settings like "detector.steps=500" put in.

    Raises:
        UsageError: no row has this name, or a setting does not exist or is not of its type.
    """
    changes: dict[str, dict[str, str]] = {"detector": {}, "branches": {}}
    for setting in settings:
        key, equals, value = setting.partition("=")
        part, dot, field = key.partition(".")
        if not (equals and dot and part in changes):
            raise UsageError(f"{setting!r} is not detector.KEY=VALUE or branches.KEY=VALUE.")
        changes[part][field] = value
    if name not in RECIPES:
        hint = did_you_mean(name, RECIPES)
        raise UsageError(f"No model is called {name!r}.{hint} Known: {', '.join(RECIPES)}.")
    recipe = RECIPES[name]
    return dataclasses.replace(
        recipe, **{part: _override(part, getattr(recipe, part), changes[part]) for part in changes}
    )


def _override(part: str, config: OptimizerConfig, settings: dict[str, str]) -> OptimizerConfig:
    try:
        return override(config, settings)
    except UsageError as error:
        raise UsageError(f"{part}: {error}") from None
