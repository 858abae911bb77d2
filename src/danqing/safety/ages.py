"""Ages in figures and words: which numbers in a prompt are years of life, and whether they make a minor or an adult."""

import re
from collections.abc import Iterator, Sequence

from danqing.safety.hits import Hit
from danqing.safety.lexicon import NUMBER
from danqing.safety.prompt_text import FoldedText

ADULT_AGE_YEARS = 18
MAX_AGE_YEARS = 120
# "girl, 3" is more often a count than an age.
MIN_BARE_AGE_YEARS = 4
MAX_GAP_CHARACTERS = 3
MAX_THING_BEFORE_CHARACTERS = 6
MAX_THING_AFTER_CHARACTERS = 14
_CHINESE_AGE = re.compile(r"([一二两兩三四五六七八九]?十[一二三四五六七八九]?|[一二两兩三四五六七八九])[岁歲歳才周]")
_CHINESE_DIGITS = {char: value for value, chars in enumerate(("", "一", "二两兩", *"三四五六七八九")) for char in chars}
_BETWEEN_PARTS = re.compile(r"[\s-]{1,3}| (?:and|y|e|und|et) ")
_AFTER_CHILD = re.compile(r"[^\w]{1,3}| (?:of|age|aged|is|at) ")
_END_OF_ITEM = re.compile(r"\s*(?:[,;.)\]\n]|$)")


def age_hits(folded: FoldedText, hits: Sequence[Hit]) -> Iterator[Hit]:
    """Yield a hit of `minor` or `grown` for every age: "13 year old", "aged 9", "girl (12)", "十三岁"."""
    by_concept = {name: [hit for hit in hits if hit.concept == name] for name in ("years", "age", "duration")}
    things = [hit for hit in hits if hit.concept == "aged_things"]
    people = [hit for hit in hits if hit.concept in ("minor", "girl_or_boy", "person")]
    for number in _numbers(folded, hits):
        if any(_touches(folded, duration, number) for duration in by_concept["duration"]):
            continue
        years = [hit for hit in by_concept["years"] if _touches(folded, number, hit)]
        end = max((hit.end for hit in years), default=number.end)
        is_age = bool(years) or any(_touches(folded, age, number) for age in by_concept["age"])
        is_age = is_age or _is_bare_age(folded, number, hits)
        if is_age and not _is_age_of_thing(number.start, end, things, people):
            yield _hit(number.value, number.start, end)
    for match in _CHINESE_AGE.finditer(folded.text):
        if not any(match.end() - 1 <= thing.start <= match.end() + MAX_GAP_CHARACTERS for thing in things):
            yield _hit(_chinese_number(match.group(1)), match.start(), match.end())


def _hit(age_years: int, start: int, end: int) -> Hit:
    return Hit("minor" if age_years < ADULT_AGE_YEARS else "grown", start, end, "", age_years)


def _numbers(folded: FoldedText, hits: Sequence[Hit]) -> list[Hit]:
    """Return the numbers that could be ages, compound ones as one: "twenty-three", "1 3"."""
    words = [hit for hit in hits if hit.concept == NUMBER]
    longest = [hit for hit in words if not any(_is_inside(hit, other) for other in words)]
    figures = [
        Hit(NUMBER, token.start, token.end, "", int(token.text))
        for token in folded.tokens
        if token.is_number and len(token.text) <= len(str(MAX_AGE_YEARS))
    ]
    numbers: list[Hit] = []
    for number in sorted({*longest, *figures}, key=lambda hit: (hit.start, -hit.end)):
        compound = _compound(folded, numbers[-1], number) if numbers else None
        if compound is not None:
            numbers[-1] = compound
        elif not numbers or number.start >= numbers[-1].end:
            numbers.append(number)
    return [number for number in numbers if 0 < number.value <= MAX_AGE_YEARS]


def _is_inside(hit: Hit, other: Hit) -> bool:
    return other.start <= hit.start and hit.end <= other.end and other.end - other.start > hit.end - hit.start


def _compound(folded: FoldedText, before: Hit, number: Hit) -> Hit | None:
    gap = folded.text[before.end : number.start]
    if number.start <= before.end:
        return None
    are_figures = folded.text[before.start].isdigit() and folded.text[number.start].isdigit()
    if are_figures:
        are_split = gap == " " and number.end - number.start == before.end - before.start == 1
        return Hit(NUMBER, before.start, number.end, "", before.value * 10 + number.value) if are_split else None
    # Tens before units, or after them where "and" is part of the word, as in Arabic.
    is_tens_first = before.value >= 20 and before.value % 10 == 0 and number.value < 20
    is_units_first = before.value < 10 and number.value >= 20 and folded.native[number.start - 1] == "و"
    if is_units_first or (is_tens_first and _BETWEEN_PARTS.fullmatch(gap)):
        return Hit(NUMBER, before.start, number.end, before.language, before.value + number.value)
    return None


def _touches(folded: FoldedText, before: Hit, after: Hit) -> bool:
    gap = folded.text[before.end : after.start]
    is_near = 0 <= after.start - before.end <= MAX_GAP_CHARACTERS
    return is_near and not any(char.isalnum() for char in gap)


def _is_bare_age(folded: FoldedText, number: Hit, hits: Sequence[Hit]) -> bool:
    """Whether the number follows a girl or a boy as an item of its own: "girl, 15, smiling"."""
    if not MIN_BARE_AGE_YEARS <= number.value < ADULT_AGE_YEARS or not _END_OF_ITEM.match(folded.text, number.end):
        return False
    return any(
        hit.concept == "girl_or_boy" and _AFTER_CHILD.fullmatch(folded.text[hit.end : number.start]) for hit in hits
    )


def _is_age_of_thing(start: int, end: int, things: Sequence[Hit], people: Sequence[Hit]) -> bool:
    for thing in things:
        is_before = 0 <= start - thing.end <= MAX_THING_BEFORE_CHARACTERS
        is_after = 0 <= thing.start - end <= MAX_THING_AFTER_CHARACTERS
        if is_before or (is_after and not any(end <= person.start < thing.start for person in people)):
            return True
    return False


def _chinese_number(text: str) -> int:
    tens, ten, units = text.rpartition("十")
    return (_CHINESE_DIGITS.get(tens, 1) * 10 if ten else 0) + _CHINESE_DIGITS.get(units, 0)
