"""Pictures beside each other with a line of text below each: what the thesis's figures are made of.

As in the thesis, the ground truth is black and what a network or the grid makes of it is green.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from encompass.schema import BoxMask, Colour

BLACK: Colour = (0, 0, 0)
GREEN: Colour = (0, 190, 60)
_TINT = 0.45  # opacity of a mask
_GAP, _TEXT = 8, 13  # pixels between panels, and of the letters

Panel = tuple[Image.Image, str]


def draw_boxes(image: Image.Image, boxes_xyxy: np.ndarray, colour: Colour) -> None:
    """Outline (N, 4) boxes in place; edges of the picture still show theirs."""
    pen, width = ImageDraw.Draw(image), line_width(image)
    limit = np.asarray([*image.size, *image.size]) - [0, 0, 1, 1]
    for x0, y0, x1, y1 in np.clip(boxes_xyxy, 0, limit).tolist():
        pen.rectangle((x0, y0, max(x0, x1), max(y0, y1)), outline=colour, width=width)


def draw_grid(image: Image.Image, cells: tuple[int, int], colour: Colour) -> None:
    """Thin lines between the (rows, columns) of a map that covers the picture, in place."""
    pen, (rows, columns) = ImageDraw.Draw(image), cells
    for i in range(1, columns):
        pen.line((i * image.width / columns, 0, i * image.width / columns, image.height), colour)
    for i in range(1, rows):
        pen.line((0, i * image.height / rows, image.width, i * image.height / rows), colour)


def tint(image: Image.Image, mask: BoxMask, colour: Colour) -> None:
    """Colour the pixels of a mask, in place."""
    if mask.pixels.size:
        stencil = Image.fromarray((mask.pixels * round(255 * _TINT)).astype(np.uint8))
        image.paste(Image.new("RGB", stencil.size, colour), (mask.x, mask.y), stencil)


def line_width(image: Image.Image) -> int:
    """Of boxes that can be told on a picture of this size, pixels."""
    return max(2, round(max(image.size) / 250))


def side_by_side(rows: Sequence[Sequence[Panel]], *, height: int) -> Image.Image:
    """Rows of panels on white, each scaled to one height in pixels, its text below it."""
    font = ImageFont.load_default(size=_TEXT)
    drawn = [[_panel(image, text, height, font) for image, text in row] for row in rows]
    width = max(sum(panel.width + _GAP for panel in row) for row in drawn) + _GAP
    tall = [max(panel.height for panel in row) for row in drawn]
    sheet = Image.new("RGB", (width, sum(tall) + _GAP * (len(rows) + 1)), "white")
    top = _GAP
    for row, rise in zip(drawn, tall, strict=True):
        left = _GAP
        for panel in row:
            sheet.paste(panel, (left, top))
            left += panel.width + _GAP
        top += rise + _GAP
    return sheet


def with_legend(sheet: Image.Image, colours: Mapping[str, Colour]) -> Image.Image:
    """A sheet with a line or more below it of what each colour means."""
    font = ImageFont.load_default(size=_TEXT)
    places, left, line = [], _GAP, 0
    for name in colours:
        width = _TEXT + 4 + round(font.getlength(name)) + 2 * _GAP
        if left + width > sheet.width and left > _GAP:
            left, line = _GAP, line + 1
        places.append((left, sheet.height + line * (_TEXT + 6)))
        left += width
    whole = Image.new("RGB", (sheet.width, places[-1][1] + _TEXT + _GAP), "white")
    whole.paste(sheet)
    pen = ImageDraw.Draw(whole)
    for (left, top), (name, colour) in zip(places, colours.items(), strict=True):
        pen.rectangle((left, top, left + _TEXT - 1, top + _TEXT - 1), fill=colour)
        pen.text((left + _TEXT + 4, top - 1), name, font=font, fill="black")
    return whole


def _panel(
    image: Image.Image, text: str, height: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont
) -> Image.Image:
    width = max(round(image.width * height / image.height), 1)
    lines = _wrap(text, width, font)
    panel = Image.new("RGB", (width, height + 4 + len(lines) * (_TEXT + 4)), "white")
    panel.paste(image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC))
    pen = ImageDraw.Draw(panel)
    for number, line in enumerate(lines):
        pen.text((0, height + 4 + number * (_TEXT + 4)), line, font=font, fill="black")
    return panel


def _wrap(text: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> list[str]:
    """The words of a text in lines of at most so many pixels, one long word alone."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
