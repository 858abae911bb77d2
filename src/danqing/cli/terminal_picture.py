"""Shows a picture in the terminal: with its pixels where the terminal takes them, in coloured half blocks elsewhere.

Knows files and terminals, not what drew the picture.
"""

import base64
import io
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich_pixels import Pixels

MAX_COLUMNS = 64
# The largest piece that the protocol allows.
KITTY_CHUNK_CHARACTERS = 4096
# Half blocks need colours of their own for both halves.
ENOUGH_COLOURS = ("256", "truecolor")


class Protocol(StrEnum):
    """How a terminal takes a picture."""

    KITTY = "kitty"
    ITERM2 = "iterm2"
    HALF_BLOCKS = "half blocks"


def protocol_of(console: Console, environment: Mapping[str, str]) -> Protocol | None:
    """Find the best way that this terminal is known to take; None where a picture would only be noise."""
    if not console.is_terminal or console.color_system not in ENOUGH_COLOURS:
        return None
    program = environment.get("TERM_PROGRAM", "")
    # A multiplexer swallows the picture and shows its letters.
    if "TMUX" not in environment and not environment.get("TERM", "").startswith("screen"):
        if "KITTY_WINDOW_ID" in environment or program == "ghostty":
            return Protocol.KITTY
        if program in ("iTerm.app", "WezTerm"):
            return Protocol.ITERM2
    return Protocol.HALF_BLOCKS if console.encoding.startswith("utf") else None


def show_picture(path: Path, console: Console, *, protocol: Protocol) -> None:
    """Draw the file at the cursor."""
    num_columns = min(MAX_COLUMNS, console.width)
    with Image.open(path) as picture:
        if protocol is Protocol.HALF_BLOCKS:
            console.print(_half_blocks(picture, num_columns))
            return
        data = base64.b64encode(_png(picture)).decode()
    write = _kitty if protocol is Protocol.KITTY else _iterm2
    console.file.write(write(data, num_columns) + "\n")
    console.file.flush()


def _half_blocks(picture: Image.Image, num_columns: int) -> Pixels:
    # Two pixels, one above the other, in each character; an odd row would be left without its half.
    num_rows = max(1, round(num_columns * picture.height / picture.width / 2))
    small = picture.convert("RGB").resize((num_columns, 2 * num_rows), Image.Resampling.LANCZOS)
    pixels: Pixels = Pixels.from_image(small)
    return pixels


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _kitty(data: str, num_columns: int) -> str:
    chunks = [data[start : start + KITTY_CHUNK_CHARACTERS] for start in range(0, len(data), KITTY_CHUNK_CHARACTERS)]
    # a=T: show at once; f=100: a PNG; q=2: no answer; m=1: more follows.
    heads = [f"a=T,f=100,q=2,c={num_columns},"] + [""] * (len(chunks) - 1)
    mores = [1] * (len(chunks) - 1) + [0]
    return "".join(
        f"\x1b_G{head}m={more};{chunk}\x1b\\" for head, more, chunk in zip(heads, mores, chunks, strict=True)
    )


def _iterm2(data: str, num_columns: int) -> str:
    return f"\x1b]1337;File=inline=1;width={num_columns};preserveAspectRatio=1:{data}\x07"
