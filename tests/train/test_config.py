import dataclasses

import pytest

from encompass.errors import UsageError
from encompass.models.zoo import MODELS
from encompass.train.config import BranchConfig, DetectorConfig, JointConfig, override
from encompass.train.recipes import find_recipe


def test_the_learning_rate_warms_up_then_falls_in_stairs():
    config = DetectorConfig(steps=100, decay_steps=10, decay_rate=0.5, warmup_steps=4)
    factors = [config.learning_rate_factor(step) for step in (0, 1, 3, 9, 10, 19, 20)]
    assert factors == [0.25, 0.5, 1, 1, 0.5, 0.5, 0.25]


def test_settings_are_converted_to_the_type_of_the_field():
    config = override(BranchConfig(steps=100), {"steps": "200", "box_jitter": "0.1"})
    assert (config.steps, config.box_jitter) == (200, 0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step": "5"}, "Did you mean 'steps'"),
        ({"steps": "many"}, "'many' is not of type int"),
        ({"steps": "150"}, "use 200"),
        ({"learning_rate": "nan"}, "learning_rate=nan must be a number from 0 up"),
        ({"workers": "-1"}, "workers=-1 must be a number from 0 up"),
        ({"batch_size": "0"}, "batch_size=0 must be a number from 1 up"),
        ({"accumulate": "0"}, "accumulate=0 must be a number from 1 up"),
        ({"precision": "16"}, "must be 32-true or bf16-mixed"),
        ({"score": "relu"}, "must be sigmoid or softmax"),
        ({"schedule": "linear"}, "must be staircase or cosine"),
        ({"ema": "1"}, "ema=1.0 must be a number from 0 to below 1"),
    ],
)
def test_bad_settings_say_the_way_out(settings, message):
    with pytest.raises(UsageError, match=message):
        override(DetectorConfig(steps=100), settings)


def test_branches_learn_in_single_precision_alone():
    with pytest.raises(UsageError, match="precision='bf16-mixed' of branches must be 32-true"):
        BranchConfig(steps=100, precision="bf16-mixed")
    with pytest.raises(UsageError, match="maps_precision='16' must be 32-true or bf16-mixed"):
        BranchConfig(steps=100, maps_precision="16")


def test_branches_must_part_before_the_end():
    with pytest.raises(UsageError, match="shared_steps=100 must be below steps=100"):
        BranchConfig(steps=100, shared_steps=100)


def test_a_recipe_with_settings():
    recipe = find_recipe(MODELS["multi-shape-mn0.75"], ["detector.seed=3", "branches.steps=4000"])
    assert recipe.detector.seed == 3
    assert recipe.branches.steps == 4000
    with pytest.raises(UsageError, match=r"is not distillation\.KEY=VALUE or detector"):
        find_recipe(MODELS["multi-shape-mn0.75"], ["seed=3"])


def test_every_row_of_the_thesis_has_the_same_budget_for_its_branches():
    recipes = [find_recipe(spec).branches for spec in MODELS.values() if spec.input_size == 640]
    assert len(recipes) == 13
    assert len({dataclasses.replace(recipe, mask_weight=1) for recipe in recipes}) == 1
    assert {recipe.mask_weight for recipe in recipes} == {30, 150}  # one branch, several


def test_branches_of_different_depth_never_share_their_weights():
    spec = MODELS["multi-shape"]
    deeper = dataclasses.replace(spec.branches[0], convolutions=2)
    mixed = dataclasses.replace(spec, branches=(deeper, *spec.branches[1:]))
    assert find_recipe(spec).branches.shared_steps > 0
    assert find_recipe(mixed).branches.shared_steps == 0


def test_a_cosine_falls_from_the_rate_to_nothing():
    config = DetectorConfig(steps=100, schedule="cosine", warmup_steps=0)
    factors = [config.learning_rate_factor(step) for step in (0, 25, 50, 100)]
    assert factors == pytest.approx([1, (1 + 0.5**0.5) / 2, 0.5, 0])


def test_a_detector_that_keeps_the_pixel_scale_moves_as_little_as_that_of_320():
    small, large = MODELS["multi-shape-mn0.75-320"], MODELS["multi-shape-mn0.75"]
    pixels = dataclasses.replace(large, anchors="pixels")
    assert find_recipe(pixels).detector == find_recipe(small).detector
    assert find_recipe(small).stages == ("detector", "branches")
    assert find_recipe(pixels).stages == ("branches", "joint")


@pytest.mark.parametrize("kind", [BranchConfig, JointConfig])
def test_boxes_are_not_moved_until_their_edges_cross(kind):
    assert override(kind(steps=100), {"box_jitter": "0.49"}).box_jitter == 0.49
    with pytest.raises(UsageError, match=r"box_jitter=0.5 must be a number from 0 to below 0.5"):
        override(kind(steps=100), {"box_jitter": "0.5"})


@pytest.mark.parametrize("part", ["detector", "distillation", "joint"])
def test_narrow_maps_do_not_learn_in_bfloat16(part):
    settings = [f"{part}.precision=bf16-mixed"]
    wide, narrow = (
        dataclasses.replace(MODELS["encompass-n"], input_size=size) for size in (320, 288)
    )
    assert getattr(find_recipe(wide, settings), part).precision == "bf16-mixed"
    with pytest.raises(UsageError, match=rf"{part}.precision=bf16-mixed: the last map of an input"):
        find_recipe(narrow, settings)


@pytest.mark.parametrize(("size", "precision"), [(288, "32-true"), (320, "bf16-mixed")])
def test_detectors_with_narrow_maps_learn_in_float32(size, precision):
    spec = dataclasses.replace(MODELS["multi-shape-mn0.75-320"], input_size=size)
    assert find_recipe(spec).detector.precision == precision
