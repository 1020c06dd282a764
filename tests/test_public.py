import dataclasses
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

import encompass
from encompass import errors
from encompass.pictures import read_picture

ROOT = Path(__file__).parents[1]

PUBLIC = {
    "AnnotationError",
    "BadData",
    "BoxMask",
    "Diverged",
    "EncompassError",
    "ImageError",
    "InstanceModel",
    "Instances",
    "LabelMap",
    "Model",
    "ModelCard",
    "ModelError",
    "ParityError",
    "Result",
    "SemanticModel",
    "UsageError",
    "VideoError",
    "__version__",
    "load",
    "stream",
}


def test_the_public_names_are_these_and_all_are_there():
    assert set(encompass.__all__) == set(dir(encompass)) == PUBLIC
    for name in PUBLIC:
        assert getattr(encompass, name) is not None


def test_public_names_are_the_things_themselves():
    from encompass.run.predictor import load

    assert encompass.load is load
    assert encompass.ImageError is errors.ImageError
    assert issubclass(encompass.Result, encompass.Instances)


def test_the_package_says_that_it_is_typed():
    assert (Path(encompass.__file__).parent / "py.typed").read_bytes() == b""


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'encompass' has no attribute 'train_all'"):
        encompass.train_all  # noqa: B018


def test_the_tree_of_errors_and_their_exit_codes():
    tree = {
        (kind.__name__, kind.__base__.__name__, kind.exit_code)
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.EncompassError)
    }
    assert tree == {
        ("EncompassError", "ValueError", 1),
        ("UsageError", "EncompassError", 2),
        ("BadData", "EncompassError", 3),
        ("ImageError", "BadData", 3),
        ("VideoError", "BadData", 3),
        ("AnnotationError", "BadData", 3),
        ("ModelError", "EncompassError", 1),
        ("ParityError", "EncompassError", 1),
        ("Diverged", "EncompassError", 1),
    }
    assert {name for name, _, _ in tree} <= PUBLIC


def test_bad_data_keeps_its_path_across_processes():
    error = pickle.loads(pickle.dumps(encompass.ImageError("a.jpg", "is empty")))
    assert (str(error), error.path, error.reason) == ("a.jpg: is empty", "a.jpg", "is empty")


def test_a_card_comes_back_from_its_metadata():
    card = encompass.ModelCard(
        name="a",
        task="instance",
        parameters=3,
        input_size=(4, 5),
        names=("person",),
        category_ids=(1,),
        licence="Apache-2.0",
        training_data="none",
        scores={"AP": 1.5},
        recipe={"steps": 3},
    )
    metadata = card.to_metadata()
    assert all(isinstance(value, str) for value in metadata.values())
    assert encompass.ModelCard.from_metadata(metadata | {"other": "x"}) == card
    coloured = dataclasses.replace(card, colours=((1, 2, 3),))
    assert encompass.ModelCard.from_metadata(coloured.to_metadata()) == coloured


def test_a_card_from_before_there_were_colours_has_none():
    card = encompass.ModelCard(
        name="a",
        task="instance",
        parameters=3,
        input_size=(4, 5),
        names=("person",),
        category_ids=(1,),
        licence="Apache-2.0",
        training_data="none",
    )
    metadata = card.to_metadata()
    del metadata["colours"]
    assert encompass.ModelCard.from_metadata(metadata) == card


def test_the_recipe_that_hides_people_hides_the_astronaut(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "privacy.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    photo = ROOT / "examples" / "astronaut.jpg"
    monkeypatch.chdir(tmp_path)
    shutil.copy(photo, "photo.jpg")
    exec(compile(code, "privacy.md", "exec"), {})
    before, after = (read_picture(Path(name)).astype(int) for name in ("photo.jpg", "hidden.jpg"))
    changed = np.abs(after - before).mean(axis=2)
    face, shuttle = (slice(80, 180), slice(180, 270)), (slice(0, 250), slice(390, 450))
    assert changed[face].mean() > 20
    assert changed[shuttle].mean() < 3  # JPEG once more
