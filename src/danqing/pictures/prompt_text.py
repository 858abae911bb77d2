"""The text of a prompt: what counts as text, and the separators that documents bring along."""

import unicodedata

LINE_CHARACTERS = "\t\n\r"
NOT_UNICODE = "Must be valid Unicode; a lone surrogate is not"
NO_NUL = "Must not contain U+0000"
# Letters, symbols and marks that show nothing: fillers of Hangul, the empty Braille pattern and note head, the joiner
# of graphemes, inherent vowels of Khmer, and variation selectors.
INVISIBLE = {
    *"\u115f\u1160\u2800\u3164\uffa0\U0001d159\u034f\u17b4\u17b5\u180b\u180c\u180d\u180f",
    *map(chr, range(0xFE00, 0xFE10)),
    *map(chr, range(0xE0100, 0xE01F0)),
}


class NotText(ValueError):
    """The value holds characters that are no text."""


def clean_text(value: str) -> str:
    """Replace control characters by spaces, except tabs and line ends. Raises NotText for what no text holds.

    Text pasted from documents holds vertical tabs, form feeds and others that separate words.
    """
    if "\0" in value:
        # No database stores it as text.
        raise NotText(NO_NUL)
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise NotText(NOT_UNICODE)
    return "".join(" " if _is_separator(char) else char for char in value)


def is_blank(value: str) -> bool:
    """Return whether nothing of the value can be seen: it holds spaces, control and format characters alone."""
    return all(char.isspace() or char in INVISIBLE or unicodedata.category(char) in ("Cc", "Cf") for char in value)


def _is_separator(char: str) -> bool:
    return char not in LINE_CHARACTERS and unicodedata.category(char) == "Cc"
