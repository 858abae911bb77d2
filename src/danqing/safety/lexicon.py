"""The word lists in `words/`, read once and indexed for look-up. `words/README.md` describes their format."""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from danqing.safety.prompt_text import UNSPACED, UNSPACED_LETTER, fold

NUMBER = "number"
HARMLESS = "harmless"
_BRACES = re.compile(r"\{([^{}]*)\}")
_RUN = re.compile(r"(.)\1+")
MIN_GLUED_LETTERS = 3
MIN_STEM_LETTERS = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """One word or phrase of a list. An ambiguous one counts only where its language is known to be spoken."""

    concept: str
    language: str
    is_ambiguous: bool = False
    is_latin: bool = True
    value: int = 0


@dataclass(frozen=True, slots=True)
class Phrase:
    """What follows the first word of an entry of several words; a word that ends with "*" stands for its beginnings."""

    rest: tuple[str, ...]
    entry: Entry


@dataclass(eq=False)
class Lexicon:
    """Every entry, keyed by its folded spelling. Never changed once it is loaded, so look-ups may be cached."""

    words: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    stems: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    phrases: dict[str, list[Phrase]] = field(default_factory=lambda: defaultdict(list))
    phrase_stems: dict[str, list[Phrase]] = field(default_factory=lambda: defaultdict(list))
    # Chinese, Japanese and symbols: found anywhere, by their first two characters.
    inside: dict[str, list[tuple[str, Entry]]] = field(default_factory=lambda: defaultdict(list))
    function_words: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    number_words: set[str] = field(default_factory=set)
    letters: dict[str, str] = field(default_factory=dict)
    # Spellings to which a disguised word is reduced, and the words that reduce to them.
    by_leet_key: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    by_squeezed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    by_length_and_first: dict[tuple[int, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    # The first letters of what could begin an entry, to give up early.
    stem_starts: set[str] = field(default_factory=set)
    word_starts: set[str] = field(default_factory=set)
    # How long the words are that begin so, letters that look alike being the same.
    spelled_lengths: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    unspaced_run: re.Pattern[str] = re.compile("")


def leet_key(word: str) -> str:
    """Spell a word so that letters which digits and signs stand for are the same: 1 and | may mean i or l."""
    return word.replace("l", "i")


def squeezed(word: str) -> str:
    """Write repeated letters once."""
    return _RUN.sub(r"\1", word)


def expand_braces(entry: str) -> Iterator[str]:
    """Yield every spelling of an entry: "kid{,s}" is "kid" and "kids"."""
    braces = _BRACES.search(entry)
    if braces is None:
        yield " ".join(entry.split())
        return
    for choice in braces.group(1).split(","):
        yield from expand_braces(entry[: braces.start()] + choice + entry[braces.end() :])


@cache
def load_lexicon() -> Lexicon:
    """Read and index every list that is shipped."""
    lexicon = Lexicon()
    for path in sorted((files("danqing.safety") / "words").iterdir(), key=lambda path: path.name):
        if path.name.endswith(".toml"):
            _add_language(lexicon, path.name.removesuffix(".toml"), tomllib.loads(path.read_text(encoding="utf-8")))
    symbols = "".join({re.escape(start[0]) for start in lexicon.inside})
    lexicon.unspaced_run = re.compile(f"[{UNSPACED}{symbols}]+")
    lexicon.stem_starts = {stem[:MIN_STEM_LETTERS] for stem in (*lexicon.stems, *lexicon.phrase_stems)}
    lexicon.number_words = {
        word for word, entries in lexicon.words.items() if any(entry.concept == NUMBER for entry in entries)
    }
    lexicon.word_starts = {word[:MIN_GLUED_LETTERS] for word in lexicon.words}
    for key in lexicon.by_leet_key:
        lexicon.spelled_lengths[key[:MIN_GLUED_LETTERS]].add(len(key))
    return lexicon


def _add_language(lexicon: Lexicon, language: str, lists: dict[str, object]) -> None:
    tables = {name: table for name, table in lists.items() if isinstance(table, dict)}
    for concept, entries in tables["concepts"].items():
        _add_all(lexicon, entries, concept=concept, language=language)
    for concept, entries in tables.get("ambiguous", {}).items():
        _add_all(lexicon, entries, concept=concept, language=language, is_ambiguous=True)
    for value, entries in tables.get("numbers", {}).items():
        _add_all(lexicon, entries, concept=NUMBER, language=language, value=int(value))
    _add_all(lexicon, tables["harmless"]["phrases"], concept=HARMLESS, language=language)
    function_words = lists.get("function_words", [])
    assert isinstance(function_words, list)
    lexicon.function_words[language] = {fold(word).text for word in function_words}
    lexicon.letters[language] = str(lists.get("letters", ""))


def _add_all(
    lexicon: Lexicon, entries: list[str], *, concept: str, language: str, is_ambiguous: bool = False, value: int = 0
) -> None:
    for text in dict.fromkeys(spelling for entry in entries for spelling in expand_braces(entry)):
        is_latin = fold(text).native.isascii()
        _add(lexicon, text, Entry(concept, language, is_ambiguous, is_latin, value))


def _add(lexicon: Lexicon, text: str, entry: Entry) -> None:
    folded = fold(text)
    if UNSPACED_LETTER.search(folded.text) or not folded.tokens:
        key = folded.text.replace(" ", "")
        lexicon.inside[key[:2]].append((key, entry))
        return
    is_stem = [folded.text[token.end : token.end + 1] == "*" for token in folded.tokens]
    patterns = [token.text + "*" * stem for token, stem in zip(folded.tokens, is_stem, strict=True)]
    first = folded.tokens[0].text
    if len(patterns) > 1:
        index = lexicon.phrase_stems if is_stem[0] else lexicon.phrases
        index[first].append(Phrase(tuple(patterns[1:]), entry))
    elif is_stem[0]:
        lexicon.stems[first].append(entry)
    else:
        lexicon.words[first].append(entry)
        _add_disguises(lexicon, first, entry)


def _add_disguises(lexicon: Lexicon, word: str, entry: Entry) -> None:
    if len(word) < MIN_GLUED_LETTERS or entry.is_ambiguous:
        return
    lexicon.by_leet_key[leet_key(word)].add(word)
    lexicon.by_squeezed[squeezed(word)].add(word)
    lexicon.by_length_and_first[len(word), word[0]].add(word)
