"""The strict reader: one meaning for each kind of file, or a typed refusal that names it."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from encompass.errors import ImageError
from encompass.pictures import picture_size, read_ids, read_picture

HEIGHT, WIDTH = 24, 32


@pytest.fixture
def pixels():
    """A smooth picture without symmetry, so that every turn of it is another picture."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x * 7, y * 10, (x + y) * 4], axis=-1).astype(np.uint8)


def encode(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def write(path, content):
    path.write_bytes(content)
    return path


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("PPM", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_lossless_kinds_give_the_pixels_saved(tmp_path, pixels, kind, options):
    path = write(tmp_path / "picture", encode(Image.fromarray(pixels), kind, **options))
    read = read_picture(path)
    np.testing.assert_array_equal(read, pixels)
    assert read.dtype == np.uint8 and read.flags.c_contiguous and read.flags.writeable
    assert picture_size(path) == (HEIGHT, WIDTH)


@pytest.mark.parametrize(
    "options", [{"quality": 95}, {"quality": 95, "progressive": True}], ids=["baseline", "prog"]
)
def test_jpeg_is_near_the_pixels_saved_whatever_its_suffix(tmp_path, pixels, options):
    path = write(tmp_path / "picture.png", encode(Image.fromarray(pixels), "JPEG", **options))
    assert np.abs(read_picture(path).astype(int) - pixels).mean() < 4


# What a viewer shows for each EXIF orientation of a stored array, by the standard's table.
SHOWN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
@pytest.mark.parametrize("orientation", SHOWN)
def test_exif_orientation_is_applied_once_to_pixels_and_size(
    tmp_path, pixels, kind, options, orientation
):
    picture = Image.fromarray(pixels)
    stored = read_picture(write(tmp_path / "plain", encode(picture, kind, **options)))
    path = write(tmp_path / "turned", encode(picture, kind, exif=exif(orientation), **options))
    expected = SHOWN[orientation](stored)
    np.testing.assert_array_equal(read_picture(path), expected)
    assert picture_size(path) == expected.shape[:2]


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_plain_grey_tiff_is_turned_and_not_scrambled(tmp_path, pixels, kind, orientation):
    grey = pixels[..., 0].astype(kind) * (257 if kind == np.uint16 else 1)
    path = write(tmp_path / "a", encode(Image.fromarray(grey), "TIFF", exif=exif(orientation)))
    expected = SHOWN[orientation](np.repeat(pixels[..., :1], 3, axis=-1))
    np.testing.assert_array_equal(read_picture(path), expected)
    assert picture_size(path) == expected.shape[:2]


def test_an_unknown_orientation_changes_nothing(tmp_path, pixels):
    path = write(tmp_path / "a", encode(Image.fromarray(pixels), "PNG", exif=exif(9)))
    np.testing.assert_array_equal(read_picture(path), pixels)


def test_grey_gives_three_equal_channels(tmp_path, pixels):
    path = write(tmp_path / "a", encode(Image.fromarray(pixels[..., 0]), "PNG"))
    np.testing.assert_array_equal(read_picture(path), np.repeat(pixels[..., :1], 3, axis=-1))


def test_one_bit_gives_black_and_white(tmp_path, pixels):
    bits = pixels[..., 0] > 100
    path = write(tmp_path / "a", encode(Image.fromarray(bits), "PNG"))
    np.testing.assert_array_equal(read_picture(path)[..., 0], np.where(bits, 255, 0))


def test_alpha_is_dropped_and_not_blended(tmp_path, pixels):
    alpha = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    rgba = write(tmp_path / "rgba", encode(Image.fromarray(np.dstack([pixels, alpha])), "PNG"))
    np.testing.assert_array_equal(read_picture(rgba), pixels)
    grey_alpha = Image.fromarray(np.dstack([pixels[..., :1], alpha]))
    assert grey_alpha.mode == "LA"
    read = read_picture(write(tmp_path / "la", encode(grey_alpha, "PNG")))
    np.testing.assert_array_equal(read[..., 2], pixels[..., 0])


@pytest.mark.parametrize("transparency", [None, 0, bytes([0, 128])], ids=str)
def test_palette_gives_its_colours(tmp_path, transparency):
    colours = np.asarray([[10, 200, 30], [255, 0, 7]], np.uint8)
    indices = np.indices((HEIGHT, WIDTH)).sum(axis=0).astype(np.uint8) % 2
    picture = Image.fromarray(indices, "L")
    picture.putpalette(colours.ravel().tolist())
    options = {} if transparency is None else {"transparency": transparency}
    path = write(tmp_path / "a", encode(picture, "PNG", **options))
    np.testing.assert_array_equal(read_picture(path), colours[indices])
    np.testing.assert_array_equal(read_ids(path), indices)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_divided_by_257_and_not_saturated(tmp_path, kind):
    values = np.linspace(0, 65535, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
    if kind == "PPM":  # written by hand: big-endian samples after a text header
        header = b"P5 %d %d 65535\n" % (WIDTH, HEIGHT)
        path = write(tmp_path / "a", header + values.astype(">u2").tobytes())
    else:
        path = write(tmp_path / "a", encode(Image.fromarray(values), kind))
    np.testing.assert_array_equal(read_picture(path)[..., 1], values // 257)


def test_eight_bits_survive_sixteen(tmp_path):
    values = np.arange(256, dtype=np.uint16).reshape(16, 16)
    path = write(tmp_path / "a", encode(Image.fromarray(values * 257), "PNG"))
    np.testing.assert_array_equal(read_picture(path)[..., 0], values)


def test_cmyk_jpeg_is_near_its_colours(tmp_path, pixels):
    picture = Image.fromarray(pixels).convert("CMYK")
    path = write(tmp_path / "a", encode(picture, "JPEG", quality=95))
    assert np.abs(read_picture(path).astype(int) - pixels).mean() < 5


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_of_an_animation_the_first_frame_is_read(tmp_path, kind):
    black, white = (Image.new("RGB", (WIDTH, HEIGHT), c) for c in ("black", "white"))
    path = write(tmp_path / "a", encode(black, kind, save_all=True, append_images=[white, black]))
    assert not read_picture(path).any()
    assert picture_size(path) == (HEIGHT, WIDTH)


def refusal(path, read=read_picture, **options):
    with pytest.raises(ImageError) as caught:
        read(path, **options)
    assert str(caught.value).startswith(f"{path}: ")
    assert caught.value.exit_code == 3
    return caught.value.reason


@pytest.mark.parametrize("read", [read_picture, read_ids, picture_size])
def test_missing_empty_and_foreign_files_are_refused(tmp_path, read):
    assert "no such file" in refusal(tmp_path / "missing.jpg", read)
    assert "no such file" in refusal(tmp_path / "missing" / "a.jpg", read)
    assert "regular file" in refusal(tmp_path, read)
    assert "empty" in refusal(write(tmp_path / "empty.jpg", b""), read)
    for number, content in enumerate(
        [
            b"<!DOCTYPE html><html><body>404</body></html>",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            np.random.default_rng(0).bytes(1000),
            b"\xff\xd8",
            b"BM",
            b"%PDF-1.4",
        ]
    ):
        path = write(tmp_path / f"{number}.jpg", content)
        assert "known kind" in refusal(path, read) or "broken" in refusal(path, read)


def test_a_name_with_nul_is_refused():
    assert "null" in refusal("a\0.jpg")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "regular file" in refusal(tmp_path / "pipe")
    assert "regular file" in refusal("/dev/zero")


def test_kinds_outside_the_list_are_refused(tmp_path, pixels):
    for kind in ("ICO", "TGA", "SGI"):
        path = write(tmp_path / "a", encode(Image.fromarray(pixels), kind))
        assert "not a picture of a known kind" in refusal(path)


def test_fractions_and_wide_integers_have_no_colour(tmp_path, pixels):
    fractions = Image.fromarray(pixels[..., 0].astype(np.float32))
    path = write(tmp_path / "float.tif", encode(fractions, "TIFF"))
    assert "pixels of kind F" in refusal(path)
    assert "not ids" in refusal(path, read_ids)
    wide = Image.fromarray(pixels[..., 0].astype(np.int32))
    assert "kind I" in refusal(write(tmp_path / "wide.tif", encode(wide, "TIFF")))


@pytest.mark.parametrize(
    ("kind", "options", "tail"),
    [
        ("JPEG", {}, 0),
        ("JPEG", {"progressive": True}, 0),
        ("PNG", {}, 4),  # the checksum of the empty end chunk
        ("WEBP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("PPM", {}, 0),
        ("BMP", {}, 3),  # padding of the last row
        ("GIF", {}, 2),  # marks of the end
    ],
)
@pytest.mark.filterwarnings("ignore")  # of TIFF's metadata, before the refusal
def test_every_cut_that_costs_content_is_refused(tmp_path, kind, options, tail):
    noise = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    content = encode(Image.fromarray(noise), kind, **options)
    path = tmp_path / "a"
    assert read_picture(write(path, content)).shape == (9, 11, 3)
    whole = len(content) - tail
    for length in [*range(0, whole, 11), *range(whole - 50, whole)]:
        refusal(write(path, content[:length]))


def test_a_flipped_bit_anywhere_before_the_end_chunk_of_a_png_is_refused(tmp_path, pixels):
    content = bytearray(encode(Image.fromarray(pixels), "PNG"))
    path = tmp_path / "a"
    for position in range(len(content) - 12):
        content[position] ^= 4
        refusal(write(path, content))
        content[position] ^= 4
    assert read_picture(write(path, content)).shape == pixels.shape


def png_header(width, height):
    """A PNG whose header claims a size, with almost no data behind it."""

    def chunk(kind, body):
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [10_001, 20_000, 60_000])
@pytest.mark.parametrize("read", [read_picture, read_ids, picture_size])
def test_a_bomb_is_refused_by_its_header_without_a_warning(tmp_path, side, read):
    path = write(tmp_path / "bomb.png", png_header(side, side))
    assert f"{side} x {side} is {side * side} pixels" in refusal(path, read)
    assert "max_pixels" in refusal(path, read)


def test_the_limit_of_pixels_is_the_callers(tmp_path, pixels):
    path = write(tmp_path / "a", encode(Image.fromarray(pixels), "PNG"))
    assert read_picture(path, max_pixels=HEIGHT * WIDTH).shape == pixels.shape
    refusal(path, max_pixels=HEIGHT * WIDTH - 1)
    refusal(path, picture_size, max_pixels=HEIGHT * WIDTH - 1)
    # Over Pillow's own limit there is neither a warning nor a refusal, if we allow it.
    assert picture_size(write(path, b"P6 9900 9900 255\n")) == (9_900, 9_900)
    big = write(path, b"P6 15000 15000 255\n")
    assert picture_size(big, max_pixels=10**9) == (15_000, 15_000)


def test_pillows_own_limit_is_left_as_it_was(tmp_path, pixels):
    before = Image.MAX_IMAGE_PIXELS
    read_picture(write(tmp_path / "a", encode(Image.fromarray(pixels), "PNG")))
    refusal(write(tmp_path / "b", b"nothing"))
    assert before == Image.MAX_IMAGE_PIXELS


def test_sixteen_bit_ids_are_kept_exactly(tmp_path):
    ids = np.asarray([[26001, 24003], [7, 0]], np.uint16)
    path = write(tmp_path / "a", encode(Image.fromarray(ids), "PNG"))
    np.testing.assert_array_equal(read_ids(path), ids)


def test_ids_are_turned_like_pictures_and_colours_are_not_ids(tmp_path, pixels):
    ids = pixels[..., 0]
    for kind in ("PNG", "TIFF"):
        path = write(tmp_path / "a", encode(Image.fromarray(ids), kind, exif=exif(6)))
        np.testing.assert_array_equal(read_ids(path), np.rot90(ids, -1))
    assert "not ids" in refusal(
        write(tmp_path / "b", encode(Image.fromarray(pixels), "PNG")), read_ids
    )
