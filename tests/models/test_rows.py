import dataclasses
import json

import pytest

from encompass.errors import UsageError
from encompass.models.rows import find_instance_row, find_row, parse_row, parse_semantic_row
from encompass.models.zoo import MODELS, SEMANTIC_MODELS, SemanticSpec

MINE = """
name = "mine"
multiplier = 0.75
input_size = 320
crop_blocks = [11, 5]
nms_iou = 0.5
[[branches]]
shape = [9, 4]
convolutions = 2
rate = 3
[[branches]]
shape = [2, 2]
exact = true
max_boxes = 30
"""


def write(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", MODELS)
def test_a_row_survives_its_record(name):
    record = json.loads(json.dumps(dataclasses.asdict(MODELS[name])))
    assert parse_row(record, name) == MODELS[name]
    assert find_row(name) == (name, MODELS[name])


@pytest.mark.parametrize("name", SEMANTIC_MODELS)
def test_a_semantic_row_survives_its_record(name):
    record = json.loads(json.dumps(dataclasses.asdict(SEMANTIC_MODELS[name])))
    assert parse_semantic_row(record, name) == SEMANTIC_MODELS[name]
    assert find_row(name) == (name, SEMANTIC_MODELS[name])


def test_a_file_is_a_row(tmp_path):
    name, spec = find_row(write(tmp_path, MINE))
    assert name == "mine"
    assert (spec.multiplier, spec.input_size, spec.crop_blocks) == (0.75, 320, (11, 5))
    assert spec.nms_iou == 0.5
    first, second = spec.branches
    assert (first.shape, first.convolutions, first.rate, first.exact) == ((9, 4), 2, 3, False)
    assert (second.shape, second.max_boxes, second.exact) == ((2, 2), 30, True)


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'multi-shape'"):
        find_row("multi-shap")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("nms_iou = 0.5", "nms_io = 0.5", r"'nms_io'\. Did you mean 'nms_iou'"),
        ("rate = 3", "rates = 3", r"branches\[0\]: no setting is called 'rates'"),
        ("multiplier = 0.75", "", "multiplier is missing"),
        ("multiplier = 0.75", "multiplier = nan", "multiplier=nan must be a number from"),
        ("multiplier = 0.75", "multiplier = inf", "multiplier=inf must be a number from"),
        ("multiplier = 0.75", "multiplier = true", "multiplier=True must be a number"),
        ("input_size = 320", "input_size = -320", "input_size=-320 must be a whole number"),
        ("input_size = 320", "input_size = 1e18", "must be a whole number"),
        ("input_size = 320", "input_size = 300", "not a multiple of 32; use 288"),
        ("[11, 5]", "[11, 3]", r"have the strides \[16, 4\]"),
        ("[11, 5]", "[11, 14]", "crop_blocks=.* must be a whole number from 1 to 13"),
        ("[11, 5]", "[]", "crop_blocks=.* must be a list"),
        ("shape = [9, 4]", "shape = [9, 4, 1]", "must be a list of two numbers"),
        ("shape = [9, 4]", "shape = [9, 0]", "shape=.* must be a whole number from 1 to 128"),
        ("shape = [9, 4]", "shape = 'big'", "must be a list of two numbers"),
        ("exact = true", "exact = 1", "exact=1 must be true or false"),
        ("nms_iou = 0.5", "score = 'relu'", "score='relu' must be 'sigmoid' or 'softmax'"),
        ("shape = [9, 4]", "shape = [2, 2]\nexact = true", "occurs twice"),
        ("nms_iou = 0.5", "crop = 'box'", "no branch can be exact"),
        ("nms_iou = 0.5", "head = 'mask-rcnn'", "has its own convolutions"),
        ("nms_iou = 0.5", "fine_map = true", "fine_map=true needs anchors='pixels'"),
        (
            "nms_iou = 0.5",
            "anchors = 'pixels'\ntrain_crops = 'anchors'",
            "train_crops='anchors' is for anchors='picture'",
        ),
        ('name = "mine"', 'name = "multi-shape"', "must be a text that no row"),
        ('name = "mine"', 'name = "../mine"', "must be a text that no row"),
        ("[[branches]]", "[[branche]]", "branches must be a list|no setting"),
        (MINE, "branches = 3", "branches must be a list"),
        (MINE, "= nothing", "is not TOML"),
    ],
)
def test_what_is_not_a_row_is_refused_with_its_key(tmp_path, old, new, message):
    with pytest.raises(UsageError, match=message) as caught:
        find_row(write(tmp_path, MINE.replace(old, new)))
    assert "mine.toml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"missing\.toml: cannot be read"):
        find_row(str(tmp_path / "missing.toml"))


SEMANTIC = """
task = "semantic"
encoder = "mobilenet"
multiplier = 0.75
maps = [13, 11]
output_stride = 32
"""


def test_a_file_can_be_a_semantic_row(tmp_path):
    expected = SemanticSpec(encoder="mobilenet", multiplier=0.75, maps=(13, 11), output_stride=32)
    assert find_row(write(tmp_path, SEMANTIC)) == ("mine", expected)


def test_where_boxes_are_needed_a_semantic_row_is_refused():
    with pytest.raises(UsageError, match="squeezenet is a semantic row"):
        find_instance_row("squeezenet")
    assert find_instance_row("multi-shape") == ("multi-shape", MODELS["multi-shape"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"semantic"', '"panoptic"', "task='panoptic' must be 'instance' or 'semantic'"),
        ('"mobilenet"', '"resnet"', "encoder='resnet' must be 'mobilenet' or"),
        ("multiplier = 0.75", "multiplier = 0", "multiplier=0 must be a number from"),
        ("maps = [13, 11]", "map = [13]", "Did you mean 'maps'|maps is missing"),
        ("[13, 11]", "[14]", "maps=.* must be a whole number from 1 to 13"),
        ("[13, 11]", "[13, 5]", r"have the strides \[32, 8\]"),
        ("output_stride = 32", "output_stride = 16", r"have the strides \[16, 16\]"),
        ("[13, 11]", "[11]", "output_stride=32 is not the stride of the first .* which is 16"),
        ("= 32", "= 64", "output_stride=64 must be a whole number from 2 to 32"),
        ("= 32", "= 32\nlast_rate = 0", "last_rate=0 must be a whole number"),
        ('"mobilenet"', '"squeezenet1.1"', "multiplier=0.75 is MobileNet's alone"),
        (
            '"mobilenet"\nmultiplier = 0.75',
            '"squeezenet1.1"',
            "has the layers 1 to 11, not 13",
        ),
        ('"mobilenet"', '"mobilenet-shallow"', "has the layers 1 to 8, not 13"),
    ],
)
def test_what_is_not_a_semantic_row_is_refused_with_its_key(tmp_path, old, new, message):
    with pytest.raises(UsageError, match=message) as caught:
        find_row(write(tmp_path, SEMANTIC.replace(old, new)))
    assert "mine.toml" in str(caught.value)
