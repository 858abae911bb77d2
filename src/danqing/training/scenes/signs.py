"""Paints a word on a board, one letter to a cell. Knows nothing of which words there are."""

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from danqing.training.scenes.grid import Grid

BOARD, RIM, POST, INK = (250, 244, 226), (142, 88, 48), (120, 76, 44), (40, 36, 48)
LETTER_HEIGHT = 0.84  # of a cell


def sign_row(grid: Grid) -> int:
    """The row of cells that holds the letters."""
    return max(0, grid.rows // 2 - 1)


def sign_left(grid: Grid, word: str) -> int:
    """The column of the first letter."""
    return (grid.columns - len(word)) // 2


def paint_sign(image: Image.Image, word: str, grid: Grid, cell_px: int, *, on_posts: bool) -> None:
    """Paint the board with the word into the middle of the picture."""
    draw = ImageDraw.Draw(image)
    left, top = sign_left(grid, word) * cell_px, sign_row(grid) * cell_px
    right, bottom = left + len(word) * cell_px, top + cell_px
    rim, post = cell_px * 0.16, cell_px * 0.12
    if on_posts:
        for x in (left + cell_px * 0.5, right - cell_px * 0.5):
            draw.rectangle((x - post, bottom, x + post, (grid.rows - 0.4) * cell_px), fill=POST)
    draw.rounded_rectangle((left - rim, top - rim, right + rim, bottom + rim), radius=rim, fill=RIM)
    inner = rim * 0.35
    draw.rounded_rectangle((left - inner, top - inner, right + inner, bottom + inner), radius=rim / 2, fill=BOARD)
    for k, letter in enumerate(word):
        mask = _letter(letter, cell_px)
        image.paste(INK, (left + k * cell_px, top), mask)


@lru_cache(maxsize=256)
def _letter(letter: str, cell_px: int) -> Image.Image:
    """The letter's mask in a square cell."""
    scale = 4
    side = cell_px * scale
    font = ImageFont.load_default(side * LETTER_HEIGHT)
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).text(
        (side / 2, side * 0.83), letter, font=font, fill=255, anchor="ms", stroke_width=side * 0.025
    )
    return mask.reduce(scale)
