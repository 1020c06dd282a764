"""The sections on chapter 4, from made-up results."""

import json

import pytest

from encompass.studies.chapter4 import chapter4


def result(model, miou, *, seed=0, recipe="ours", **changes):
    settings = {"steps": 8, "batch_size": 2, "window_height": 32, "window_width": 48, "seed": seed}
    classes = [{"name": "background", "IoU": None}, {"name": "person", "IoU": miou}]
    return {
        "model": model,
        "mIoU": miou,
        "pixel_accuracy": 90.0,
        "gridding": 1.25,
        "best_step": 4,
        "classes": classes,
        "num_images": 7,
        "data": "drawn",
        "pictures": [50, 7],
        "cpu": "a CPU",
        "versions": {},
        "commit": "abc",
        "recipe": {"name": recipe, "semantic": settings},
        **changes,
    }


def write(folder, **results):
    folder.mkdir(parents=True)
    for name, record in results.items():
        (folder / f"{name}.json").write_text(json.dumps(record))


def profiled(model, height, width, size):
    cost = {"output_bytes": size * 10**6, "macs": size * 10**9, "median_ms": size, "parameters": 7}
    return {
        "model": model,
        "height": height,
        "width": width,
        "device": "cpu",
        "fps": 2.0,
        "whole": cost,
        "peak_mb": 99.0,
        "runs": 3,
        "threads": 2,
        "num_classes": 19,
        "processor": "a CPU",
        "versions": {},
        "commit": "abc",
    }


def test_nothing_is_said_of_what_was_not_run(tmp_path):
    assert chapter4(tmp_path) == []


def test_scores_stand_beside_the_thesis_and_findings_have_their_verdict(tmp_path):
    write(
        tmp_path / "semantic",
        a=result("squeezenet", 40.0),
        b=result("mobilenet0.5", 50.0),
        c=result("mobilenet0.5", 51.0, seed=1),
        d=result("mobilenet0.5", 30.0, recipe="thesis"),
        e=result("mine", 60.0),
    )
    lines = chapter4(tmp_path)
    assert "| `squeezenet` | ours | 8 | 40.0 (35.6) |  | 90.0 | 1.25 | 4 |" in "\n".join(lines)
    assert "| `mobilenet0.5` | thesis | 8 | 30.0 |  | 90.0 | 1.25 | 4 |" in "\n".join(lines)
    assert "| `mine` | ours | 8 | 60.0 |  | 90.0 | 1.25 | 4 |" in "\n".join(lines)
    assert "| `mine` | - | 60.0 |" in "\n".join(lines)
    # 12.706 times the root of the variance of 50 and 51, for two seeds against one.
    verdict = (
        "| MobileNet is above SqueezeNet, without a method | mIoU | 50.5 | 40.0 | +10.5 | 11.0"
    )
    assert f"{verdict} | undecided |" in "\n".join(lines)


def test_costs_stand_beside_the_thesis(tmp_path):
    sizes = ((1024, 2048), (360, 480))
    write(
        tmp_path / "profile",
        **{
            row: [profiled(row, *size, cost) for size in sizes]
            for row, cost in (("fcn8-mobilenet0.5", 10), ("stride8-mobilenet0.5", 40))
        },
    )
    text = "\n".join(chapter4(tmp_path))
    assert "on the CPU (Table 4.2)" in text
    # The thesis's 1.91 frames a second over 5.33 are 0.36.
    costs = "2.0 | 40 (5089) | 40.0 | 99 | 7 (839,283) |"
    assert f"| `stride8-mobilenet0.5` | 2.00 (1.91) | 1.00 (0.36) | {costs}" in text
    ratios = "| **0.250** | **0.250** | **0.250** | 1.000 | 1 |"
    assert f"| FCN-8 is cheaper than stride 8 (MobileNet) {ratios} undecided |" in text  # no turns


def test_a_gpu_has_a_table_of_its_own_beside_the_thesis_s(tmp_path):
    sizes = ((1024, 2048), (360, 480))
    records = [
        {**profiled("stride8-mobilenet0.5", *size, 40), "device": device, "peak_mb": peak}
        for device, peak in (("cpu", 99.0), ("cuda", None))
        for size in sizes
    ]
    write(tmp_path / "profile", a=records)
    cpu, gpu = "\n".join(chapter4(tmp_path)).split("### Speed and memory on the GPU (Table 4.2)")
    assert "| 2.00 (1.91) | 1.00 (1.00) |" in cpu
    assert "| 2.00 (33.61) | 1.00 (1.00) |" in gpu
    assert "the thesis's RTX 2080 Ti" in gpu


@pytest.mark.parametrize("size", [(160, 96), (320, 192)])
def test_cells_of_the_person_study_find_their_place(tmp_path, size):
    cell = {"method": "fcn8-mobilenet0.5", "rate": 3, "background": 0.05, "size": size}
    write(tmp_path / "person_crops", a=result("fcn8-mobilenet0.5-rate3", 61.0, cell=cell))
    text = "\n".join(chapter4(tmp_path))
    assert "Crops of {}x{}:".format(*size) in text
    assert "| `fcn8-mobilenet0.5` | 4.4 | 5 % | - (68.6) | 61.0 (68.1) | - (67.9) |" in text


def test_findings_of_the_person_study_stand_beside_the_thesis(tmp_path):
    def of(method, rate, iou):
        cell = {"method": method, "rate": rate, "background": 0.0, "size": (160, 96)}
        return result(method, iou, cell=cell)

    write(
        tmp_path / "person_crops",
        a=of("mobilenet0.5", 1, 50.0),
        b=of("mobilenet0.5", 3, 51.0),
        c=of("fcn8-mobilenet0.5", 1, 60.0),
        d=of("fcn8-mobilenet0.5", 3, 62.0),
    )
    text = "\n".join(chapter4(tmp_path))
    # The mean over nine cells of Table 4.4, 68.2, less that of Table 4.3, 51.2.
    # The spread is 12.706 times the standard error of 10 and 11, a half.
    found = "| FCN-8 is above the baseline | 2 | +10.5 (+17.0) | +10.0 to +11.0 | 6.4 | confirmed |"
    assert found in text
