import json
import os
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from pycocotools import mask as coco
from pycocotools.coco import COCO

from encompass.cli import main
from encompass.cli._predict_names import file_names, image_ids, mask_paths, overlay_paths
from encompass.cli.predict import command
from encompass.errors import ModelError, UsageError
from encompass.pictures import read_ids


def paths(*names):
    return [Path(name) for name in names]


@pytest.fixture
def run(model_file, tmp_path, monkeypatch):
    """Runs the verb in a folder of its own; the model's answer is fixed."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run(*arguments):
        given = [str(argument) for argument in arguments]
        return CliRunner().invoke(
            command, ["--model", str(model_file), *given], catch_exceptions=False
        )

    return run


@pytest.fixture
def save(photo):
    def save(*names):
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(photo).save(name)

    return save


def test_predictions_are_coco_results(run, photo_file):
    assert run(photo_file).exit_code == 0
    first, second = json.loads(Path("out/predictions.json").read_text())
    assert set(first) == {
        "image_id",
        "category_id",
        "bbox",
        "score",
        "segmentation",
        "file_name",
    }
    assert (first["image_id"], first["file_name"]) == (1, "photo.png")
    assert (first["bbox"], second["bbox"]) == ([10, 10, 20, 20], [40, 5, 10, 10])
    assert coco.area(first["segmentation"]) == 200


def test_pycocotools_loads_the_predictions(run, save):
    save("in/000000000139.png")
    run("in")
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": 139, "width": 60, "height": 40}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [],
    }
    truth.createIndex()
    loaded = truth.loadRes("out/predictions.json")
    assert [found["area"] for found in loaded.loadAnns(loaded.getAnnIds(139))] == [400, 100]


def test_the_table_has_every_object_its_times_and_its_overlay(run, photo_file):
    printed = run(photo_file).stdout
    for text in ("person", "0.90", "10 10 30 30", "200", "0.60", "read", "network", "mask decode"):
        assert text in printed
    assert os.path.join("out", "photo.jpg") in printed


def test_every_picture_has_an_overlay(run, save):
    save("in/a.png", "in/b.jpg")
    assert run("in", "--out", "there/deep").exit_code == 0
    found = sorted(path.name for path in Path("there/deep").iterdir())
    assert found == ["a.jpg", "b.jpg", "predictions.json"]
    with Image.open("there/deep/a.jpg") as overlay:
        assert overlay.size == (60, 40)


def test_json_is_one_document_with_files_detections_speed_and_errors(run, photo_file):
    result = run(photo_file, "--json")
    document = json.loads(result.stdout)
    assert result.stderr == ""
    assert (document["model"], document["errors"]) == ("tiny", [])
    (file,) = document["files"]
    assert (file["file"], file["image_id"]) == (str(photo_file), 1)
    assert (file["height"], file["width"]) == (40, 60)
    assert set(file["speed"]) == {"read", "pre", "network", "mask decode"}
    assert file["detections"][0] == {
        "label": "person",
        "score": 0.9,
        "box_xyxy": [10, 10, 30, 30],
        "mask_area": 200,
    }
    assert Path(file["overlay"]).is_file()
    assert Path(document["predictions"]).is_file()


@pytest.mark.parametrize(("score", "count"), [("0.5", 2), ("0.7", 1), ("0.95", 0)])
def test_score_leaves_out_the_rest(run, photo_file, score, count):
    result = run(photo_file, "--score", score)
    assert len(json.loads(Path("out/predictions.json").read_text())) == count
    assert ("nothing of score" in result.stdout) == (count == 0)


def test_tiles_look_more_often(run, photo_file):
    plain, tiled = (
        json.loads(run(photo_file, "--json", *more).stdout)["files"][0]
        for more in ((), ("--tiles", "1x2"))
    )
    # The model of the tests says the same of whatever it is shown: three looks, in three places.
    assert len(tiled["detections"]) >= len(plain["detections"])
    assert tiled["speed"].keys() == plain["speed"].keys()
    with pytest.raises(UsageError, match="--tiles 2: write ROWSxCOLUMNS"):
        run(photo_file, "--tiles", "2")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_bad_picture_is_reported_and_the_rest_is_done(run, save, as_json):
    save("in/a.png", "in/c.png")
    Path("in/b.jpg").write_bytes(b"")
    result = run("in", "missing.jpg", *["--json"] * as_json)
    assert result.exit_code == 3
    assert "Error: in/b.jpg: is empty" in result.stderr
    assert "Error: missing.jpg: no such file" in result.stderr
    assert {p.name for p in Path("out").glob("*.jpg")} == {"a.jpg", "c.jpg"}
    predictions = json.loads(Path("out/predictions.json").read_text())
    assert [(p["image_id"], p["file_name"]) for p in predictions[::2]] == [
        (1, "in/a.png"),
        (3, "in/c.png"),
    ]
    if as_json:
        errors = json.loads(result.stdout)["errors"]
        assert [error["file"] for error in errors] == ["in/b.jpg", "missing.jpg"]


def fail_on_the_first(monkeypatch, error):
    """Lets the model raise on its first picture."""
    from encompass.run.predictor import InstanceModel

    found, calls = InstanceModel.__call__, count()

    def call(model, image, score, **more):
        if next(calls) == 0:
            raise error
        return found(model, image, score, **more)

    monkeypatch.setattr(InstanceModel, "__call__", call)


@pytest.mark.parametrize(("broken", "code"), [(False, 1), (True, 3)])
def test_a_model_that_fails_on_one_picture_does_the_rest(run, save, monkeypatch, broken, code):
    save("in/a.png", "in/b.png", "in/c.png")
    if broken:
        Path("in/c.png").write_bytes(b"")
    fail_on_the_first(monkeypatch, ModelError("tiny.onnx: does not run on a picture (why)."))
    done = ["in/b.png"] if broken else ["in/b.png", "in/c.png"]
    result = run("in", "--json")
    assert result.exit_code == code
    document = json.loads(result.stdout)
    assert [file["file"] for file in document["files"]] == done
    assert document["errors"][0] == {
        "file": "in/a.png",
        "message": "tiny.onnx: does not run on a picture (why).",
    }
    assert "Error: in/a.png: tiny.onnx: does not run" in result.stderr
    predictions = json.loads(Path("out/predictions.json").read_text())
    assert [f"in/{p['file_name']}" for p in predictions[::2]] == done


def test_an_overlay_that_cannot_be_written_stops_nothing_else(run, save):
    save("in/a.png", "in/b.png")
    Path("out/a.jpg").mkdir(parents=True)
    result = run("in")
    assert result.exit_code == 1
    assert "a.jpg: cannot be written" in result.stderr
    assert Path("out/b.jpg").is_file()
    predictions = json.loads(Path("out/predictions.json").read_text())
    assert {p["file_name"] for p in predictions} == {"b.png"}


def test_a_picture_too_long_for_jpeg_has_its_overlay_as_png(run):
    for folder in ("x", "y"):
        Path(folder).mkdir()
        Image.new("RGB", (65_501, 2)).save(f"{folder}/long.png")
    result = run("x", "y", "--json", "--out", "x")
    assert result.exit_code == 0
    overlays = [file["overlay"] for file in json.loads(result.stdout)["files"]]
    assert [Path(overlay).as_posix() for overlay in overlays] == ["x/long-2.png", "x/long-3.png"]
    for overlay in overlays:
        with Image.open(overlay) as picture:
            assert (picture.format, picture.size) == ("PNG", (65_501, 2))


def test_where_no_picture_could_be_read_an_earlier_list_stays(run, photo_file):
    failed = run("missing.jpg", "--json")
    assert failed.exit_code == 3
    assert json.loads(failed.stdout)["predictions"] is None
    assert not Path("out/predictions.json").exists()
    run(photo_file)
    before = Path("out/predictions.json").read_bytes()
    assert "0 of 1 pictures: nothing written" in run("missing.jpg").stdout
    assert Path("out/predictions.json").read_bytes() == before


def test_threads_are_as_asked_for(run, photo_file, monkeypatch):
    from encompass.run import predictor

    asked, load = [], predictor.load

    def noted(name, *, threads):
        asked.append(threads)
        return load(name, threads=threads)

    monkeypatch.setattr(predictor, "load", noted)
    assert run(photo_file, "--threads", "1").exit_code == 0
    assert run(photo_file).exit_code == 0
    assert asked == [1, None]


def test_pictures_of_one_stem_do_not_hide_each_other(run, save):
    save("x/a.jpg", "x/a.png", "y/a.jpg")
    document = json.loads(run("x", "y", "--json").stdout)
    overlays = [file["overlay"] for file in document["files"]]
    assert len(set(overlays)) == 3
    assert all(Path(overlay).is_file() for overlay in overlays)


def test_a_picture_given_is_never_overwritten(run, save):
    save("a.jpg")
    before = Path("a.jpg").read_bytes()
    assert run("a.jpg", "--out", ".").exit_code == 0
    assert Path("a.jpg").read_bytes() == before
    assert Path("a-2.jpg").is_file()


def test_running_again_gives_the_same_files(run, save):
    save("in/a.png")
    run("in")
    run("in")
    assert sorted(p.name for p in Path("out").iterdir()) == ["a.jpg", "predictions.json"]


def test_output_of_one_file_name_is_numbered_apart():
    chosen = overlay_paths(paths("x/a.jpg", "y/A.png", "a-2.png", "b.png"), Path("out"))
    assert [path.name for path in chosen] == ["a.jpg", "A-2.jpg", "a-2-2.jpg", "b.jpg"]


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (("000000000139.jpg", "7.png"), [139, 7]),
        (("a.jpg", "b.jpg"), [1, 2]),
        (("2.jpg", "x.jpg", "y.jpg"), [2, 3, 4]),  # 2 is taken, then 3
        (("a/5.jpg", "b/5.jpg"), [5, 2]),
        (("0.jpg", "-1.jpg", "\u0665.jpg"), [0, 2, 3]),
    ],
)
def test_image_ids_by_hand(names, ids):
    assert image_ids(paths(*names)) == ids


def test_file_names_start_at_the_folder_of_all():
    assert file_names(paths("in/a.jpg", "in/b.jpg")) == ["a.jpg", "b.jpg"]
    assert file_names(paths("in/x/a.jpg", "in/y/a.jpg")) == ["x/a.jpg", "y/a.jpg"]
    assert file_names([Path("a.jpg").absolute(), Path("in/b.jpg")]) == ["a.jpg", "in/b.jpg"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["predict"], 2, "Missing argument"),
        (["predict", "a.png", "--score", "2"], 2, "--score"),
        (["predict", "a.png", "--score", "nan"], 2, "between 0 and 1"),
        (["predict", "a.png", "--out", "a.png"], 2, "is a file"),
        (["predict", "a.png", "--out", "a.png/deep"], 2, "cannot be made a folder"),
        (["predict", "*.mp4"], 2, "no picture found"),
        (["predict", "a.png", "--model", "unknown"], 2, "No model is called 'unknown'"),
        (["predict", "a.png", "--model", "gone.onnx"], 1, "gone.onnx: no such file"),
        (["predict", "a.png", "--model", "./a.png"], 1, "a.png: no runtime opens this"),
        (["predict", "gone.png"], 3, "gone.png: no such file"),
        (["predict", "x" * 300], 3, f"{'x' * 300}: cannot be opened"),
        (["predict", "x" * 300 + "*"], 2, "no picture found"),
        (["predict", "a.png", "--model", "x" * 300 + ".onnx"], 1, "no such file"),
        (["predict", "a.png"], 0, ""),
        (["predict", "--help"], 0, ""),
    ],
)
@pytest.mark.usefixtures("run")
def test_exit_codes_and_messages(arguments, code, message, save, model_file, monkeypatch, capsys):
    save("a.png")
    if "--model" not in arguments:
        arguments = [*arguments, "--model", str(model_file)]
    monkeypatch.setattr("sys.argv", ["encompass", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    printed = capsys.readouterr().err
    assert (stopped.value.code or 0) == code
    assert message in printed
    assert "Traceback" not in printed


@pytest.fixture
def run_semantic(semantic_file, tmp_path, monkeypatch):
    """Runs the verb with a semantic model, whose answer is fixed, in a folder of its own."""
    folder = tmp_path / "there"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run(*arguments):
        given = ["--model", str(semantic_file), *(str(argument) for argument in arguments)]
        return CliRunner().invoke(command, given)

    return run


AREAS = {"ground": 1280, "person": 1120, "sky": 0}


def test_a_semantic_model_gives_overlay_labels_and_areas(run_semantic, photo_file):
    assert run_semantic(photo_file).exit_code == 0
    (found,) = json.loads(Path("out/predictions.json").read_text())
    assert found == {
        "image_id": 1,
        "file_name": "photo.png",
        "labels": os.path.join("out", "labels", "photo.png"),
        "areas": AREAS,
    }
    labels = read_ids(found["labels"])
    assert [int((labels == label).sum()) for label in range(3)] == list(AREAS.values())
    with Image.open("out/photo.jpg") as overlay:
        assert overlay.size == (60, 40)


def test_the_table_of_a_semantic_model_has_its_classes_the_largest_first(run_semantic, photo_file):
    printed = run_semantic(photo_file).stdout
    for text in ("1,280", "53.3%", "1,120", "46.7%", "network", "label decode"):
        assert text in printed
    assert printed.index("ground") < printed.index("person")
    assert "sky" not in printed


def test_json_of_a_semantic_model_has_areas_in_place_of_detections(run_semantic, photo_file):
    document = json.loads(run_semantic(photo_file, "--json").stdout)
    assert (document["model"], document["score"]) == ("tiny-labels", None)
    (file,) = document["files"]
    assert file["areas"] == AREAS
    assert Path(file["labels"]).is_file()
    assert Path(file["overlay"]).is_file()
    assert "detections" not in file


def test_a_semantic_model_takes_no_score(run_semantic, photo_file):
    done = run_semantic(photo_file, "--score", "0.5")
    assert isinstance(done.exception, UsageError)
    assert "--score" in str(done.exception)
    assert not Path("out").exists()


def test_a_semantic_model_takes_no_tiles(run_semantic, photo_file):
    done = run_semantic(photo_file, "--tiles", "2x2")
    assert isinstance(done.exception, UsageError)
    assert "--tiles" in str(done.exception)


def test_labels_of_one_file_name_are_numbered_apart_and_replace_no_picture():
    given = paths("x/a.jpg", "y/a.png", "out/labels/b.png")
    chosen = mask_paths(given, Path("out"))
    assert [path.as_posix() for path in chosen] == [
        "out/labels/a.png",
        "out/labels/a-2.png",
        "out/labels/b-2.png",
    ]
