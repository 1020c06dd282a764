import os

import numpy as np
import pytest
from PIL import Image

from encompass.errors import ImageError, UsageError
from encompass.run.source import as_picture, expand_sources


@pytest.fixture
def folder(tmp_path):
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden", "c.webp"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "d.png").mkdir()
    (tmp_path / "d.png" / "deep.png").write_bytes(b"")
    return tmp_path


def names(paths):
    return [path.name for path in paths]


def test_a_folder_gives_its_own_pictures_sorted(folder):
    assert names(expand_sources([folder])) == ["a.png", "b.JPG", "c.webp"]


def test_a_glob_gives_the_pictures_it_matches(folder):
    assert names(expand_sources([f"{folder}/*"])) == ["a.png", "b.JPG", "c.webp"]
    assert names(expand_sources([f"{folder}/[ab].*"])) == ["a.png", "b.JPG"]
    assert names(expand_sources([f"{folder}/**/deep.png"])) == ["deep.png"]


def test_a_plain_path_is_kept_whatever_it_is(folder):
    paths = [folder / "notes.txt", folder / "missing.jpg"]
    assert expand_sources(paths) == paths


def test_a_name_that_no_file_can_have_is_kept_and_reading_it_is_refused(tmp_path):
    long = tmp_path / ("x" * 300)
    assert expand_sources([long]) == [long]
    with pytest.raises(ImageError, match=r"x{300}: cannot be opened"):
        as_picture(long)


def test_a_file_whose_name_looks_like_a_glob_is_that_file(folder):
    odd = folder / "a[1].png"
    odd.write_bytes(b"")
    assert expand_sources([str(odd)]) == [odd]


def test_order_is_kept_and_each_file_comes_once(folder):
    given = [folder / "c.webp", folder, str(folder / "a.png")]
    assert names(expand_sources(given)) == ["c.webp", "a.png", "b.JPG"]


@pytest.mark.parametrize("pattern", ["*.mp4", "*.txt", "[x-z]*"])
def test_a_glob_without_pictures_is_refused(folder, pattern):
    with pytest.raises(UsageError, match=r"no picture found.*\.jpg"):
        expand_sources([folder / "a.png", f"{folder}/{pattern}"])


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no picture found"):
        expand_sources([tmp_path])


def test_a_file_is_read_as_its_pixels(photo, photo_file):
    assert (as_picture(photo_file) == photo).all()
    assert (as_picture(str(photo_file)) == photo).all()


def test_a_bad_file_is_an_image_error_that_names_it(tmp_path):
    path = tmp_path / "page.jpg"
    path.write_text("<html>")
    with pytest.raises(ImageError, match=r"page\.jpg"):
        as_picture(path)


def test_a_colour_array_is_taken_as_it_is(photo):
    assert as_picture(photo) is photo


def test_a_turned_array_becomes_contiguous(photo):
    turned = as_picture(photo[::-1, :, ::-1])
    assert turned.flags.c_contiguous
    assert (turned == photo[::-1, :, ::-1]).all()


def test_a_grey_array_has_three_equal_channels(photo):
    grey = as_picture(photo[..., 0])
    assert grey.shape == photo.shape
    assert (grey == photo[..., :1]).all()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 5, 3), np.float32),
        np.zeros((4, 5, 3), np.uint16),
        np.zeros((4, 5, 4), np.uint8),
        np.zeros((4, 5, 1), np.uint8),
        np.zeros((1, 4, 5, 3), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((4, 0), np.uint8),
    ],
)
def test_other_arrays_are_refused_with_their_shape_and_type(array):
    with pytest.raises(UsageError, match="uint8") as caught:
        as_picture(array)
    assert str(array.shape) in str(caught.value)


@pytest.mark.parametrize("thing", [None, 3, [[1, 2]], b"abc"])
def test_other_things_are_refused_by_their_type(thing):
    with pytest.raises(UsageError, match=type(thing).__name__):
        as_picture(thing)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "RGBX"])
def test_a_pillow_image_is_its_pixels_without_alpha(photo, mode):
    assert (as_picture(Image.fromarray(photo).convert(mode)) == photo).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P"])
def test_a_grey_or_palette_pillow_image_is_as_pillow_shows_it(photo, mode):
    image = Image.fromarray(photo[..., 0]).convert(mode)
    assert (as_picture(image) == np.asarray(image.convert("RGB"))).all()


def test_a_palette_with_transparency_keeps_its_colours():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.info["transparency"] = b"\x00\xff"
    assert as_picture(image).tolist() == [[[10, 20, 30], [40, 50, 60]]]


def test_a_pillow_image_is_turned_once_by_its_orientation(photo, tmp_path):
    path = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned a quarter clockwise
    Image.fromarray(photo).save(path, exif=exif)
    shown = np.rot90(photo, -1)
    with Image.open(path) as image:
        assert (as_picture(image) == shown).all()
    assert (as_picture(path) == shown).all()


@pytest.mark.parametrize("mode", ["I", "F", "I;16", "HSV", "LAB"])
def test_a_pillow_image_without_defined_colours_is_refused(mode):
    with pytest.raises(UsageError, match=f"'{mode}'"):
        as_picture(Image.new(mode, (4, 4)))


def test_a_pillow_image_of_a_broken_file_is_refused(photo, tmp_path):
    path = tmp_path / "cut.jpg"
    Image.fromarray(photo).save(path)
    os.truncate(path, path.stat().st_size - 40)
    with Image.open(path) as image, pytest.raises(UsageError, match="truncated"):
        as_picture(image)


def test_hidden_files_of_a_folder_are_left_out(tmp_path):
    for name in ("a.jpg", "._a.jpg", ".hidden.png"):
        (tmp_path / name).touch()
    assert expand_sources([tmp_path]) == [tmp_path / "a.jpg"]
