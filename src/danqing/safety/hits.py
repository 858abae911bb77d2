"""Finding of listed words in a folded prompt, as they are written and in the disguises that people use.

Every look-up is bounded: tokens and prompts are cut into pieces of limited length, and no pattern can backtrack.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from danqing.safety.disguises import glued_words, hidden_spellings, spoken_languages
from danqing.safety.lexicon import HARMLESS, NUMBER, Entry, Lexicon, Phrase
from danqing.safety.prompt_text import UNSPACED_LETTER, FoldedText, Token, strict_look_alike

MAX_STEM_LETTERS = 24
MIN_STEM_LETTERS = 2
MAX_SEPARATOR_CHARACTERS = 3
# و، ف "and", ب "with", ل "to", ك "like", ال "the" are written together with the Arabic word they precede.
_ARABIC_PROCLITICS = re.compile(r"[وف]?(?:لل|[بلك]?(?:ال)?)")
_ARABIC_LETTER = re.compile(r"[\u0620-\u06ff]")
_MIN_ARABIC_WORD = 2


@dataclass(frozen=True, slots=True)
class Hit:
    """A concept named at `start` to `end` of the folded prompt; `value` is that of a number."""

    concept: str
    start: int
    end: int
    language: str
    value: int = 0
    is_ambiguous: bool = False


def find_hits(folded: FoldedText, lexicon: Lexicon) -> list[Hit]:
    """Find every listed word, in order of its place; ambiguous words only where their language is spoken."""
    found = dict.fromkeys(_all_hits(folded, lexicon))
    spoken = spoken_languages(folded, lexicon) | {
        hit.language for hit in found if not hit.is_ambiguous and hit.concept not in (HARMLESS, NUMBER)
    }
    hits = [hit for hit in found if not hit.is_ambiguous or hit.language in spoken]
    return sorted(hits, key=lambda hit: (hit.start, -hit.end))


def _all_hits(folded: FoldedText, lexicon: Lexicon) -> Iterator[Hit]:
    for token_index, token in enumerate(folded.tokens):
        if _is_tag_count(folded, token_index):
            continue
        for key in spellings(token):
            yield from _word_hits(lexicon, key, token)
            yield from _phrase_hits(folded, lexicon, key, token_index)
    for spelling in hidden_spellings(folded, lexicon):
        for entry in lexicon.words.get(spelling.word, ()):
            yield _hit(entry, spelling.start, spelling.end)
    for token in folded.tokens:
        for word in glued_words(token.text, lexicon):
            for entry in lexicon.words[word]:
                yield _hit(entry, token.start, token.end)
    yield from _inside_hits(folded, lexicon)


def spellings(token: Token) -> Iterator[str]:
    """Yield the spellings under which a token is looked up: its own, and an Arabic word without what it is joined to."""
    yield token.text
    if _ARABIC_LETTER.match(token.native):
        prefix = _ARABIC_PROCLITICS.match(token.native)
        length = prefix.end() if prefix else 0
        for cut in range(1, min(length, len(token.text) - _MIN_ARABIC_WORD) + 1):
            yield token.text[cut:]


def _is_tag_count(folded: FoldedText, token_index: int) -> bool:
    """Whether the token is "girl" in the tag "1girl", which counts figures of any age."""
    token = folded.tokens[token_index]
    previous = folded.tokens[token_index - 1] if token_index else None
    is_tag = token.text in ("girl", "girls", "boy", "boys")
    return is_tag and previous is not None and previous.end == token.start and len(previous.text) == 1


def _word_hits(lexicon: Lexicon, key: str, token: Token) -> Iterator[Hit]:
    is_cyrillic = "\u0400" <= token.native[0] <= "\u052f" and not token.native.isascii()
    may_be_latin = not is_cyrillic or _is_mixed(token) or _is_latin_by_unicode(token)
    for entry in lexicon.words.get(key, ()):
        if may_be_latin or not entry.is_latin:
            yield _hit(entry, token.start, token.end)
    for length in range(MIN_STEM_LETTERS, min(len(key), MAX_STEM_LETTERS) + 1):
        for entry in lexicon.stems.get(key[:length], ()):
            if may_be_latin or not entry.is_latin:
                yield _hit(entry, token.start, token.end)


def _is_mixed(token: Token) -> bool:
    return any(char.isascii() for char in token.native)


def _is_latin_by_unicode(token: Token) -> bool:
    """Whether every letter of a word looks Latin by Unicode's table; Russian "тот" is no English "tot"."""
    return all(strict_look_alike(char) for char in token.native)


def _phrase_hits(folded: FoldedText, lexicon: Lexicon, key: str, token_index: int) -> Iterator[Hit]:
    candidates: list[Phrase] = list(lexicon.phrases.get(key, ()))
    for length in range(MIN_STEM_LETTERS, min(len(key), MAX_STEM_LETTERS) + 1):
        candidates.extend(lexicon.phrase_stems.get(key[:length], ()))
    for phrase in candidates:
        following = folded.tokens[token_index + 1 : token_index + 1 + len(phrase.rest)]
        if len(following) == len(phrase.rest) and all(map(_matches, phrase.rest, following)):
            yield _hit(phrase.entry, folded.tokens[token_index].start, following[-1].end)


def _matches(pattern: str, token: Token) -> bool:
    if pattern.endswith("*"):
        return any(spelling.startswith(pattern[:-1]) for spelling in spellings(token))
    return pattern == token.text or (token.native[0] > "\u0600" and pattern in spellings(token))


def _hit(entry: Entry, start: int, end: int) -> Hit:
    return Hit(entry.concept, start, end, entry.language, entry.value, entry.is_ambiguous)


def _inside_hits(folded: FoldedText, lexicon: Lexicon) -> Iterator[Hit]:
    text, places = _without_separators(folded.text, lexicon)
    for position, char in enumerate(text):
        for key, entry in lexicon.inside.get(char, ()):
            end = position + len(key)
            if text.startswith(key, position) and _is_whole_katakana(text, position, end):
                yield _hit(entry, places[position], places[end - 1] + 1)


def _without_separators(text: str, lexicon: Lexicon) -> tuple[str, list[int]]:
    """Join characters that stand alone with their neighbours: "裸 体" is "裸体", while "异性，感觉" stays apart."""
    runs = _unspaced_runs(text, lexicon)
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


def _unspaced_runs(text: str, lexicon: Lexicon) -> Iterator[range]:
    start: int | None = None
    for position, char in enumerate(text):
        if UNSPACED_LETTER.match(char) or (char in lexicon.inside and not char.isascii()):
            start = position if start is None else start
        elif start is not None:
            yield range(start, position)
            start = None
    if start is not None:
        yield range(start, len(text))


def _is_whole_katakana(text: str, start: int, end: int) -> bool:
    """Whether a katakana entry is a word of its own: "エロ" is not part of "ピエロ"."""
    before, after = text[start - 1 : start], text[end : end + 1]
    return not (_is_katakana(before) and _is_katakana(text[start])) and not (
        _is_katakana(after) and _is_katakana(text[end - 1])
    )


def _is_katakana(char: str) -> bool:
    return "\u30a1" <= char <= "\u30fc"


def without_harmless(hits: Sequence[Hit], *, protected: frozenset[str], sexual: frozenset[str]) -> list[Hit]:
    """Drop what harmless phrases explain; one that explains a sexual word leaves `protected` concepts in place.

    "Naked mole rat" is no nudity, and a child beside it stays a child.
    """
    spans = [hit for hit in hits if hit.concept == HARMLESS]
    kept = []
    for hit in hits:
        covers = [span for span in spans if span.start <= hit.start and hit.end <= span.end]
        if hit.concept in protected:
            covers = [span for span in covers if not _covers_any(span, hits, sexual)]
        if not covers and hit.concept != HARMLESS:
            kept.append(hit)
    return kept


def _covers_any(span: Hit, hits: Sequence[Hit], concepts: frozenset[str]) -> bool:
    return any(hit.concept in concepts and span.start <= hit.start and hit.end <= span.end for hit in hits)
