"""The targets of `encompass reproduce`, what they need, and the whole way on drawn data."""

import json

import pytest

from encompass.errors import UsageError
from encompass.models.zoo import MODELS, SEMANTIC_MODELS
from encompass.studies import instance, person_crops, published
from encompass.studies.inputs import NEEDS, Inputs
from encompass.studies.makers import STUDIES, Effort, Run, people_of
from encompass.studies.quick import QUICK, draw_inputs
from encompass.studies.reproduce import TARGETS, Target, find_targets, reproduce
from encompass.train.recipes import find_recipe, find_semantic_recipe


def run_in(folder, inputs=None, effort=None):
    return Run(
        inputs=inputs or Inputs(None, ()),
        out=folder,
        results=folder / "results",
        effort=effort or Effort(),
        say=lambda line: None,
    )


def test_every_table_with_results_and_the_figures_are_targets():
    numbers = {kind: [t.number for t in TARGETS if t.kind == kind] for kind in ("table", "figure")}
    assert numbers["table"] == list(published.TABLES)
    assert numbers["figure"] == [
        *("3.5", "3.6", "3.7", "4.2", "4.3"),
        *("4.4", "4.5", "4.6", "5.2", "5.3"),
    ]
    for target in TARGETS:
        assert {*target.needs, *(STUDIES[target.study].needs if target.study else ())} <= {*NEEDS}
        if target.study in ("semantic", "instance", "costs"):
            assert {*target.items} <= {*MODELS, *SEMANTIC_MODELS}
    cells = {cell.name for cell in person_crops.cells()}
    assert {i for t in TARGETS if t.study == "person-crops" for i in t.items} == cells


def test_an_unknown_number_is_told_with_the_known_ones():
    assert [t.name for t in find_targets(["5.4"], ["5.3"])] == ["Table 5.4", "Figure 5.3"]
    with pytest.raises(UsageError, match=r"--table 5\.10: not made here\..* Known: 2\.6, 2\.7"):
        find_targets(["5.10"], [])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("4.1", r"Table 4\.1 needs streets with labels; give --data FOLDER with cityscapes or"),
        ("5.4", r"Table 5\.4 needs persons to learn from; give --data FOLDER with coco/"),
    ],
)
def test_missing_data_name_the_option(tmp_path, table, message):
    with pytest.raises(UsageError, match=message):
        reproduce(find_targets([table], []), run_in(tmp_path))
    assert not list(tmp_path.iterdir())


def test_missing_weights_name_the_option_and_the_folders(tmp_path):
    (tmp_path / "camvid").mkdir()
    inputs = Inputs(tmp_path, ())
    with pytest.raises(UsageError, match="give --weights FOLDER with mobilenet_v1"):
        inputs.find(["streets", "mobilenet"], "It")
    with pytest.raises(UsageError, match=f"is not in {tmp_path}; put it there"):
        Inputs(tmp_path, (tmp_path,)).find(["mobilenet"], "It")


def test_the_thesis_s_own_data_come_first(tmp_path):
    for name in ("camvid", "cityscapes"):
        (tmp_path / name).mkdir()
    inputs = Inputs(tmp_path, ())
    assert inputs.find(["streets"], "It") == {"streets": tmp_path / "cityscapes"}
    assert run_in(tmp_path, inputs).cityscapes == tmp_path / "cityscapes"
    assert run_in(tmp_path).cityscapes is None


def test_trained_weights_are_used_where_they_are_and_made_where_not(tmp_path, monkeypatch):
    made = []

    def make(run, items):
        made.extend(items)
        for item in items:
            path = run.out / "semantic" / "weights" / f"{item}.safetensors"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    monkeypatch.setitem(STUDIES, "semantic", type(STUDIES["semantic"])((), make))
    given = tmp_path / "given"
    given.mkdir()
    (given / "a.safetensors").touch()
    run = run_in(tmp_path / "out", Inputs(None, (given,)))
    assert run.trained("semantic", ["a"]) == {"a": given / "a.safetensors"}
    assert made == []
    assert run.trained("semantic", ["a", "b"])["b"].is_file()
    assert made == ["a", "b"]


def test_the_rows_of_several_tables_are_made_at_once(tmp_path, monkeypatch):
    made = []
    study = type(STUDIES["instance"])((), lambda run, items: made.append(items))
    monkeypatch.setitem(STUDIES, "instance", study)
    targets = [
        Target(kind="table", number=n, title="", study="instance", items=items)
        for n, items in (("5.4", ("a", "b", "c")), ("5.6", ("a", "d", "e")))
    ]
    reproduce(targets, run_in(tmp_path))
    reproduce(targets, run_in(tmp_path, effort=Effort(items=2)))
    assert made == [["a", "b", "c", "d", "e"], ["a", "b", "d"]]


def test_the_thesis_s_schedules_are_those_of_its_text():
    branches = find_recipe(MODELS["multi-shape"], instance.THESIS).branches
    assert (branches.learning_rate, branches.decay_rate) == (4e-5, 0.75)  # 3.2.1
    assert (branches.decay_steps, branches.batch_size * branches.accumulate) == (15_000, 24 * 4)
    assert (branches.mask_weight, branches.shared_steps) == (150.0, 0)
    streets = find_semantic_recipe("thesis")
    assert (streets.steps, streets.batch_size, streets.learning_rate) == (300_000, 1, 1e-5)  # 4.2.2
    crops = find_semantic_recipe("thesis", person_crops.THESIS)
    assert (crops.steps, crops.batch_size, crops.augment) == (400_000, 4, "none")  # 4.3.2


def test_drawn_inputs_are_all_there_and_made_once(tmp_path):
    inputs = draw_inputs(tmp_path)
    files = inputs.find(NEEDS, "It")
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert draw_inputs(tmp_path).find(NEEDS, "It") == files
    assert {path: path.stat().st_mtime_ns for path in made} == made
    for kind in ("", "isb", "isb-matching"):
        people = people_of(files["val"], tmp_path, kind)
        assert len(people) >= 1
        assert all(sample.annotations and sample.path.is_file() for sample in people.samples)


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
def test_the_whole_way_on_drawn_data(tmp_path):
    run = run_in(tmp_path, draw_inputs(tmp_path), QUICK)
    drawn = reproduce(TARGETS, run)
    assert all(path.is_file() for paths in drawn.values() for path in paths)
    assert len(drawn) == 10
    results = {path: path.stat().st_mtime_ns for path in run.results.rglob("*.json")}
    folders = {path.parent.name for path in results}
    assert {"semantic", "person_crops", "instance", "profile"} <= folders
    reproduce(find_targets(["4.1", "4.3", "5.4", "5.5"], []), run)  # done before
    assert {path: path.stat().st_mtime_ns for path in results} == results


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
def test_the_thesis_s_recipe_runs_on_the_layouts_of_cityscapes_and_coco(tmp_path):
    few = Effort(
        recipe="thesis",
        repeated=False,
        items=1,
        semantic=("semantic.steps=2", "semantic.interval=1", "semantic.workers=0"),
        branches=("branches.steps=2", "branches.interval=1"),
    )
    run = run_in(tmp_path, draw_inputs(tmp_path), few)
    reproduce(find_targets(["4.1", "4.3", "5.4"], []), run)
    (street, crop), (instance,) = (
        [json.loads(path.read_text()) for pattern in patterns for path in run.results.glob(pattern)]
        for patterns in (("semantic/*.json", "person_crops/*.json"), ("instance/single-*.json",))
    )
    for result, batch, data in (
        (street, 1, "cityscapes train, scored on val"),
        (crop, 4, "persons of cityscapes train, scored on those of cityscapes val"),
    ):
        assert result["data"] == data
        learnt = result["recipe"]["semantic"]
        assert result["recipe"]["name"] == "thesis"
        assert (learnt["learning_rate"], learnt["decay_rate"]) == (1e-5, 1.0)
        assert (learnt["steps"], learnt["batch_size"], learnt["augment"]) == (2, batch, "none")
    learnt = instance["branches"]
    assert (learnt["learning_rate"], learnt["decay_steps"]) == (4e-5, 15_000)
    # Six pictures with some four persons each, four times a step.
    assert (learnt["steps"], learnt["batch_size"], learnt["accumulate"]) == (2, 6 * 4, 4)
    assert instance["data"] == "sets/instances_val2017-persons.json"
