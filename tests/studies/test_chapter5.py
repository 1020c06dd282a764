"""The sections on chapter 5, from made-up results."""

import json

import pytest

from encompass.studies.chapter5 import chapter5
from encompass.studies.chapter5_costs import chapter5_costs
from encompass.studies.published import METRICS

SHAPES = ((9, 4), (2, 2))


def result(model, ap, *, seed=0, detector="one", **changes):
    scores = dict.fromkeys(METRICS, ap)
    coco = {"AP": ap / 2, "AP50": ap, "AP75": ap / 4}
    group = {"mask_IoU": ap + 10, "IoU_50": 55.0, "num_without_mask": 3}
    subset = {"mask_at_50": scores, "num_images": 4, "num_annotations": 9}
    branches = {"steps": 3000, "batch_size": 16, "learning_rate": 1e-4, "passes": 3}
    return {
        "model": model,
        "seed": seed,
        "detector": detector,
        "mask_at_50": scores,
        "box": coco,
        "mask": coco,
        "data": "drawn",
        "num_images": 7,
        "num_annotations": 20,
        "quality": dict.fromkeys(("all", "small", "medium", "large"), group),
        "subsets": {} if seed else {"val-isb": subset, "val-isb-matching": subset},
        "row": {"branches": [{"shape": shape} for shape in SHAPES]},
        "branches": branches | {"shared_steps": 750, "clip": 10.0},
        "crops": {"per_picture": 1.8, "megabytes_per_picture": 21.0},
        "pictures": 50,
        "cpu": "a CPU",
        "versions": {},
        "commit": "abc",
        "file": {"name": f"{model}.safetensors"},
        **changes,
    }


def write(folder, *records):
    (folder / "instance").mkdir(parents=True)
    for number, record in enumerate(records):
        (folder / "instance" / f"{number}.json").write_text(json.dumps(record))
    (folder / "instance" / "detectors.json").write_text(json.dumps({"scores": []}))


MAIN = [
    result(row, ap + seed, seed=seed)
    for row, ap in (
        *(("single-branch", 30.0), ("single-shape", 10.0)),
        *(("single-shape-plus", 31.0), ("multi-shape", 39.0)),
    )
    for seed in (0, 1, 2)
]


def test_nothing_is_said_of_what_was_not_run(tmp_path):
    assert chapter5(tmp_path) == chapter5_costs(tmp_path) == []


def test_first_seeds_stand_beside_the_thesis_and_all_seeds_have_their_spread(tmp_path):
    write(tmp_path, *MAIN)
    text = "\n".join(chapter5(tmp_path))
    assert "| `multi-shape` | 39.0 (38.6) | 39.0 (0.9) |" in text
    assert "| Mask R-CNN | - (73.6) |" in text
    assert "| `single-shape` | 11.0 +- 1.0 | 11.0 +- 1.0 |" in text
    assert "share 2,250 steps" in text
    # Multi-Shape by 9 points, every variance 1: 2.306 times the root of 2/3.
    assert "| AP50 | 40.0 | 31.0 | +9.0 | 1.9 | 3, 3 | confirmed |" in text
    assert "4 pictures, 9 persons" in text


def test_rows_of_another_detector_are_shown_but_test_nothing(tmp_path):
    write(tmp_path, *MAIN, result("multi-shape-mn0.75", 36.0, detector="another"))
    longer = {"file": {"name": "longer.safetensors"}, "mask": {"AP50": 37.0}}
    (tmp_path / "multi-shape-mn0.75.json").write_text(json.dumps(longer))
    text = "\n".join(chapter5(tmp_path))
    assert "| mask IoU | 50.0 | 46.0 | +4.0 | 2.7 | 3, 1 | not testable here |" in text
    assert "`weights/longer.safetensors`" in text
    assert "has a mask AP50 of 37.0, here 36.0." in text


def test_crops_of_anchors_tell_how_many_were_learnt_from(tmp_path):
    write(tmp_path, *MAIN, result("single-branch-anchors", 25.0))
    text = "\n".join(chapter5(tmp_path))
    assert "a random 8,000 of them, while its steps draw 48,000." in text  # 3,000 steps of 16


def test_row_files_stand_beside_the_ten_shapes(tmp_path):
    write(tmp_path, *MAIN, result("mine", 37.0))
    text = "\n".join(chapter5(tmp_path))
    assert "| `mine` | 9x4 2x2 | 37.0 | 37.0 | 37.0 | 37.0 | 47.0 |" in text


def test_results_of_other_pictures_are_not_put_in_one_table(tmp_path):
    write(tmp_path, *MAIN, result("mine", 37.0, num_images=8))
    with pytest.raises(AssertionError, match=r"mine\.safetensors has another num_images"):
        chapter5(tmp_path)


def profiled(model, people, ms):
    stage = {"name": "branch 9x4", "shape": [9, 4], "boxes": 6}
    whole = {"macs": ms * 10**9, "output_bytes": ms * 10**6, "median_ms": ms, "p95_ms": ms}
    return {
        "model": model,
        "weights": "fresh",
        "input_size": 640,
        "device": "cpu",
        "fps": 1e3 / ms,
        "people": people,
        "whole": whole | {"parameters": 7},
        "stages": [stage],
        "peak_mb": 9.0,
        "runs": 3,
        "threads": 2,
        "processor": "a CPU",
        "versions": {},
        "commit": "abc",
    }


def test_costs_with_people_and_with_full_branches_are_two_tables(tmp_path):
    (tmp_path / "profile").mkdir(parents=True)
    for row, ms in (("single-branch", 100), ("multi-shape", 50)):
        records = [profiled(row, 10, ms), profiled(row, None, 4 * ms)]
        (tmp_path / "profile" / f"{row}.json").write_text(json.dumps(records))
    text = "\n".join(chapter5_costs(tmp_path))
    assert "on the CPU, 10 people (Tables" in text
    assert "on the CPU, every branch full (Tables" in text
    shown = "| `multi-shape` | 6 | 5.0 (8.0) | 200.0 / 200.0 | 2.00 (0.93) | 200.00 | 200 (1910) |"
    assert shown in text
    ratios = "| **2.000** | **2.000** | **2.000** | 1.000 | 1 |"
    assert f"| Single-Branch is cheaper than Multi-Shape {ratios} not confirmed |" in text
