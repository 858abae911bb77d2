"""Which prompts are refused: rules on the concepts that the word lists name. The lists are in `words/`.

The rules name what is clearly disallowed and nothing that is merely bold: a word list cannot judge taste, and a refused
honest prompt is a fault too.
"""

import re
from collections.abc import Sequence

from danqing.safety.ages import age_hits
from danqing.safety.hits import Hit, find_hits, without_harmless
from danqing.safety.lexicon import load_lexicon
from danqing.safety.prompt_text import FoldedText, fold

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
    "a an the any all her his their wearing wear wears worn on with full of and or is no weight style very".split()
)


class Reading:
    """The concepts that a text names, with those that only words together name: ages, "young girl", "no clothes"."""

    def __init__(self, text: str) -> None:
        self.folded: FoldedText = fold(text)
        found = find_hits(self.folded, load_lexicon())
        self._hits = without_harmless(found, protected=_CHILDREN, sexual=_SEXUAL)
        self._hits += list(age_hits(self.folded, self._hits))
        self._hits += [*self._young_children(), *self._missing_clothes(), *self._breasts()]

    def of(self, *concepts: str) -> list[Hit]:
        """Return what names one of the concepts."""
        return [hit for hit in self._hits if hit.concept in concepts]

    def names(self, *concepts: str) -> bool:
        """Whether one of the concepts is named."""
        return any(hit.concept in concepts for hit in self._hits)

    @property
    def children_of_unsaid_age(self) -> list[Hit]:
        """Girls and boys who are not said to be adults."""
        grown = self.of("grown")
        return [child for child in self.of("girl_or_boy") if not any(self._is_grown(child, hit) for hit in grown)]

    def _is_grown(self, child: Hit, grown: Hit) -> bool:
        is_before = self._precedes(grown, child, MAX_GROWN_BEFORE)
        return is_before or self._precedes(child, grown, MAX_GROWN_AFTER)

    def _precedes(self, first: Hit, second: Hit, limit: int) -> bool:
        """Whether `first` stands before `second`, with no other person between them."""
        if not 0 <= second.start - first.end <= limit:
            return False
        between = (hit for hit in self.of("person") if first.end <= hit.start and hit.end <= second.start)
        return not any(between)

    def _young_children(self) -> list[Hit]:
        children, young = self.of("girl_or_boy"), self.of("young")
        return [
            Hit("minor", child.start, child.end, child.language)
            for child in children
            for hit in young
            if self._precedes(hit, child, MAX_YOUNG_BEFORE) or self._precedes(child, hit, MAX_YOUNG_AFTER)
        ]

    def _missing_clothes(self) -> list[Hit]:
        without, without_after, undress = self.of("without"), self.of("without_after"), self.of("undress")
        clothing, underwear = self.of("clothing"), self.of("underwear")
        pairs = [("nudity", first, second) for first in without for second in clothing]
        pairs += [("nudity", first, second) for first in clothing for second in without_after]
        pairs += [("suggestive", first, second) for first in without for second in underwear]
        pairs += [("suggestive", first, second) for first in undress for second in (*clothing, *underwear)]
        return [
            Hit(concept, first.start, second.end, first.language)
            for concept, first, second in pairs
            if 0 <= second.start - first.end <= MAX_WITHOUT_CLOTHES
            and not _ITEM_END.search(self.folded.text, first.end, second.start)
        ]

    def _breasts(self) -> list[Hit]:
        if self.names("nursing"):
            return []
        return [Hit("suggestive", hit.start, hit.end, hit.language) for hit in self.of("breast")]


def violated_category(prompt: str, *, negative_prompt: str = "", essential_only: bool) -> str | None:
    """Name what the prompts break together, None when they break nothing.

    A negative prompt says what to avoid: what it names is no wish for it, but avoiding clothes or adults is a wish too.
    """
    reading = Reading(prompt)
    category = _always_refused(reading)
    if category is None and negative_prompt:
        category = _refused_with_negative(reading, Reading(negative_prompt))
    if category is None and not essential_only:
        category = _refused_while_checked(reading)
    return category


def _always_refused(reading: Reading) -> str | None:
    if reading.names("child_abuse"):
        return MINORS
    if reading.names("minor") and reading.names("nudity", "sex", "suggestive"):
        return MINORS
    # A girl may be a woman to the one who writes it; a naked one has to be said to be.
    if reading.children_of_unsaid_age and reading.names("nudity", "sex"):
        return MINORS
    if reading.names("violence"):
        return VIOLENCE
    return ANIMALS if reading.names("animals") else None


def _refused_while_checked(reading: Reading) -> str | None:
    if reading.names("sex"):
        return EXPLICIT
    people = reading.of("person", "girl_or_boy")
    nude_people = (
        _distance(nudity, person) <= MAX_NUDE_PERSON for nudity in reading.of("nudity") for person in people
    )
    return NUDITY if not reading.names("art") and any(nude_people) else None


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


def _distance(first: Hit, second: Hit) -> int:
    return max(first.start, second.start) - min(first.end, second.end)
