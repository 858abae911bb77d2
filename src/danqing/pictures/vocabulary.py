"""The vocabulary of a checkpoint: the English words that it was trained on, and what else a prompt names.

It would rather miss a word than complain about one: prompts that are not clearly English are not judged.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_NAMED_WORDS = 8

_WORD = re.compile(r"[a-z]+(?:['’-][a-z]+)*")
# What stands on a sign is drawn as letters. An apostrophe within a word begins no quotation.
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|(?<![a-z0-9])'[^']*'(?![a-z0-9])", re.IGNORECASE)
_CONTRACTION = re.compile(r"[a-z]+n't|[a-z]+'(?:re|ve|ll|d|m)|(?:it|he|she|that|there|what|let)'s")
# Words that name nothing to draw.
_STOP_TEXT = """
a about across after again all along also although always am an and another any are around as at away back be
because been before being between both but by can could did do does doing done down during each either enough even
ever every few for from further get gets give given go goes going gone got had has have having he her here hers him
his how i if in into is it its itself just kind least less let lets like lot lots made make makes making may me
might mine more most much must my myself no nor not of off on once one only onto or other others our ours out over
own please quite rather really same see seems several shall she should show shows showing since so some someone
something sort still such than that the their theirs them then there these they thing things this those through
to together too toward towards two under until up upon us use used using very want was we well were what when where
whether which while who whom whose why will with within without would yes yet you your yours
"""
_STOP_WORDS = frozenset(_STOP_TEXT.split())
# Words of other languages that English lacks: one of them, and the prompt is not judged.
_FOREIGN_TEXT = """
aber auf aus beim bei dem der des ein eine einem einen einer eines im ist mit oder sind und unter vom von vor zum zur
au aux avec chez dans des du elle est et les leur mais nous ou par que qui ses sous sur un une vous
con del desde donde el ella entre esta hasta los las para pero por sobre una unas unos
alla che con dalla degli dei della delle di gli il lo nel nella per sulla sotto
da das em na nas nos numa uma um ao pela pelo sob
een het voor
"""
_FOREIGN_WORDS = frozenset(_FOREIGN_TEXT.split())
# A longer prompt of which less than this is known is taken for another language, or for names and typing errors.
_LEAST_KNOWN = 1 / 3
_FEW_WORDS = 3


@dataclass(frozen=True)
class Vocabulary:
    """The words of a checkpoint, in lower case, and its name."""

    checkpoint: str
    words: frozenset[str]

    def unknown_words(self, prompt: str) -> tuple[str, ...]:
        """Return the words of an English prompt that are not known, in order and each once; none for other prompts."""
        text = _QUOTED.sub(" ", prompt).lower()
        if any(character.isalpha() and not character.isascii() for character in text):
            return ()
        words = [word.replace("’", "'") for word in _WORD.findall(text)]
        if any(word in _FOREIGN_WORDS and word not in self.words for word in words):
            return ()
        unknown = [word for word in words if not self._knows(word)]
        if len(words) > _FEW_WORDS and len(words) - len(unknown) < _LEAST_KNOWN * len(words):
            return ()
        return tuple(dict.fromkeys(word.removesuffix("'s") for word in unknown))

    def warning(self, prompt: str) -> str | None:
        """Return the sentence that names the unknown words; None where there are none."""
        unknown = self.unknown_words(prompt)
        if not unknown:
            return None
        named, rest = unknown[:MAX_NAMED_WORDS], len(unknown) - MAX_NAMED_WORDS
        return f"{self.checkpoint} does not know: {', '.join(named)}{f' and {rest} more' if rest > 0 else ''}"

    def _knows(self, word: str) -> bool:
        if len(word) == 1 or _CONTRACTION.fullmatch(word):
            return True
        parts = word.split("-")
        return self._knows_form(word) or (len(parts) > 1 and all(len(part) < 2 or self._knows(part) for part in parts))

    def _knows_form(self, word: str) -> bool:
        return any(form in self.words or form in _STOP_WORDS for form in _forms(word))


def _forms(word: str) -> Iterator[str]:
    """Yield the word and what it may be a form of: cats, foxes, cherries, wolves, rex's, firemen, sitting, baked."""
    word = word.removesuffix("'s").removesuffix("'")
    yield word
    yield word.replace("-", "")
    for ending, replacements in (
        ("s", ("",)),
        ("es", ("",)),
        ("ies", ("y",)),
        ("ves", ("f", "fe")),
        ("men", ("man",)),
        ("ing", ("", "e")),
        ("ed", ("", "e")),
        ("er", ("", "e")),
        ("y", ("", "e")),
    ):
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < 2:
            continue
        for replacement in replacements:
            yield stem + replacement
        if stem[-1] == stem[-2]:
            yield stem[:-1]
    # The other way: "a sunset" is known where "sunsets" is.
    yield from (word + "s", word + "es")
