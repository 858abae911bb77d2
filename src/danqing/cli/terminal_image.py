"""Images in the terminal: by a graphics protocol if the terminal has one, else as coloured half blocks."""

import base64
import io
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich_pixels import Pixels

MAX_COLUMNS = 64
# The largest chunk that the protocol allows.
KITTY_CHUNK_CHARACTERS = 4096
# Colour systems in which the two halves of a block can have different colours.
ENOUGH_COLOURS = ("256", "truecolor")


class Protocol(StrEnum):
    """A way to show an image in a terminal."""

    KITTY = "kitty"
    ITERM2 = "iterm2"
    HALF_BLOCKS = "half blocks"


def protocol_of(console: Console, environment: Mapping[str, str]) -> Protocol | None:
    """Return the best protocol that the terminal is known to support; None if it cannot show an image."""
    if not console.is_terminal or console.color_system not in ENOUGH_COLOURS:
        return None
    program = environment.get("TERM_PROGRAM", "")
    # Multiplexers drop the protocol and print its characters.
    if "TMUX" not in environment and not environment.get("TERM", "").startswith("screen"):
        if "KITTY_WINDOW_ID" in environment or program == "ghostty":
            return Protocol.KITTY
        if program in ("iTerm.app", "WezTerm"):
            return Protocol.ITERM2
    return Protocol.HALF_BLOCKS if console.encoding.startswith("utf") else None


def show_image(path: Path, console: Console, *, protocol: Protocol) -> None:
    """Print the image file at the cursor."""
    num_columns = min(MAX_COLUMNS, console.width)
    with Image.open(path) as image:
        if protocol is Protocol.HALF_BLOCKS:
            console.print(_half_blocks(image, num_columns))
            return
        data = base64.b64encode(_png(image)).decode()
    write = _kitty if protocol is Protocol.KITTY else _iterm2
    console.file.write(write(data, num_columns) + "\n")
    console.file.flush()


def _half_blocks(image: Image.Image, num_columns: int) -> Pixels:
    # Each character shows two pixels, one above the other, so the number of rows is even.
    num_rows = max(1, round(num_columns * image.height / image.width / 2))
    small = image.convert("RGB").resize((num_columns, 2 * num_rows), Image.Resampling.LANCZOS)
    pixels: Pixels = Pixels.from_image(small)
    return pixels


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _kitty(data: str, num_columns: int) -> str:
    chunks = [data[start : start + KITTY_CHUNK_CHARACTERS] for start in range(0, len(data), KITTY_CHUNK_CHARACTERS)]
    # a=T: show at once; f=100: a PNG; q=2: no reply; m=1: more follows.
    heads = [f"a=T,f=100,q=2,c={num_columns},"] + [""] * (len(chunks) - 1)
    mores = [1] * (len(chunks) - 1) + [0]
    return "".join(
        f"\x1b_G{head}m={more};{chunk}\x1b\\" for head, more, chunk in zip(heads, mores, chunks, strict=True)
    )


def _iterm2(data: str, num_columns: int) -> str:
    return f"\x1b]1337;File=inline=1;width={num_columns};preserveAspectRatio=1:{data}\x07"
