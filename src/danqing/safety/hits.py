"""Finding of listed words in a folded prompt, as they are written and in the disguises that people use.

Every look-up is bounded: tokens and prompts are cut into pieces of limited length, and no pattern can backtrack.
"""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from danqing.safety.disguises import (
    glued_words,
    hidden_spellings,
    redrawn_words,
    spoken_languages,
    stretched_words,
)
from danqing.safety.lexicon import HARMLESS, MIN_STEM_LETTERS, Entry, Lexicon, Phrase
from danqing.safety.prompt_text import FoldedText, Token, strict_look_alike

MAX_STEM_LETTERS = 24
MAX_SEPARATOR_CHARACTERS = 3
MAX_CACHED_WORDS = 20_000
# و، ف "and", ب "with", ل "to", ك "like", ال "the" are written together with the Arabic word they precede.
_ARABIC_PROCLITICS = re.compile(r"[وف]?(?:لل|[بلك]?(?:ال)?)")
_ARABIC_LETTER = re.compile(r"[\u0620-\u06ff]")
_MIN_ARABIC_WORD = 2


# Concepts whose words are hardly used in passing by other languages.
TELLING_CONCEPTS = frozenset(("minor", "girl_or_boy", "person", "nudity", "sex", "suggestive", "clothing", "violence"))
# A phrase whose second word is a stem stands under "*".
PhrasesBySecondWord = dict[str, list[Phrase]]


class Hit(NamedTuple):
    """A concept named at `start` to `end` of the folded prompt; `value` is that of a number."""

    concept: str
    start: int
    end: int
    language: str
    value: int = 0
    is_ambiguous: bool = False


@dataclass(frozen=True)
class Findings:
    """Every listed word of a text, in order of its place, and the languages that the text shows to be spoken."""

    hits: tuple[Hit, ...]
    languages: frozenset[str]

    def spoken(self, also: frozenset[str]) -> list[Hit]:
        """Return the hits without ambiguous words of languages that neither this text nor `also` speaks."""
        return [hit for hit in self.hits if not hit.is_ambiguous or hit.language in self.languages | also]


def find_hits(folded: FoldedText, lexicon: Lexicon) -> Findings:
    """Find every listed word."""
    hits = sorted(dict.fromkeys(_all_hits(folded, lexicon)), key=lambda hit: (hit.start, -hit.end))
    return Findings(tuple(hits), frozenset(spoken_languages(folded, lexicon) | _languages_of_words(hits)))


def _languages_of_words(hits: Sequence[Hit]) -> set[str]:
    """Return the languages of words that are not English as well."""
    languages_by_span: dict[tuple[int, int], set[str]] = defaultdict(set)
    for hit in hits:
        languages_by_span[hit.start, hit.end].add(hit.language)
    return {
        hit.language
        for hit in hits
        if not hit.is_ambiguous
        and hit.concept in TELLING_CONCEPTS
        and (hit.language == "en" or "en" not in languages_by_span[hit.start, hit.end])
    }


def _all_hits(folded: FoldedText, lexicon: Lexicon) -> Iterator[Hit]:
    for token_index, token in enumerate(folded.tokens):
        if _is_tag_count(folded, token_index):
            continue
        entries, phrases = _look_up(lexicon, token.text, token.native)
        for entry in entries:
            yield _hit(entry, token.start, token.end)
        if phrases and token_index + 1 < len(folded.tokens):
            yield from _phrase_hits(folded, token_index, phrases)
    for spelling in hidden_spellings(folded, lexicon):
        for entry in lexicon.words.get(spelling.word, ()):
            yield _hit(entry, spelling.start, spelling.end)
    yield from _inside_hits(folded, lexicon)


def spellings(text: str, native: str) -> Iterator[str]:
    """Yield the spellings under which a word is looked up: its own, and an Arabic word without what it is joined to."""
    yield text
    if _ARABIC_LETTER.match(native):
        prefix = _ARABIC_PROCLITICS.match(native)
        length = prefix.end() if prefix else 0
        for cut in range(1, min(length, len(text) - _MIN_ARABIC_WORD) + 1):
            yield text[cut:]


def _is_tag_count(folded: FoldedText, token_index: int) -> bool:
    """Whether the token is "girl" in the tag "1girl", which counts figures of any age."""
    token = folded.tokens[token_index]
    previous = folded.tokens[token_index - 1] if token_index else None
    is_tag = token.text in ("girl", "girls", "boy", "boys")
    return is_tag and previous is not None and previous.end == token.start and len(previous.text) == 1


@lru_cache(maxsize=MAX_CACHED_WORDS)
def _look_up(lexicon: Lexicon, text: str, native: str) -> tuple[tuple[Entry, ...], PhrasesBySecondWord]:
    """Return the entries of one word that a word matches, and the phrases that it may begin."""
    entries: list[Entry] = []
    phrases: list[Phrase] = []
    for key in spellings(text, native):
        entries += lexicon.words.get(key, ())
        phrases += lexicon.phrases.get(key, ())
        if key[:MIN_STEM_LETTERS] in lexicon.stem_starts:
            for length in range(MIN_STEM_LETTERS, min(len(key), MAX_STEM_LETTERS) + 1):
                entries += lexicon.stems.get(key[:length], ())
                phrases += lexicon.phrase_stems.get(key[:length], ())
    for word in (*glued_words(text, lexicon), *stretched_words(text, lexicon), *redrawn_words(text, native, lexicon)):
        entries += lexicon.words[word]
    if not _may_be_latin(native):
        entries = [entry for entry in entries if not entry.is_latin]
    by_second_word: PhrasesBySecondWord = defaultdict(list)
    for phrase in phrases:
        by_second_word["*" if phrase.rest[0].endswith("*") else phrase.rest[0]].append(phrase)
    return tuple(entries), by_second_word


def _may_be_latin(native: str) -> bool:
    """Whether a word with Cyrillic letters may stand for a Latin one: Russian "тот" is no English "tot"."""
    is_cyrillic = all("\u0400" <= char <= "\u052f" for char in native)
    return not is_cyrillic or all(strict_look_alike(char) for char in native)


def _phrase_hits(folded: FoldedText, token_index: int, phrases: PhrasesBySecondWord) -> Iterator[Hit]:
    token, second = folded.tokens[token_index : token_index + 2]
    for key in ("*", *spellings(second.text, second.native)):
        for phrase in phrases.get(key, ()):
            following = folded.tokens[token_index + 1 : token_index + 1 + len(phrase.rest)]
            if len(following) == len(phrase.rest) and all(map(_matches, phrase.rest, following)):
                yield _hit(phrase.entry, token.start, following[-1].end)


def _matches(pattern: str, token: Token) -> bool:
    if pattern.endswith("*"):
        return any(spelling.startswith(pattern[:-1]) for spelling in spellings(token.text, token.native))
    return pattern == token.text or (not token.native.isascii() and pattern in spellings(token.text, token.native))


def _hit(entry: Entry, start: int, end: int) -> Hit:
    return Hit(entry.concept, start, end, entry.language, entry.value, entry.is_ambiguous)


def _inside_hits(folded: FoldedText, lexicon: Lexicon) -> Iterator[Hit]:
    text, places = _without_separators(folded.text, lexicon)
    for position, char in enumerate(text):
        pair = text[position : position + 2]
        for key, entry in (*lexicon.inside.get(char, ()), *lexicon.inside.get(pair, ())):
            end = position + len(key)
            if text.startswith(key, position) and _is_whole_katakana(text, position, end):
                yield _hit(entry, places[position], places[end - 1] + 1)


def _without_separators(text: str, lexicon: Lexicon) -> tuple[str, list[int]]:
    """Join characters that stand alone with their neighbours: "裸 体" is "裸体", while "异性，感觉" stays apart."""
    runs = (range(*match.span()) for match in lexicon.unspaced_run.finditer(text))
    chars: list[str] = []
    places: list[int] = []
    previous: range | None = None
    for run in runs:
        if previous is not None:
            is_near = run.start - previous.stop <= MAX_SEPARATOR_CHARACTERS
            is_near = is_near and not any(char.isalnum() for char in text[previous.stop : run.start])
            if not (is_near and 1 in (len(run), len(previous))):
                chars.append(" ")
                places.append(previous.stop)
        chars.extend(text[run.start : run.stop])
        places.extend(run)
        previous = run
    return "".join(chars), places


def _is_whole_katakana(text: str, start: int, end: int) -> bool:
    """Whether a katakana entry is a word of its own: "エロ" is not part of "ピエロ"."""
    before, after = text[start - 1 : start], text[end : end + 1]
    return not (_is_katakana(before) and _is_katakana(text[start])) and not (
        _is_katakana(after) and _is_katakana(text[end - 1])
    )


def _is_katakana(char: str) -> bool:
    return "\u30a1" <= char <= "\u30fc"


def followed_by(first: Sequence[Hit], second: Sequence[Hit], limit: int) -> Iterator[tuple[Hit, Hit]]:
    """Yield the pairs in which a hit of `second` starts at most `limit` characters after one of `first` ends."""
    ordered = sorted(second, key=lambda hit: hit.start)
    starts = [hit.start for hit in ordered]
    for before in first:
        for index in range(bisect_left(starts, before.end), bisect_right(starts, before.end + limit)):
            yield before, ordered[index]


def without_harmless(hits: Sequence[Hit], *, protected: frozenset[str], sexual: frozenset[str]) -> list[Hit]:
    """Drop what harmless phrases explain; one that explains a sexual word leaves `protected` concepts in place.

    "Naked mole rat" is no nudity, and a child beside it stays a child.
    """
    explained: set[Hit] = set()
    starts = [hit.start for hit in hits]
    for span in (hit for hit in hits if hit.concept == HARMLESS):
        inside = hits[bisect_left(starts, span.start) : bisect_right(starts, span.end)]
        covered = [hit for hit in inside if hit.end <= span.end]
        keeps_protected = any(hit.concept in sexual for hit in covered)
        explained.update(hit for hit in covered if not (keeps_protected and hit.concept in protected))
    return [hit for hit in hits if hit not in explained]
