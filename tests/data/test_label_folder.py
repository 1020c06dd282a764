"""A user's own folder of pictures, masks and classes."""

import json

import numpy as np
import pytest
from PIL import Image

from encompass.data.label_folder import load_label_folder, read_classes
from encompass.data.labels import IGNORE, default_colours
from encompass.errors import AnnotationError, UsageError

TEXT = "background\ntraffic light #faaa1e\nignore\n  person   #DC143C\n"
ENTRIES = [
    "background",
    {"name": "traffic light", "colour": "#faaa1e"},
    {"name": "blur", "ignore": True},
    {"name": "person", "colour": "#DC143C", "ignore": False},
]
MEANING = {0: 0, 1: 1, 2: IGNORE, 3: 2, 255: IGNORE}


@pytest.mark.parametrize(
    ("name", "content"), [("classes.txt", TEXT), ("classes.json", json.dumps(ENTRIES))]
)
def test_a_list_of_classes_in_either_form(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    table, meaning = read_classes(tmp_path / name)
    assert table.names == ("background", "traffic light", "person")
    assert table.colours == ((0, 0, 0), (250, 170, 30), (220, 20, 60))
    assert meaning == MEANING


def test_a_class_without_a_colour_gets_one(tmp_path):
    (tmp_path / "classes.txt").write_text("\ufeffa\nb\nc\n", encoding="utf-8")
    table, _ = read_classes(tmp_path / "classes.txt")
    assert (table.names, table.colours) == (("a", "b", "c"), default_colours(("a", "b", "c")))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("classes.txt", "", "has no class"),
        ("classes.txt", "ignore\n", "has no class"),
        ("classes.txt", "a\n\nb", "line 2 has no name"),
        ("classes.txt", "a\n #ffffff", "line 2 has no name"),
        ("classes.txt", "a\nb\na", "name 'a' occurs twice"),
        ("classes.txt", "\n".join(map(str, range(1, 258))), "has 257 entries"),
        ("classes.json", "[", "is not JSON"),
        ("classes.json", "[" * 100_000, "is not JSON"),
        ("classes.json", "{}", "is not a list"),
        ("classes.json", "[3]", "entry 0 is 3"),
        ("classes.json", '[{"name": "a", "color": "#000000"}]', "entry 0 is"),
        ("classes.json", '[{"colour": "#000000"}]', "name None is not a text"),
        ("classes.json", '["a", {"name": "b", "colour": "red"}]', "entry 1: colour 'red' is not"),
        ("classes.json", '[{"name": "a", "ignore": 1}]', "ignore 1 is not true or false"),
    ],
)
def test_a_broken_list_is_refused_by_its_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(AnnotationError, match=message):
        read_classes(tmp_path / name)


def test_a_list_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "classes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AnnotationError, match="cannot be read"):
        read_classes(tmp_path / "classes.txt")


@pytest.mark.parametrize("above", [False, True])
def test_a_folder_is_read_with_its_list_inside_or_one_above(tmp_path, above):
    root = tmp_path / "train"
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    (tmp_path / "classes.txt" if above else root / "classes.txt").write_text(TEXT)
    Image.new("RGB", (5, 1)).save(root / "images" / "a.jpg")
    Image.fromarray(np.asarray([[0, 1, 2, 3, 255]], np.uint8)).save(root / "masks" / "a.png")
    dataset = load_label_folder(root)
    assert dataset.samples[0].read_labels().tolist() == [[0, 1, IGNORE, 2, IGNORE]]
    assert dataset.sources == (root / "masks",)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"it needs images/, masks/ and classes\.txt or"):
        load_label_folder(tmp_path)
