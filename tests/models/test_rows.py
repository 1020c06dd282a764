import dataclasses
import json

import pytest

from encompass.errors import UsageError
from encompass.models.rows import find_row, parse_row
from encompass.models.zoo import MODELS

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
