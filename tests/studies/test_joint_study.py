import dataclasses
import json

import pytest
import torch
from click.testing import CliRunner

from encompass.data.drawn import draw_people
from encompass.models.instance import SsdIsb
from encompass.models.weights import save_network
from encompass.models.zoo import InstanceSpec, resizing
from encompass.studies import joint as study
from encompass.studies.ablation_table import joint
from encompass.train.recipes import find_recipe

SPEC = InstanceSpec(
    multiplier=0.25, input_size=64, branches=resizing([(4, 3)]), crop_blocks=(11, 5, 3), crop="box"
)


def test_variants_differ_from_the_recipe_in_one_setting():
    recipe = find_recipe(SPEC, study.BASE).joint
    assert recipe.steps == 100
    for name, settings in study.VARIANTS.items():
        spec = dataclasses.replace(SPEC, inner=study.INNER.get(name, 1.0))
        other = find_recipe(spec, (*study.BASE, *settings)).joint
        fields = [f.name for f in dataclasses.fields(recipe)]
        changed = [key for key in fields if getattr(recipe, key) != getattr(other, key)]
        assert len(changed) == (name != "joint")


def test_distillation_sees_as_many_pictures_as_the_others():
    recipe = find_recipe(SPEC, (*study.BASE, *study.DISTILLATION))
    seen = [c.steps * c.batch_size * c.accumulate for c in (recipe.joint, recipe.distillation)]
    assert seen[0] == seen[1] == 2400


@pytest.mark.filterwarnings("ignore")
def test_variants_are_trained_and_scored_once(tmp_path, monkeypatch):
    draw_people(tmp_path / "people", num_images=3, seed=0, size=(64, 80))
    torch.manual_seed(0)
    record = {"name": "mine", "row": dataclasses.asdict(SPEC), "names": ["person"]}
    save_network(
        tmp_path / "start.safetensors",
        SsdIsb(SPEC, num_classes=1),
        record | {"stage": "branches"},
    )
    small = ("steps=1", "interval=1", "batch_size=1", "accumulate=1", "workers=0")
    monkeypatch.setattr(study, "BASE", tuple(f"joint.{setting}" for setting in small))
    alike = tuple(f"distillation.{setting}" for setting in (*small, "precision=32-true"))
    monkeypatch.setattr(study, "DISTILLATION", alike)
    variants = {name: study.VARIANTS[name] for name in ("joint", "gradient-stopped", "pruned")}
    monkeypatch.setattr(study, "VARIANTS", variants)
    people = tmp_path / "people" / "annotations.json"
    options = [tmp_path / "start.safetensors", "--data", people, "--val", people, "--seeds", 1]
    options += ["--out", tmp_path / "out", "--results", tmp_path / "results" / "joint"]
    done = CliRunner().invoke(study.main, [str(o) for o in options], catch_exceptions=False)
    assert done.exit_code == 0
    results = {p.stem: json.loads(p.read_text()) for p in tmp_path.glob("results/joint/*")}
    assert results.keys() == {"start", "pruned-start", *variants, "distilled"}
    assert results["start"]["joint"] is None
    inner = {name: result.get("inner") for name, result in results.items()}
    pruned = dict.fromkeys(("pruned-start", "pruned", "distilled"), 2 / 3)
    assert inner == dict.fromkeys(results) | pruned
    assert results["distilled"]["joint"] is None
    assert results["distilled"]["distillation"]["steps"] == 1
    assert results["gradient-stopped"]["joint"]["crop_gradient"] == 0
    page = "\n".join(joint(tmp_path / "results"))
    assert "`gradient-stopped` | 1 |" in page
    assert "`distilled` | 1 |" in page
    assert "1 steps of 1 pictures each, all but one setting alike: interpolation 0.75" in page
    again = CliRunner().invoke(study.main, [str(o) for o in options], catch_exceptions=False)
    assert again.output.count("done before") == 6
