import json

import pytest

from encompass.errors import UsageError
from encompass.models.zoo import MODELS
from encompass.studies.ablation import BUDGET, ROWS
from encompass.studies.ablation_table import ablation
from encompass.studies.instance import bases, check_row
from encompass.train.recipes import find_recipe


def test_the_rows_have_one_detector_and_differ_in_one_thing_from_an_earlier_one():
    (base,) = bases(ROWS).values()
    assert base == MODELS["multi-shape-mn0.75-320"]
    for number, row in enumerate(ROWS):
        check_row(row, MODELS[row], ROWS)
        for key in ("multiplier", "input_size", "crop_blocks", "mask_confidence", "nms_iou"):
            assert getattr(MODELS[row], key) == getattr(base, key)
        if number:
            fields = ("branches", "box_channels", "shared", "refine", "routing")
            changes = [
                [f for f in fields if getattr(MODELS[row], f) != getattr(MODELS[other], f)]
                for other in ROWS[:number]
            ]
            # Large shapes are routed otherwise or shared by nature: these go together.
            assert min(len(set(c) - {"shared", "routing"}) for c in changes) <= 1
    with pytest.raises(UsageError, match="input_size=640; the study's rows have 320"):
        check_row("multi-shape-mn0.75", MODELS["multi-shape-mn0.75"], ROWS)


def test_the_budget_is_of_the_recipe():
    branches = find_recipe(MODELS[ROWS[0]], BUDGET).branches
    assert (branches.steps, branches.interval, branches.shared_steps) == (4000, 500, 750)
    assert find_recipe(MODELS[ROWS[0]]).branches.passes == branches.passes


def result(ap):
    quality = {
        "all": {"mask_IoU": ap + 20, "boundary_IoU": ap + 10},
        "small": {"mask_IoU": None},
        "pairs": {"num_pairs": 300, "both_IoU_50": ap},
        "equal_pairs": {"num_pairs": 20, "both_IoU_50": ap / 2},
    }
    return {
        "mask": {"AP50": ap, "AP": ap - 20},
        "quality": quality,
        "branches": {"steps": 4000, "batch_size": 16},
        "data": "people/val.json",
        "cpu": "a cpu",
        "versions": {"torch": "2"},
        "commit": "abc",
    }


def test_the_table_has_a_line_for_each_row_with_its_seeds(tmp_path):
    assert ablation(tmp_path) == []
    folder = tmp_path / "ablation"
    folder.mkdir()
    for name, ap in ((ROWS[0], 30.0), (f"{ROWS[0]}-seed1", 34.0), (ROWS[3], 40.0)):
        (folder / f"{name}.json").write_text(json.dumps(result(ap)))
    page = "\n".join(ablation(tmp_path))
    spread = "2 | 32.0 +- 2.8 | 12.0 +- 2.8 | 52.0 +- 2.8 | - | 42.0 +- 2.8 | 32.0 +- 2.8 | 16.0 +-"
    assert f"| `{ROWS[0]}` | {spread} 1.4 |" in page
    assert f"| `{ROWS[3]}` | 1 | 40.0 | 20.0 | 60.0 | - | 50.0 | 40.0 | 20.0 |" in page
    assert "the 300 pairs of persons in much the same cells and of the 20 in just the same" in page
    assert ROWS[1] not in page
