"""Folding of prompts: one plain spelling for everything that a reader takes for the same text.

Compatibility forms, case, accents, invisible characters, digits of every script, and letters that look like Latin ones
(by the Unicode table of confusables) become one character each, so that positions in both spellings agree.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from confusable_homoglyphs.confusables import confusables_data

# Letters of scripts that are written without spaces between words; U+30FB is their hyphen.
UNSPACED = "\u3005\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u9fff"
UNSPACED_LETTER = re.compile(f"[{UNSPACED}]")
# Vowel signs of Indic scripts are marks to Unicode and letters to a reader.
_LETTER = rf"(?:(?![{UNSPACED}])[^\W\d_]|[\u0900-\u0963\u0971-\u0dff])"
_TOKEN = re.compile(rf"{_LETTER}+|[0-9]+")
_NUKTA, _VIRAMA = 7, 9
_INDIC = range(0x0900, 0x0E00)
_KANA_MARKS = "\u3099\u309a"
_INVISIBLE_LETTERS = "\u115f\u1160\u3164\uffa0"
_ARABIC_TATWEEL = "\u0640"
# Arabic and Urdu keyboards write the same letter with different characters.
_ARABIC_VARIANTS = str.maketrans(
    {"ة": "ه", "ى": "ي", "ی": "ي", "ې": "ي", "ک": "ك", "ہ": "ه", "ھ": "ه", "ە": "ه", "ۃ": "ه"}
)
_CHANDRABINDU = str.maketrans({"\u0901": "\u0902", "\u0981": "\u0982"})
# A capital I inside a word that has no other capital is written for an l: "chiId".
_CAPITAL_I_FOR_L = re.compile(r"(?<![A-Za-z])[a-z]++(?:I[a-z]++)+(?![A-Za-z])")
_NAMED_LETTER = re.compile(
    r"(?:.* )?(?:LATIN|REGIONAL INDICATOR) .*LETTER (?:SMALL CAPITAL |TURNED |OPEN |REVERSED |DOTLESS )*"
    r"([A-Z])(?: WITH .+)?"
)
# Look-alikes that people use and that Unicode does not count as confusable.
_MORE_LOOK_ALIKES = {
    **dict(zip("ηпπиєэξ∂δяλʌτκβθωμш", "nnnueeeddraatkbowuw", strict=True)),
    **dict(zip("ɧŋəþðʃʒ", "hnepdsz", strict=True)),
    **dict(zip("ᑎᗩᗰᗯᘜᖇᔕᒪᗷᖴᗴᐯ∩⊂∈", "namwgrslbfevnce", strict=True)),
}


class Token(NamedTuple):
    """A run of letters or of digits: `text` as folded, `native` before look-alikes were made Latin."""

    text: str
    native: str
    start: int
    end: int

    @property
    def is_number(self) -> bool:
        return self.text[0].isdigit()


@dataclass(frozen=True)
class FoldedText:
    """A folded prompt. `text` and `native` have the same length; `native` keeps letters of other scripts as they are.

    `accented` is the prompt with its accents, which tell languages apart.
    """

    text: str
    native: str
    accented: str
    tokens: tuple[Token, ...]


def fold(prompt: str) -> FoldedText:
    """Fold a prompt, or an entry of a word list: both must pass through here to be compared."""
    native = _fold_native(prompt)
    text = native if native.isascii() else "".join(map(latin_look_alike, native))
    tokens = tuple(Token(m.group(), native[m.start() : m.end()], m.start(), m.end()) for m in _TOKEN.finditer(text))
    return FoldedText(text, native, unicodedata.normalize("NFC", prompt).casefold(), tokens)


def _fold_native(prompt: str) -> str:
    composed = unicodedata.normalize(
        "NFKC", _CAPITAL_I_FOR_L.sub(lambda word: word.group().replace("I", "l"), prompt)
    ).casefold()
    if composed.isascii():
        return composed
    visible = "".join(_visible(unicodedata.normalize("NFD", composed)))
    return unicodedata.normalize("NFC", visible).translate(_ARABIC_VARIANTS).translate(_CHANDRABINDU)


def _visible(decomposed: str) -> Iterator[str]:
    previous = ""
    for char in decomposed:
        category = unicodedata.category(char)
        if category in ("Cf", "Cs", "Co", "Cn") or char in _INVISIBLE_LETTERS or char == _ARABIC_TATWEEL:
            continue
        if category[0] == "M" and not _belongs_to(char, previous):
            continue
        previous = char
        yield str(unicodedata.decimal(char)) if category == "Nd" else char


def _belongs_to(mark: str, previous: str) -> bool:
    """Whether the mark is a letter of its script here: a vowel sign after a letter of the same script."""
    if not previous or unicodedata.combining(mark) in (_NUKTA, _VIRAMA):
        return False
    if mark in _KANA_MARKS:
        return UNSPACED_LETTER.match(previous) is not None
    return ord(mark) in _INDIC and ord(mark) >> 7 == ord(previous) >> 7


@cache
def latin_look_alike(char: str) -> str:
    """Return the Latin letter that the character looks like, or the character itself."""
    if char.isascii() or UNSPACED_LETTER.match(char):
        return char
    return strict_look_alike(char) or _MORE_LOOK_ALIKES.get(char) or _listed(char.upper()) or char


@cache
def strict_look_alike(char: str) -> str | None:
    """Return the Latin letter by Unicode's table and names alone."""
    named = _NAMED_LETTER.fullmatch(unicodedata.name(char, ""))
    return named.group(1).lower() if named else _listed(char)


def _listed(char: str) -> str | None:
    for confusable in confusables_data.get(char, ()):
        candidate: str = confusable["c"]
        if len(candidate) == 1 and candidate.isascii() and candidate.isalpha():
            return candidate.lower()
    return None
