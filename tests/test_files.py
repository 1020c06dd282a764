import json
import threading

import pytest

from encompass.errors import EncompassError, UsageError
from encompass.files import new_folder, replacing, sha256, write_json


def test_a_file_is_replaced_only_once_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_plain_data_is_read_back_and_refused_data_leaves_what_was_there(tmp_path):
    path = tmp_path / "new" / "a.json"
    write_json(path, {"a": [1.5, None, "é"]})
    assert json.loads(path.read_bytes()) == {"a": [1.5, None, "é"]}
    with pytest.raises(TypeError):
        write_json(path, {"a": {1, 2}})
    assert json.loads(path.read_bytes()) == {"a": [1.5, None, "é"]}


def test_a_fault_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write(b"ne")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_writers_at_once_leave_one_whole_file(tmp_path):
    path = tmp_path / "a.txt"

    def write(letter):
        with replacing(path) as file:
            file.write(letter * 10_000)

    writers = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(set(path.read_bytes())) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_the_folder_is_made(tmp_path):
    path = tmp_path / "new" / "deep" / "a.txt"
    with replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("place", ["file", "file/deep", "x" * 300])
def test_a_folder_that_cannot_be_made_is_an_error_that_names_the_file(tmp_path, place):
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(EncompassError, match=r"a\.txt: cannot be written"),
        replacing(tmp_path / place / "a.txt"),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_name_that_no_file_can_have_is_an_error_that_names_it(tmp_path):
    with (
        pytest.raises(EncompassError, match=r"x{300}: cannot be written"),
        replacing(tmp_path / ("x" * 300)),
    ):
        pass


def test_the_hash_of_a_file_is_sha256(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256(path).startswith("ba7816bf8f01cfea414140de5dae2223b00361a3")


def test_a_folder_appears_whole(tmp_path):
    path = tmp_path / "made" / "out"
    with new_folder(path) as folder:
        (folder / "a").write_text("1")
        assert not path.exists()
    assert (path / "a").read_text() == "1"
    assert list(path.parent.iterdir()) == [path]


def test_an_empty_folder_may_be_filled_and_a_full_one_not(tmp_path):
    path = tmp_path / "out"
    path.mkdir()
    with new_folder(path) as folder:
        (folder / "a").write_text("1")
    with pytest.raises(UsageError, match="out is there already"), new_folder(path):
        pass
    with pytest.raises(UsageError, match="a is there already"), new_folder(path / "a"):
        pass
    assert (path / "a").read_text() == "1"


def test_a_fault_leaves_no_folder(tmp_path):
    with pytest.raises(KeyError), new_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("1")
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with (
        pytest.raises(EncompassError, match="cannot be written"),
        new_folder(tmp_path / "file" / "out"),
    ):
        pass
