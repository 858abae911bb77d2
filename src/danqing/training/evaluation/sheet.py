"""Pictures with words below them, row by row on one page. Knows nothing of where they come from."""

import textwrap
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

MARGIN_PX = 10
FONT_PX = 17
LINE_PX = 21
LETTER_PX = 8.6  # The mean width of a letter.


def sheet(
    pictures: Sequence[tuple[str, NDArray[np.uint8]]],
    *,
    num_columns: int,
    width_px: int,
    height_px: int,
    num_lines: int = 3,
) -> Image.Image:
    """The page; every picture is fitted into `width_px` by `height_px`, its words into `num_lines`."""
    step_x, step_y = width_px + MARGIN_PX, height_px + num_lines * LINE_PX + MARGIN_PX
    num_rows = -(-len(pictures) // num_columns)
    page = Image.new("RGB", (num_columns * step_x + MARGIN_PX, num_rows * step_y + MARGIN_PX), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=FONT_PX)
    for i, (words, pixels) in enumerate(pictures):
        x, y = MARGIN_PX + i % num_columns * step_x, MARGIN_PX + i // num_columns * step_y
        picture = Image.fromarray(pixels).resize((width_px, height_px), Image.Resampling.LANCZOS)
        page.paste(picture, (x, y))
        lines = textwrap.wrap(words, int(width_px / LETTER_PX))[:num_lines]
        pen.multiline_text((x + 2, y + height_px + 3), "\n".join(lines), fill="black", font=font, spacing=3)
    return page
