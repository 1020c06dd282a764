from pathlib import Path

import pytest

from encompass.errors import ModelError, UsageError
from encompass.run.catalogue import entries, find_model


def test_an_empty_bundle_has_no_models(bundle):
    assert entries() == {}


def test_a_missing_bundle_has_no_models(bundle):
    bundle.rmdir()
    assert entries() == {}


def test_entries_are_sorted_and_hold_the_card(bundle, add_card):
    add_card("two")
    add_card("one-0.75", parameters=7)
    found = entries()
    assert list(found) == ["one-0.75", "two"]
    entry = found["one-0.75"]
    assert (entry.card.name, entry.card.parameters) == ("one-0.75", 7)
    assert entry.card.input_size == (32, 32)
    assert entry.path == bundle / "one-0.75.onnx"
    assert (entry.sha256, entry.size_bytes) == ("0" * 64, 1)


def test_a_model_is_bundled_when_its_file_is_there(bundle, add_card):
    add_card()
    assert not entries()["tiny"].bundled
    (bundle / "tiny.onnx").write_bytes(b"")
    assert entries()["tiny"].bundled


@pytest.mark.parametrize("text", ["", "[]", "3", "{}", '{"name": "x"}'])
def test_a_broken_card_is_a_model_error_that_names_it(bundle, text):
    (bundle / "odd.json").write_text(text)
    with pytest.raises(ModelError, match=r"odd\.json: is not a model card"):
        entries()


def test_a_name_is_found(bundle, add_card):
    add_card()
    (bundle / "tiny.onnx").write_bytes(b"")
    assert find_model("tiny") == bundle / "tiny.onnx"


def test_a_card_without_its_file_says_how_to_get_it(bundle, add_card):
    add_card()
    with pytest.raises(ModelError, match="encompass export"):
        find_model("tiny")


def test_an_unknown_name_gives_the_nearest_and_all(bundle, add_card):
    add_card("multi-shape-mn0.75")
    add_card("other")
    with pytest.raises(UsageError) as caught:
        find_model("multi-shape-mn0.7")
    assert "Did you mean 'multi-shape-mn0.75'?" in str(caught.value)
    assert "Known: multi-shape-mn0.75, other" in str(caught.value)


@pytest.mark.usefixtures("bundle")
def test_an_unknown_name_beside_an_empty_bundle_says_so():
    with pytest.raises(UsageError, match=r"none is bundled.*\.onnx"):
        find_model("multi-shape-mn0.75")


def test_a_path_is_found(tmp_path):
    path = tmp_path / "any.bin"
    path.write_bytes(b"")
    assert find_model(path) == path
    assert find_model(str(path)) == path


def test_a_file_in_this_folder_is_found_by_its_suffix(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.onnx").write_bytes(b"")
    assert find_model("mine.onnx") == Path("mine.onnx")


@pytest.mark.usefixtures("bundle")
@pytest.mark.parametrize("kind", [str, Path])
def test_a_missing_file_is_a_model_error_that_names_it(tmp_path, kind):
    with pytest.raises(ModelError, match=r"gone\.onnx: no such file"):
        find_model(kind(tmp_path / "gone.onnx"))


def test_a_folder_is_a_model_error(tmp_path):
    with pytest.raises(ModelError, match="is a folder"):
        find_model(tmp_path)
