import json

from PIL import Image

from encompass.studies.pareto import Point, front, pareto, points, save_pareto


def row(name, kind, ms, people=2):
    return {
        "name": name,
        "kind": kind,
        "precision": "fp32",
        "people": people,
        "median_ms": ms,
        "turns_ms": [ms],
        "found": people,
    }


def test_the_front_is_what_no_other_is_quicker_and_better_than():
    quick, slow, best = Point("a", 8.0, 40.0), Point("b", 9.0, 39.0), Point("c", 30.0, 50.0)
    twin = Point("d", 8.0, 38.0)
    assert front([best, slow, twin, quick]) == [quick, best]
    assert front([]) == []


def test_points_are_of_one_run_and_of_the_rows_own_scores(tmp_path):
    assert pareto(tmp_path) == []
    assert save_pareto(tmp_path, tmp_path) == []
    rows = [row("mine", "ours", 12.5), row("mine", "ours", 11.0, people=0)]
    rows += [row("seeded", "ours", 50.0), row("unscored", "ours", 5.0), row("theirs", "peer", 70.0)]
    rows += [row("mine", "network", 9.0, people=0)]
    (tmp_path / "per_object.json").write_text(json.dumps({"rows": rows}))
    (tmp_path / "mine.json").write_text(json.dumps({"mask": {"AP50": 46.0}}))
    (tmp_path / "instance").mkdir()
    for seed, ap50 in ((1, 30.0), (0, 31.0)):
        result = {"model": "seeded", "seed": seed, "mask": {"AP50": ap50}}
        (tmp_path / "instance" / f"seeded-{seed}.json").write_text(json.dumps(result))
    assert points(tmp_path) == [Point("mine", 12.5, 46.0), Point("seeded", 50.0, 31.0)]
    (path,) = save_pareto(tmp_path, tmp_path / "figures")
    with Image.open(path) as picture:
        assert picture.width > 500
    assert path.name in "\n".join(pareto(tmp_path))
