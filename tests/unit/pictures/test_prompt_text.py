"""The text of prompts: separators, blanks, and what is no text."""

import pytest

from danqing.pictures.prompt_text import NotText, clean_text, is_blank

# C0 and C1 controls and DEL, without tab, line feed, carriage return and NUL.
SEPARATORS = [chr(code) for code in (*range(1, 9), 11, 12, *range(14, 32), *range(127, 160))]


def test_separators_become_spaces():
    for separator in SEPARATORS:
        assert clean_text(f"page one{separator}page two") == "page one page two", hex(ord(separator))


def test_everything_else_stays_as_it_is():
    text = "a fox\n\ta \U0001f98a, 一只猫\r\n \u2028 \u200d é e\u0301"
    assert clean_text(text) == text


@pytest.mark.parametrize("value", ["a\0b", "\ud800", "a \udc80", "\udc00\ud800"])
def test_what_no_text_holds_is_refused(value):
    with pytest.raises(NotText):
        clean_text(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "\t\n\r",
        "\x0b\x1b",
        "\u3000\u00a0",
        "\u200b\ufeff\u2060",
        "\u3164\u2800",
        "\ufe0f\U000e0100",
        "\u034f\U0001d159",
    ],
)
def test_a_text_in_which_nothing_can_be_seen_is_blank(value):
    assert is_blank(value)


@pytest.mark.parametrize("value", ["x", ".", "  狐 ", "\U0001f98a", "\u0301"])
def test_one_visible_character_is_enough(value):
    assert not is_blank(value)
