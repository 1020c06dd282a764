import hashlib
from importlib import metadata

import pytest

import encompass.run.installation as installation
from encompass.errors import ModelError
from encompass.run.catalogue import DEFAULT_MODEL
from encompass.run.installation import (
    bundle_states,
    describe_installation,
    folder_bytes,
    package_bytes,
    requirements,
    runtime_sizes,
    unmet,
)


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Packages of our own making: `add` puts one where Python looks first."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def add(name, *, version="1.0", needs=(), extras=(), files=()):
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = [
            f"Name: {name}",
            f"Version: {version}",
            *(f"Provides-Extra: {extra}" for extra in extras),
            *(f"Requires-Dist: {need}" for need in needs),
        ]
        (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]))
        for path, size in dict(files).items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_bytes(b"x" * size)
        if files:
            (info / "RECORD").write_text("".join(f"{path},,\n" for path in dict(files)))

    return add


def test_sizes_are_those_of_all_that_is_needed_without_extras(environment, tmp_path, monkeypatch):
    folder = tmp_path / "package"
    (folder / "bundle").mkdir(parents=True)
    (folder / "a.py").write_bytes(b"12")
    (folder / "bundle" / "b.onnx").write_bytes(b"12345")
    monkeypatch.setattr(installation, "_FOLDER", folder)
    environment(
        "encompass",
        needs=["First_One>=0.5", "toy ; extra == 'more'", "ghost ; python_version < '3'"],
        extras=["more"],
    )
    environment("first-one", needs=["second"], files={"first_one/a": 100, "first_one/b": 11})
    environment("second", needs=["First.One"], files={"second.py": 20, "../bin/second": 3})
    environment("toy", files={"toy.py": 1000})
    environment("ghost", files={"ghost.py": 1000})
    assert folder_bytes(folder) == 7
    assert package_bytes("second") == 23
    assert list(runtime_sizes().items()) == [("first-one", 111), ("second", 23), ("encompass", 7)]


def test_a_package_without_a_list_of_files_has_no_size(environment):
    environment("listless")
    assert package_bytes("listless") is None
    assert package_bytes("not-installed-anywhere") is None


def test_unmet_are_the_missing_and_those_of_another_version(environment):
    environment(
        "encompass",
        needs=["here>=1.5", "old-one>=2", "gone-with-the-wind<3", "extra-one;extra=='more'"],
        extras=["more", "dev"],
    )
    environment("here", version="1.5")
    environment("old-one", version="1.9")
    found = unmet(requirements("encompass"))
    assert found == ["old-one>=2", "gone-with-the-wind<3"]
    assert unmet(requirements("encompass", extra="more")) == ["extra-one"]
    assert describe_installation().extras == {"more": ["extra-one"]}


def test_a_package_that_is_not_installed_needs_nothing_known():
    assert requirements("not-installed-anywhere") == []


def test_this_environment_is_described():
    found = describe_installation()
    assert found.runtimes["onnxruntime"] == metadata.version("onnxruntime")
    assert set(found.runtimes) == {"onnxruntime", "openvino", "ai-edge-litert", "torch"}
    assert {"encompass", "numpy", "onnxruntime", "pillow", "click", "rich"} <= set(found.sizes_mb)
    assert "torch" not in found.sizes_mb
    assert "dev" not in found.extras


def test_a_bundled_file_is_intact_damaged_or_missing(bundle, add_card):
    right = hashlib.sha256(b"right").hexdigest()
    for name in ("whole", "wrong", "none"):
        add_card(name, sha256=right, size_bytes=5)
    (bundle / "whole.onnx").write_bytes(b"right")
    (bundle / "wrong.onnx").write_bytes(b"wrong")
    assert bundle_states() == {"none": "missing", "whole": "intact", "wrong": "damaged"}


def test_a_card_that_cannot_be_read_is_a_model_error(bundle):
    (bundle / "odd.json").write_text("{}")
    with pytest.raises(ModelError, match=r"odd\.json"):
        bundle_states()


def test_what_is_bundled_here_is_intact():
    assert DEFAULT_MODEL in bundle_states()
    assert set(bundle_states().values()) == {"intact"}
