"""The one way a picture file becomes pixels: strict, so that a broken file is never guessed at.

Every kind of file has one meaning: EXIF orientation is applied once, to the pixels and to the size;
alpha is dropped, 16-bit grey is divided by 257, an animation is its first frame. Anything else is
an `ImageError`, raised before the pixels are decoded where the header already tells.
"""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import (  # the plugins are imported for their decoders, which they register
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    PpmImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from encompass.errors import ImageError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")  # JPEG opens MPO as well
MAX_PIXELS = 100_000_000

_EXIF_ORIENTATION = 0x0112
_DIRECT_MODES = {"1", "L", "LA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}  # convert("RGB") is right
_PALETTE_MODES = {"P", "PA"}
_ID_MODES = {"L", "P", "I"}
_GREY16_MODES = {"I;16", "I;16L", "I;16B", "I;16N"}
_HEADER_LOCK = threading.Lock()


def read_picture(path: str | PathLike[str], *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """A picture file to (H, W, 3) uint8 RGB, as a viewer would show it.

    Raises ImageError when the file is missing, broken, of a kind not in `FORMATS`, or larger than
    `max_pixels`.
    """
    pixels, kind = _decode(path, max_pixels, _to_rgb)
    if pixels is None:
        raise ImageError(
            path, f"pixels of kind {kind} have no defined colour; save it as 8-bit RGB."
        )
    return pixels


def picture_size(path: str | PathLike[str], *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(height, width) of what `read_picture` returns, from the header alone where it tells.

    Raises ImageError as `read_picture` does, except for faults that only decoding finds.
    """
    with _open(path, max_pixels) as picture:
        try:
            orientation = picture.getexif().get(_EXIF_ORIENTATION, 1)
        except Exception as error:
            raise _broken(path, error) from error
        width, height = picture.size
    # Pillow turns TIFF alone by itself: its size at once, its pixels when they are decoded.
    turned = orientation in (5, 6, 7, 8) and picture.format != "TIFF"
    return (width, height) if turned else (height, width)


def read_ids(path: str | PathLike[str], *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """A label picture to (H, W) integers: values (or palette indices) as stored, never colours.

    Raises ImageError as `read_picture` does, and when the pixels are not single integers.
    """
    ids, kind = _decode(path, max_pixels, _to_ids)
    if ids is None:
        raise ImageError(
            path, f"pixels of kind {kind} are not ids; save them as 8-bit or 16-bit grey PNG."
        )
    return ids


def _open(path: str | PathLike[str], max_pixels: int) -> Image.Image:
    """The picture with only its header read, after all checks that need no decoding."""
    try:
        status = Path(path).stat()
    except FileNotFoundError as error:
        raise ImageError(path, "no such file; check the path.") from error
    except (OSError, ValueError) as error:
        raise ImageError(path, f"cannot be opened ({error}); check the path.") from error
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(path, "is not a regular file; give the path of one picture.")
    if status.st_size == 0:
        raise ImageError(path, "is empty (0 bytes); replace it by an intact copy.")

    # Pillow's own limit would warn or refuse before the size can be named; ours stands in for it.
    with _HEADER_LOCK:
        pillow_limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            picture = Image.open(path, formats=FORMATS)
        except Image.UnidentifiedImageError as error:
            known = ", ".join(FORMATS)
            raise ImageError(path, f"is not a picture of a known kind ({known}).") from error
        except PermissionError as error:
            raise ImageError(path, "may not be read; check its permissions.") from error
        except Exception as error:
            raise _broken(path, error) from error
        finally:
            Image.MAX_IMAGE_PIXELS = pillow_limit
    if picture.format == "TIFF":
        picture.filename = ""  # keeps Pillow from mapping the file, which scrambles a turned one
    width, height = picture.size
    if width * height > max_pixels:
        picture.close()
        raise ImageError(
            path,
            f"{width} x {height} is {width * height} pixels, more than the limit of {max_pixels}; "
            "shrink the picture or raise max_pixels.",
        )
    return picture


def _decode(
    path: str | PathLike[str],
    max_pixels: int,
    convert: Callable[[Image.Image], np.ndarray | None],
) -> tuple[np.ndarray | None, str]:
    """The pixels as shown, None where `convert` gives them no meaning, and their kind."""
    with _open(path, max_pixels) as picture:
        try:
            if picture.format == "PNG":  # whose checksums decoding skips
                with _open(path, max_pixels) as unread:
                    unread.verify()
            pixels = convert(picture)
            orientation = picture.getexif().get(_EXIF_ORIENTATION, 1)
        except Exception as error:  # plugins raise whatever a broken file leads them to
            raise _broken(path, error) from error
        kind = picture.mode
    return None if pixels is None else np.ascontiguousarray(_turn(pixels, orientation)), kind


def _to_rgb(picture: Image.Image) -> np.ndarray | None:
    """(h, w, 3) uint8 before orientation; None for pixels that have no defined colour."""
    if picture.mode in _DIRECT_MODES:
        return np.array(picture.convert("RGB"))
    if picture.mode in _PALETTE_MODES:
        # By way of RGBA, because a palette with transparency changes colours on the direct way.
        return np.array(picture.convert("RGBA").convert("RGB"))
    # Pillow gives 16-bit PGM as 32-bit integers in 0..65535, but so it does TIFF of any range.
    if picture.mode in _GREY16_MODES or (picture.mode == "I" and picture.format == "PPM"):
        grey = (np.asarray(picture) // 257).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    return None


def _to_ids(picture: Image.Image) -> np.ndarray | None:
    """(h, w) integers before orientation; None for colours and fractions."""
    return np.array(picture) if picture.mode in _ID_MODES | _GREY16_MODES else None


def _turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """(h, w, ...) as stored to (H, W, ...) as shown; an unknown EXIF orientation is 1."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _broken(path: str | PathLike[str], error: Exception) -> ImageError:
    return ImageError(path, f"is truncated or broken ({error}); replace it by an intact copy.")
