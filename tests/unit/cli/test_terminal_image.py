"""A picture reaches each kind of terminal in a form that it reads, and nobody else."""

import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from danqing.cli.terminal_image import MAX_COLUMNS, Protocol, protocol_of, show_image

LOWER_HALF = "▄"


def _console(*, terminal: bool = True, colours: str = "truecolor", width: int = 100) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, color_system=colours, width=width)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Red above, blue below, with noise, so that its PNG needs several pieces."""
    image = Image.effect_noise((120, 60), 90).convert("RGB")
    image.paste((255, 0, 0), (0, 0, 120, 20))
    image.paste((0, 0, 255), (0, 40, 120, 60))
    path = tmp_path / "picture.png"
    image.save(path)
    return path


def _shown(picture: Path, protocol: Protocol, **terminal: int) -> str:
    console = _console(**terminal)
    show_image(picture, console, protocol=protocol)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"}, Protocol.KITTY),
        ({"TERM_PROGRAM": "ghostty"}, Protocol.KITTY),
        ({"TERM_PROGRAM": "iTerm.app"}, Protocol.ITERM2),
        ({"TERM_PROGRAM": "WezTerm"}, Protocol.ITERM2),
        ({"TERM_PROGRAM": "iTerm.app", "TMUX": "/tmp/tmux"}, Protocol.HALF_BLOCKS),
        ({"KITTY_WINDOW_ID": "1", "TERM": "screen-256color"}, Protocol.HALF_BLOCKS),
        ({"TERM": "xterm-256color"}, Protocol.HALF_BLOCKS),
    ],
)
def test_each_terminal_gets_what_it_takes(environment: dict[str, str], protocol: Protocol) -> None:
    assert protocol_of(_console(), environment) is protocol


def test_a_pipe_and_a_terminal_of_few_colours_get_nothing() -> None:
    kitty = {"KITTY_WINDOW_ID": "1"}
    assert protocol_of(_console(terminal=False), kitty) is None
    assert protocol_of(_console(colours="standard"), kitty) is None


def test_kitty_is_sent_the_whole_png_in_pieces_of_allowed_size(picture: Path) -> None:
    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", _shown(picture, Protocol.KITTY))
    assert len(pieces) > 1
    assert all(len(data) <= 4096 for _, data in pieces)
    controls = [dict(field.split("=") for field in control.split(",")) for control, _ in pieces]
    assert controls[0] == {"a": "T", "f": "100", "q": "2", "c": str(MAX_COLUMNS), "m": "1"}
    assert [control["m"] for control in controls[1:]] == ["1"] * (len(pieces) - 2) + ["0"]
    with Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in pieces)))) as sent:
        assert (sent.format, sent.size, sent.getpixel((0, 0))) == ("PNG", (120, 60), (255, 0, 0))


def test_iterm2_is_sent_the_whole_png(picture: Path) -> None:
    (fields, data), *others = re.findall(r"\x1b\]1337;File=([^:]*):([^\x07]*)\x07", _shown(picture, Protocol.ITERM2))
    assert not others
    assert f"width={MAX_COLUMNS}" in fields
    with Image.open(io.BytesIO(base64.b64decode(data))) as sent:
        assert (sent.format, sent.size) == ("PNG", (120, 60))


@pytest.mark.parametrize(("width", "num_columns"), [(100, MAX_COLUMNS), (20, 20)])
def test_other_terminals_get_half_blocks_in_the_pictures_shape(picture: Path, width: int, num_columns: int) -> None:
    lines = [line for line in _shown(picture, Protocol.HALF_BLOCKS, width=width).split("\n") if LOWER_HALF in line]
    assert {line.count(LOWER_HALF) for line in lines} == {num_columns}
    # Twice as wide as high, and a character is twice as high as wide.
    assert len(lines) == num_columns // 4
    assert "48;2;255;0;0" in lines[0]
    assert "38;2;0;0;255" in lines[-1]
