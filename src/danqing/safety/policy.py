"""Which prompts are refused: rules on the concepts that the word lists name. The lists are in `words/`.

The rules name what is clearly disallowed and nothing that is merely bold: a word list cannot judge taste, and a refused
honest prompt is a fault too.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from danqing.safety.ages import age_hits
from danqing.safety.hits import Hit, find_hits, followed_by, without_harmless
from danqing.safety.lexicon import load_lexicon
from danqing.safety.prompt_text import UNSPACED_LETTER, FoldedText, fold

POLICY_NAME = "danqing-policy-2"

MINORS = "sexual content involving minors"
VIOLENCE = "sexual violence"
ANIMALS = "sexual content with animals"
EXPLICIT = "explicit sexual content"
NUDITY = "nudity"

# Distances in characters of the folded prompt.
MAX_YOUNG_BEFORE = 30
MAX_YOUNG_AFTER = 20
MAX_GROWN_BEFORE = 12
MAX_GROWN_AFTER = 15
MAX_WITHOUT_CLOTHES = 12
MAX_NUDE_PERSON = 40
MIN_GARMENTS_AVOIDED = 3

_SEXUAL = frozenset(("nudity", "sex", "suggestive", "breast", "violence", "animals", "child_abuse"))
_CHILDREN = frozenset(("minor", "girl_or_boy"))
_ITEM_END = re.compile(r"[,;|/\n.()\[\]、，。；：:{}]+")
_FILLERS = frozenset(
    (
        "a",
        "an",
        "the",
        "any",
        "all",
        "her",
        "his",
        "their",
        "wearing",
        "worn",
        "on",
        "with",
        "full",
        "of",
        "and",
        "or",
        "very",
    )
)


class Reading:
    """The concepts that a text names, with those that only words together name: ages, "young girl", "no clothes".

    The languages of the text `beside` it count as spoken here.
    """

    def __init__(self, text: str, *, beside: "Reading | None" = None) -> None:
        lexicon = load_lexicon()
        self.folded: FoldedText = fold(text)
        self._small_words = _FILLERS.union(*lexicon.function_words.values())
        found = find_hits(self.folded, lexicon)
        self.languages = found.languages
        spoken = found.spoken(also=beside.languages if beside else frozenset())
        self._hits: dict[str, list[Hit]] = defaultdict(list)
        self._add(without_harmless(spoken, protected=_CHILDREN, sexual=_SEXUAL))
        self._add(age_hits(self.folded, self.of))
        self._add([*self._young_children(), *self._missing_clothes(), *self._breasts()])

    def _add(self, hits: Iterable[Hit]) -> None:
        for hit in hits:
            self._hits[hit.concept].append(hit)

    def of(self, *concepts: str) -> list[Hit]:
        """Return what names one of the concepts."""
        return [hit for concept in concepts for hit in self._hits.get(concept, ())]

    def names(self, *concepts: str) -> bool:
        """Whether one of the concepts is named."""
        return any(concept in self._hits for concept in concepts)

    @property
    def children_of_unsaid_age(self) -> list[Hit]:
        """Girls and boys who are not said to be adults."""
        children, grown = self.of("girl_or_boy"), self.of("grown")
        adults = {child for _, child in self._described(grown, children, MAX_GROWN_BEFORE)}
        # In "girl, adult man" the man is the adult.
        of_others = {hit for hit, _ in followed_by(grown, self.of("person"), MAX_GROWN_BEFORE)}
        after = [hit for hit in grown if hit not in of_others]
        adults |= {child for child, _ in self._described(children, after, MAX_GROWN_AFTER)}
        return [child for child in children if child not in adults]

    def _described(self, first: Sequence[Hit], second: Sequence[Hit], limit: int) -> Iterator[tuple[Hit, Hit]]:
        """Yield the pairs with no other person between them."""
        people = sorted(hit.start for hit in self.of("person"))
        for before, after in followed_by(first, second, limit):
            if bisect_left(people, before.end) == bisect_left(people, after.start):
                yield before, after

    def _young_children(self) -> list[Hit]:
        children, young = self.of("girl_or_boy"), self.of("young")
        young_children = {child for _, child in self._described(young, children, MAX_YOUNG_BEFORE)}
        young_children |= {child for child, _ in self._described(children, young, MAX_YOUNG_AFTER)}
        return [child._replace(concept="minor") for child in young_children]

    def _missing_clothes(self) -> Iterator[Hit]:
        without, without_after, undress = self.of("without"), self.of("without_after"), self.of("undress")
        clothing, underwear = self.of("clothing"), self.of("underwear")
        wordings = (
            ("nudity", without, clothing),
            ("nudity", clothing, without_after),
            ("suggestive", without, underwear),
            ("suggestive", undress, self.of("clothing", "underwear")),
        )
        for concept, first, second in wordings:
            for before, after in followed_by(first, second, MAX_WITHOUT_CLOTHES):
                if self._is_small(before.end, after.start):
                    yield Hit(concept, before.start, after.end, before.language)

    def _is_small(self, start: int, end: int) -> bool:
        """Whether only small words stand there: "without her clothes", but not "without stains on clothes"."""
        gap = self.folded.text[start:end]
        is_small = all(word in self._small_words for word in gap.split())
        return is_small and not _ITEM_END.search(gap) and not UNSPACED_LETTER.search(gap)

    def _breasts(self) -> list[Hit]:
        if self.names("nursing"):
            return []
        return [Hit("suggestive", hit.start, hit.end, hit.language) for hit in self.of("breast")]


def violated_category(prompt: str, *, negative_prompt: str = "", essential_only: bool) -> str | None:
    """Name what the prompts break together, None when they break nothing.

    A negative prompt says what to avoid: what it names is no wish for it, but avoiding clothes or adults is a wish too.
    """
    negative = Reading(negative_prompt)
    reading = Reading(prompt, beside=negative)
    category = _always_refused(reading) or _refused_with_negative(reading, negative)
    if category is None and not essential_only:
        category = _refused_while_checked(reading)
    return category


def _always_refused(reading: Reading) -> str | None:
    if reading.names("child_abuse"):
        return MINORS
    if reading.names("minor") and reading.names("nudity", "sex", "suggestive"):
        return MINORS
    # A girl may be a woman to the one who writes it; a naked one has to be said to be.
    if (reading.children_of_unsaid_age or reading.names("bare_age")) and reading.names("nudity", "sex"):
        return MINORS
    if reading.names("violence"):
        return VIOLENCE
    return ANIMALS if reading.names("animals") else None


def _refused_while_checked(reading: Reading) -> str | None:
    if reading.names("sex"):
        return EXPLICIT
    if reading.names("art"):
        return None
    people, nudity = reading.of("person", "girl_or_boy"), reading.of("nudity")
    nude_people = chain(followed_by(people, nudity, MAX_NUDE_PERSON), followed_by(nudity, people, MAX_NUDE_PERSON))
    # A wording may hold its person: "topless woman".
    named_together = (hit.start <= person.start < hit.end for hit in nudity for person in people)
    return NUDITY if any(nude_people) or any(named_together) else None


def _refused_with_negative(reading: Reading, negative: Reading) -> str | None:
    has_child = reading.names("minor") or bool(reading.children_of_unsaid_age)
    if has_child and (_avoids_clothes(negative) or (reading.names("minor") and negative.names("uncovered"))):
        return MINORS
    is_explicit = reading.names("nudity", "sex")
    if (is_explicit or reading.names("suggestive")) and _avoids(negative, "grown"):
        return MINORS
    says_age = any(hit.value for hit in reading.of("grown"))
    return MINORS if is_explicit and not says_age and _avoids(negative, "old") else None


def _avoids_clothes(negative: Reading) -> bool:
    if _avoids(negative, "clothing"):
        return True
    garments = {negative.folded.text[hit.start : hit.end] for hit in negative.of("garment", "underwear")}
    return len(garments) >= MIN_GARMENTS_AVOIDED and not negative.names("nudity")


def _avoids(negative: Reading, concept: str) -> bool:
    """Whether an item of the list names the concept and nothing else: "clothes", but not "torn clothes"."""
    text = negative.folded.text
    avoided = negative.of(concept)
    explained = [*avoided, *negative.of("person", "clothing", "garment")]
    start = 0
    for item_end in (*(match.start() for match in _ITEM_END.finditer(text)), len(text)):
        words = [token for token in negative.folded.tokens if start <= token.start < item_end and not token.is_number]
        is_named = any(start <= hit.start < item_end for hit in avoided)
        if is_named and all(_is_explained(word.text, word.start, explained) for word in words):
            return True
        start = item_end
    return False


def _is_explained(word: str, start: int, hits: Sequence[Hit]) -> bool:
    return word in _FILLERS or any(hit.start <= start < hit.end for hit in hits)
