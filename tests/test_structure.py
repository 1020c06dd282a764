"""The shape of the package: who may import whom, what the runtime half does without, the flags."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import encompass
from encompass.run.source import EXAMPLE

ROOT = Path(encompass.__file__).parent
HEAVY = {"torch", "lightning", "onnx", "faster_coco_eval", "matplotlib"}

# What each part may import beside itself.
BASE = {"errors", "schema"}
SHARED = BASE | {"geometry", "pictures", "files", "environment"}
NETWORKS = SHARED | {"data", "models", "losses"}
WORK = NETWORKS | {"train", "evaluate", "export"}
MAY_IMPORT = {
    "errors": set(),
    "schema": set(),
    "geometry": BASE,
    "pictures": BASE,
    "files": BASE,
    "environment": BASE,
    "data": SHARED,
    "models": SHARED,
    "losses": SHARED,
    "train": NETWORKS,
    "evaluate": NETWORKS,
    "export": NETWORKS,
    "studies": WORK | {"run"},
    "run": SHARED,
    "cli": WORK | {"studies", "run"},
}
TORCH_FREE = SHARED | {"run"}

# Every flag is a promise: to add, rename or drop one, do it here too.
FLAGS = {
    "predict": {"--model", "--score", "--tiles", "--out", "--threads", "--json"},
    "models": {"--json"},
    "doctor": {"--json"},
    "benchmark": {
        "--model",
        "--threads",
        "--runs",
        "--data",
        "--split",
        "--images",
        "--pictures",
        "--stages",
        "--json",
    },
    "profile": {"--people", "--size", "--padded", "--runs", "--threads", "--json"},
    "evaluate": {
        "--tiles",
        "--data",
        "--split",
        "--images",
        "--out",
        "--plots",
        "--quality",
        "--json",
        "--threads",
    },
    "data person-crops": {"--out", "--size", "--background", "--split", "--images"},
    "data persons": {"--val", "--out", "--json"},
    "data shapes": {
        "--branches",
        "--model",
        "--classes",
        "--coverage",
        "--budget-ms",
        "--out",
        "--json",
    },
    "export": {
        "--format",
        "--precision",
        "--size",
        "--batch",
        "--out",
        "--scores",
        "--licence",
        "--pictures",
        "--calibration",
        "--data",
        "--split",
        "--force",
    },
    "reproduce": {
        "--table",
        "--figure",
        "--all",
        "--quick",
        "--data",
        "--weights",
        "--recipe",
        "--out",
        "--results",
    },
    "train": {
        "--data",
        "--split",
        "--images",
        "--classes",
        "--val",
        "--val-split",
        "--weights",
        "--out",
        "--stage",
        "--recipe",
        "--set",
        "--licence",
        "--threads",
        "--device",
    },
}


def modules():
    return [
        pytest.param(path, id=str(path.relative_to(ROOT))) for path in sorted(ROOT.rglob("*.py"))
    ]


def part_of(path):
    """The part's name: run for run/draw.py, errors for errors.py; empty for the package itself."""
    first = path.relative_to(ROOT).parts[0].removesuffix(".py")
    return {"__init__": "", "__main__": "cli"}.get(first, first)


def imported(nodes):
    """The dotted names that these statements import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            if node.module == "encompass":
                yield from (f"encompass.{alias.name}" for alias in node.names)
            else:
                yield node.module


def is_part_of_a_verb(path):
    """A module like cli/_train_semantic.py, which its verb imports once it is called."""
    return part_of(path) == "cli" and path.stem.startswith("_") and not path.stem.startswith("__")


def parts_imported(tree):
    names = [name.split(".") for name in imported(ast.walk(tree))]
    found = {name[1] for name in names if name[0] == "encompass" and len(name) > 1}
    return found - {"__version__"}


@pytest.mark.parametrize("path", modules())
def test_imports_point_to_the_left(path):
    part = part_of(path)
    if part == "":  # the public names, which are found in the runtime half
        return
    extra = parts_imported(ast.parse(path.read_text())) - MAY_IMPORT[part] - {part}
    assert not extra, f"{part} may not import {extra}"


@pytest.mark.parametrize("path", modules())
def test_the_runtime_half_imports_nothing_heavy(path):
    part = part_of(path)
    tree = ast.parse(path.read_text())
    if is_part_of_a_verb(path):
        return
    if part == "cli":  # a verb may, once it is called
        statements = tree.body
        assert not {name for name in imported(statements) if name.startswith("encompass.cli._")}
    elif part in TORCH_FREE | {""}:
        statements = ast.walk(tree)
    else:
        return
    assert not {name.split(".")[0] for name in imported(statements)} & HEAVY


def test_every_part_has_its_place():
    assert {part_of(path) for path in ROOT.rglob("*.py")} <= MAY_IMPORT.keys() | {""}


def without_heavy(*arguments):
    """The command in a process where nothing heavy can be imported, nor what videos need."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({sorted(HEAVY | {'av'})})); "
        f"sys.argv = ['encompass', *{list(map(str, arguments))}]; "
        "import encompass; from encompass.cli import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["models"],
        ["models", "--json"],
        ["doctor", "--json"],
        ["predict", "--help"],
        ["benchmark", "--help"],
        ["data", "--help"],
    ],
)
def test_the_runtime_half_starts_without_the_training_half(arguments):
    done = without_heavy(*arguments)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_picture_is_predicted_without_the_training_half(model_file, photo_file, tmp_path):
    done = without_heavy("predict", photo_file, "--model", model_file, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / "photo.jpg").is_file()


def test_pixels_are_labelled_without_the_training_half(semantic_file, photo_file, tmp_path):
    done = without_heavy("predict", photo_file, "--model", semantic_file, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / "labels" / "photo.png").is_file()


def test_models_are_compared_without_the_training_half_and_scored_only_with_it(model_file):
    compare = ["benchmark", "--model", model_file, "--runs", "1"]
    done = without_heavy(*compare)
    assert (done.returncode, done.stderr) == (0, "")
    done = without_heavy(*compare, "--data", "annotations.json")
    assert done.returncode == 2
    assert "--data: scoring needs " in done.stderr
    assert "install the extra 'train'" in done.stderr


# What a start may import beside Python's own library. Each name costs every user of the command.
BUDGET = {
    "": {"encompass"},  # import encompass
    "--help": {"encompass", "click"},
    "predict --help": {"encompass", "click"},
    "predict PHOTO --out OUT": {"encompass", "click", "numpy", "onnxruntime", "PIL", "rich"},
}
SPARED = {"PIL.PdfImagePlugin"}  # as all of Pillow's kinds but those that are read


@pytest.mark.parametrize("arguments", BUDGET)
def test_a_start_imports_no_more_than_it_needs(arguments, tmp_path):
    places = {"PHOTO": EXAMPLE, "OUT": tmp_path / "out"}
    argv = ["encompass", *(str(places.get(word, word)) for word in arguments.split())]
    code = (
        f"import sys; before = set(sys.modules); sys.argv = {argv}\n"
        "import encompass\n"
        "if sys.argv[1:]:\n"
        "    from encompass.cli import cli\n"
        "    cli.main(standalone_mode=False)\n"
        f"open({str(tmp_path / 'modules')!r}, 'w').write(' '.join(set(sys.modules) - before))"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    modules = set((tmp_path / "modules").read_text().split())
    assert not modules & SPARED
    assert {name.split(".")[0] for name in modules} - sys.stdlib_module_names <= BUDGET[arguments]


def commands():
    """Every command by what a user types, those of a group one by one."""
    for path in (ROOT / "cli").glob("*.py"):
        if not path.stem.startswith("_"):  # __init__, and the parts of a verb
            command = importlib.import_module(f"encompass.cli.{path.stem}").command
            below = getattr(command, "commands", {"": command})
            yield from ((f"{path.stem} {name}".strip(), each) for name, each in below.items())


def test_flags_are_frozen():
    flags = {
        name: {o for p in command.params if p.param_type_name == "option" for o in p.opts}
        for name, command in commands()
    }
    assert flags == FLAGS


def test_every_size_is_given_height_first():
    sizes = {name: p for name, each in commands() for p in each.params if "--size" in p.opts}
    assert sizes.keys() == {"data person-crops", "export", "profile"}
    assert {option.metavar for option in sizes.values()} == {"HEIGHTxWIDTH"}
