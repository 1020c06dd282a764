import json

import pytest
from click.testing import CliRunner

from encompass.cli.models import command


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
        "task": "instance",
        "parameters": 12,
        "input_size": [32, 32],
        "licence": "Apache-2.0",
        "training_data": "None: its answer is fixed.",
        "scores": {"mask AP50": 1.5},
        "bundled": True,
    }
    assert (small["name"], small["bundled"]) == ("small", False)


def test_every_model_is_described(run, bundle, add_card):
    add_card(parameters=7654321)
    add_card("wide", input_size=[24, 32])
    (bundle / "tiny.onnx").write_bytes(b"")
    tiny, wide = run().stdout.split("\n\n")
    assert tiny.splitlines() == [
        "tiny",
        "  instance, 32 x 32 px, 7,654,321 parameters, Apache-2.0",
        "  mask AP50 1.5",
        "  Training data: None: its answer is fixed.",
    ]
    assert wide.startswith("wide (not in this installation)\n  instance, 32 x 24 px")


def test_a_model_of_any_picture_size_says_so(run, add_card):
    add_card(task="semantic", input_size=[0, 0])
    assert "  semantic, any size, 12 parameters" in run().stdout


def test_no_models_are_an_empty_list(run):
    assert json.loads(run("--json").stdout) == []


def test_no_models_say_what_to_do(run):
    assert ".onnx" in run().stdout
