import json

import pytest
from click.testing import CliRunner

from encompass.cli.models import command
from encompass.run.catalogue import DEFAULT_MODEL


@pytest.fixture
def run(bundle):
    return lambda *arguments: CliRunner().invoke(command, arguments, catch_exceptions=False)


def test_json_is_a_list_of_all_facts(run, bundle, add_card):
    add_card()
    add_card("small")
    (bundle / "tiny.onnx").write_bytes(b"")
    small, tiny = json.loads(run("--json").stdout)
    assert tiny == {
        "name": "tiny",
        "default": False,
        "task": "instance",
        "classes": ["person"],
        "parameters": 12,
        "input_size": [32, 32],
        "size_bytes": 1,
        "licence": "Apache-2.0",
        "training_data": "None: its answer is fixed.",
        "scores": {"mask AP50": 1.5},
        "bundled": True,
    }
    assert (small["name"], small["bundled"]) == ("small", False)


def test_every_model_is_described(run, bundle, add_card):
    scores = {"box APs": 3.0, "box AP": 8.0, "mask AP50": 1.5, "mask AP": 0.25}
    add_card(parameters=7654321, size_bytes=9_249_999, scores=scores)
    add_card("wide", input_size=[24, 32])
    (bundle / "tiny.onnx").write_bytes(b"")
    tiny, wide, use = run().stdout.split("\n\n")
    assert tiny.splitlines() == [
        "tiny",
        "  instance: person",
        "  32 x 32 px, 7,654,321 parameters, 9.2 MB, Apache-2.0",
        "  mask AP 0.25, mask AP50 1.5, box AP 8",
        "  Training data: None: its answer is fixed.",
    ]
    assert wide.startswith("wide (not in this installation)\n  instance: person\n  32 x 24 px")
    assert "--model NAME" in use


def test_the_default_says_so(run, add_card):
    add_card(DEFAULT_MODEL)
    add_card("other")
    (described, other, _), facts = run().stdout.split("\n\n"), json.loads(run("--json").stdout)
    assert described.startswith(f"{DEFAULT_MODEL} (default)")
    assert other.startswith("other (not")
    assert [fact["default"] for fact in facts] == [True, False]


def test_a_model_of_any_picture_size_says_so(run, add_card):
    add_card(task="semantic", input_size=[0, 0], scores={})
    assert "\n  any size, 12 parameters, 0.0 MB, Apache-2.0\n  Training data" in run().stdout


def test_of_many_classes_the_first_are_named(run, add_card):
    add_card(names=[f"c{i}" for i in range(19)])
    assert "instance: c0, c1, c2, c3, c4, c5, c6, c7 and 11 more\n" in run().stdout


def test_no_models_are_an_empty_list(run):
    assert json.loads(run("--json").stdout) == []


def test_no_models_say_what_to_do(run):
    assert "exported file" in run().stdout
