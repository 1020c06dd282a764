import dataclasses
import json

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from encompass.data.drawn import draw_people
from encompass.errors import UsageError
from encompass.models.instance import SsdIsb
from encompass.models.weights import save_detector
from encompass.models.zoo import MODELS
from encompass.studies.ablation import BUDGET, PAIR, ROWS, main
from encompass.studies.ablation_table import ablation
from encompass.studies.instance import bases, check_row
from encompass.train.recipes import find_recipe


def test_the_rows_have_one_detector_and_differ_in_one_thing_from_an_earlier_one():
    (base,) = bases(ROWS).values()
    assert base == MODELS["multi-shape-mn0.75-320"]
    for number, row in enumerate(ROWS):
        check_row(row, MODELS[row], ROWS)
        for key in ("multiplier", "input_size", "mask_confidence", "nms_iou"):
            assert getattr(MODELS[row], key) == getattr(base, key)
        if number:
            fields = (
                "branches",
                "box_channels",
                "shared",
                "refine",
                "routing",
                "crop",
                "crop_blocks",
            )
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
    assert (branches.steps, branches.interval, branches.shared_steps) == (1000, 500, 188)
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
        "mask_at_50": {"APs": ap - 30},
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
    of_two = (32, 12, 2, 52, None, 42, 32)
    cells = " | ".join("-" if mean is None else f"{mean:.1f} +- 2.8" for mean in of_two)
    assert f"| `{ROWS[0]}` | 2 | {cells} | 16.0 +- 1.4 |" in page
    assert f"| `{ROWS[3]}` | 1 | 40.0 | 20.0 | 10.0 | 60.0 | - | 50.0 | 40.0 | 20.0 |" in page
    assert "the 300 pairs of persons in much the same cells and of the 20 in just the same" in page
    assert ROWS[1] not in page


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
def test_rows_are_trained_scored_and_drawn(tmp_path):
    draw_people(tmp_path / "people", num_images=4, seed=0)
    torch.manual_seed(0)
    spec = MODELS[ROWS[0]]
    record = {"name": ROWS[0], "row": dataclasses.asdict(spec), "names": ["person"]}
    record |= {"recipe": {"detector": {"steps": 0}}, "stage": "detector", "data": ["drawn"]}
    save_detector(tmp_path / "start.safetensors", SsdIsb(spec, num_classes=1), record)
    people, out = tmp_path / "people" / "annotations.json", tmp_path / "out"
    options = ["--detector", tmp_path / "start.safetensors", "--data", people, "--val", people]
    options += ["--out", out, "--results", tmp_path / "results" / "ablation", "--seeds", 1]
    for row in (ROWS[0], ROWS[-1]):
        options += ["--row", row]
    for setting in ("steps=2", "interval=1", "shared_steps=0", "passes=1"):
        options += ["--set", f"branches.{setting}"]
    done = CliRunner().invoke(main, [str(option) for option in options])
    if done.exception:
        raise done.exception
    page = "\n".join(ablation(tmp_path / "results"))
    assert f"`{ROWS[0]}` | 1 |" in page and f"`{ROWS[-1]}` | 1 |" in page
    with Image.open(out / PAIR) as picture:
        assert picture.height > 600
