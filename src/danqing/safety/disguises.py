"""Disguises that hide a listed word from a plain look-up: digits for letters, separators, gaps, stretching, gluing.

Only what looks disguised is tried, so that plain text cannot be misread: "pen is" stays two words.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from danqing.safety.lexicon import MIN_GLUED_LETTERS, Lexicon, leet_key, squeezed
from danqing.safety.prompt_text import FoldedText, Token

MAX_CHUNK_CHARACTERS = 80
MAX_WORD_LETTERS = 20
MAX_MASKED_WORDS = 40
MAX_GAP_CHARACTERS = 4
MAX_CACHED_CHUNKS = 5_000
MIN_JOINED_LETTERS = 5
MIN_DOUBLED_LETTERS = 4
MIN_SPELLED_LETTERS = 3
_CHUNK = re.compile(r"\S+")
_LEET = str.maketrans(dict(zip("0123456789@$!|+€£¢¥(<", "oizeasgtbgasiiteicycc", strict=True)))
_LEET_SIGNS = frozenset("0123456789@$!|+€£¢¥(<")
_SEPARATORS = re.compile(r"[-_/.,:;~=\\#&^%·•…*\"'()\[\]{}]+")
_MASKS = frozenset("*#•●?_-.")
_ENDS = ".,;:!?\"')(]["
_DOUBLED = re.compile(r"(.)\1")
_TRIPLED = re.compile(r"(.)\1\1")
_MASKED = re.compile(r"(?<![a-z*#•●?_.-])[a-z]++(?:[*#•●?_.-]++[a-z]*+)++")
GLUED_CONCEPTS = frozenset(
    ("minor", "girl_or_boy", "young", "nudity", "sex", "suggestive", "person", "violence", "child_abuse", "grown")
)


class Spelling(NamedTuple):
    """A listed word that a stretch of the text may stand for."""

    word: str
    start: int
    end: int


def hidden_spellings(folded: FoldedText, lexicon: Lexicon) -> Iterator[Spelling]:
    """Yield the listed words that the text may hide in more than one word, or among signs."""
    for match in _CHUNK.finditer(folded.text):
        # Windows overlap, so that no word is cut by every one.
        for start in range(match.start(), match.end(), MAX_CHUNK_CHARACTERS - MAX_WORD_LETTERS):
            chunk = folded.text[start : min(start + MAX_CHUNK_CHARACTERS, match.end())]
            if not chunk.isalpha():
                words = _in_chunk(chunk, lexicon)
                yield from (Spelling(word, start, start + len(chunk)) for word in words)
    yield from _masked(folded, lexicon)
    yield from _spelled_out(folded, lexicon)
    yield from _split(folded, lexicon)


def spoken_languages(folded: FoldedText, lexicon: Lexicon) -> set[str]:
    """Return the languages that show by two of their small words, or by a letter that only they use."""
    words = {token.text for token in folded.tokens}
    return {
        language
        for language, function_words in lexicon.function_words.items()
        if len(function_words & words) > 1 or any(letter in folded.accented for letter in lexicon.letters[language])
    }


def glued_words(text: str, lexicon: Lexicon) -> tuple[str, ...]:
    """Split a word that is made of listed words alone, such as "nakedchild"; empty if it is not.

    In a word longer than any real one, every listed word counts.
    """
    if len(text) < 2 * MIN_GLUED_LETTERS or text in lexicon.words:
        return ()
    if len(text) > MAX_CHUNK_CHARACTERS:
        return tuple(_words_inside(text, lexicon))
    # best[i] holds the fewest listed words that spell text[:i].
    best: list[tuple[str, ...] | None] = [()] + [None] * len(text)
    for end in range(MIN_GLUED_LETTERS, len(text) + 1):
        for start in range(max(0, end - MAX_WORD_LETTERS), end - MIN_GLUED_LETTERS + 1):
            before, word = best[start], text[start:end]
            if before is not None and _may_be_glued(word, lexicon):
                current = best[end]
                if current is None or len(before) + 1 < len(current):
                    best[end] = (*before, word)
    return best[-1] or ()


def _words_inside(text: str, lexicon: Lexicon) -> set[str]:
    starts = (start for start in range(len(text)) if text[start : start + MIN_GLUED_LETTERS] in lexicon.word_starts)
    spans = ((start, length) for start in starts for length in range(MIN_DOUBLED_LETTERS, MAX_WORD_LETTERS + 1))
    words = {text[start : start + length] for start, length in spans}
    return {word for word in words if _may_be_glued(word, lexicon)}


def _may_be_glued(word: str, lexicon: Lexicon) -> bool:
    return any(entry.concept in GLUED_CONCEPTS and not entry.is_ambiguous for entry in lexicon.words.get(word, ()))


def stretched_words(text: str, lexicon: Lexicon) -> Iterator[str]:
    """Yield the listed words of which the text repeats letters: "nuuude", "nnuuddee", and in English "nudde"."""
    if not _DOUBLED.search(text):
        return
    is_stretched = _TRIPLED.search(text) or len(_DOUBLED.findall(text)) > 1
    for word in lexicon.by_squeezed.get(squeezed(text), ()):
        may_double = len(word) >= MIN_DOUBLED_LETTERS and any(entry.language == "en" for entry in lexicon.words[word])
        if word != text and (is_stretched or may_double) and _run_lengths_cover(text, word):
            yield word


def _run_lengths_cover(text: str, word: str) -> bool:
    """Whether every run of equal letters is at least as long as in the word."""
    runs = zip(_runs(text), _runs(word), strict=True)
    return all(length >= word_length for length, word_length in runs)


def _runs(text: str) -> list[int]:
    lengths: list[int] = []
    for position, char in enumerate(text):
        if position and char == text[position - 1]:
            lengths[-1] += 1
        else:
            lengths.append(1)
    return lengths


def redrawn_words(text: str, native: str, lexicon: Lexicon) -> Iterator[str]:
    """Yield listed words in which two letters draw one, or a letter of another script stands for i or l."""
    for pair, letter in (("rn", "m"), ("vv", "w"), ("cl", "d")):
        if pair in text and text.replace(pair, letter) in lexicon.words:
            yield text.replace(pair, letter)
    if text != native:
        yield from lexicon.by_leet_key.get(leet_key(text), ())


@lru_cache(maxsize=MAX_CACHED_CHUNKS)
def _in_chunk(chunk: str, lexicon: Lexicon) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_disguised_words(chunk, lexicon)))


def _disguised_words(chunk: str, lexicon: Lexicon) -> Iterator[str]:
    """Yield words in a stretch without spaces that holds more than letters: "n.u.d.e", "n4k3d", "nude_ch1ld"."""
    chunk = chunk.rstrip(_ENDS).lstrip("\"'([")
    for part in {chunk, *_SEPARATORS.split(chunk)}:
        if any(char.isalpha() for char in part) and any(char in _LEET_SIGNS for char in part):
            key = leet_key("".join(char for char in part.translate(_LEET) if char.isalpha()))
            yield from lexicon.by_leet_key.get(key, ())
            yield from _glued_leet(key, lexicon)
    letters = "".join(char for char in chunk if char.isalpha())
    if letters != chunk and len(letters) >= MIN_GLUED_LETTERS:
        if letters in lexicon.words and not chunk[0].isdigit():
            yield letters
        yield from glued_words(letters, lexicon)


def _glued_leet(key: str, lexicon: Lexicon) -> Iterator[str]:
    """Yield two words that spell the key together."""
    for cut in range(MIN_GLUED_LETTERS, min(len(key), MAX_WORD_LETTERS) - MIN_GLUED_LETTERS + 1):
        left, right = lexicon.by_leet_key.get(key[:cut]), lexicon.by_leet_key.get(key[cut:])
        if left and right:
            yield from (word for word in (*left, *right) if _may_be_glued(word, lexicon))


def _masked(folded: FoldedText, lexicon: Lexicon) -> Iterator[Spelling]:
    """Yield words with letters left out: "n*de"."""
    for count, match in enumerate(_MASKED.finditer(folded.text)):
        if count == MAX_MASKED_WORDS:
            return
        masked = match.group()
        if len(masked) > MAX_WORD_LETTERS or not any(char in "*#•●?" for char in masked):
            continue
        for word in lexicon.by_length_and_first.get((len(masked), masked[0]), ()):
            pairs = zip(masked, word, strict=True)
            if all(char == letter or char in _MASKS for char, letter in pairs):
                yield Spelling(word, match.start(), match.end())


def _spelled_out(folded: FoldedText, lexicon: Lexicon) -> Iterator[Spelling]:
    """Yield words whose letters stand apart: "n u d e"."""
    run: list[Token] = []
    for token in (*folded.tokens, None):
        is_next = token is not None and (not run or 1 <= token.start - run[-1].end <= MAX_GAP_CHARACTERS)
        if token is not None and len(token.text) == 1 and is_next:
            run.append(token)
            continue
        if len(run) >= MIN_SPELLED_LETTERS:
            yield from _in_run(run, lexicon)
        run = [token] if token is not None and len(token.text) == 1 else []


def _in_run(run: list[Token], lexicon: Lexicon) -> Iterator[Spelling]:
    letters = "".join(token.text for token in run)
    key = leet_key(letters.translate(_LEET))
    for start in range(len(letters)):
        for length in lexicon.spelled_lengths.get(key[start : start + MIN_GLUED_LETTERS], ()):
            end = min(start + length, len(letters))
            words = () if letters[start:end].isdigit() else lexicon.by_leet_key.get(key[start:end], ())
            yield from (Spelling(word, run[start].start, run[end - 1].end) for word in words)


def _split(folded: FoldedText, lexicon: Lexicon) -> Iterator[Spelling]:
    """Yield words cut in two or three: "na ked". Numbers and small words of a spoken language are no parts."""
    small_words = lexicon.number_words.union(
        lexicon.function_words["en"],
        *(lexicon.function_words[language] for language in spoken_languages(folded, lexicon)),
    )
    for first in range(len(folded.tokens) - 1):
        are_letters = len(folded.tokens[first].text) == len(folded.tokens[first + 1].text) == 1
        if are_letters or folded.tokens[first].text in small_words:
            continue
        for count in (2, 3):
            parts = folded.tokens[first : first + count]
            joined = "".join([part.text for part in parts])
            if len(parts) == count and joined in lexicon.words and _is_cut(parts, joined, small_words):
                yield Spelling(joined, parts[0].start, parts[-1].end)


def _is_cut(parts: tuple[Token, ...], joined: str, small_words: set[str]) -> bool:
    if any(after.start - before.end > MAX_GAP_CHARACTERS for before, after in pairwise(parts)):
        return False
    if any(part.is_number or part.text in small_words for part in parts):
        return False
    has_lone_letter = any(len(part.text) == 1 for part in parts)
    return len(joined) >= MIN_JOINED_LETTERS - has_lone_letter
