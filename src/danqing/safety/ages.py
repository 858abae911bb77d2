"""Ages in figures and words: which numbers in a prompt are years of life, and whether they make a minor or an adult."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

from danqing.safety.hits import Hit, followed_by
from danqing.safety.lexicon import NUMBER
from danqing.safety.prompt_text import FoldedText

ADULT_AGE_YEARS = 18
MAX_AGE_YEARS = 120
# "girl, 3" is more often a count than an age.
MIN_BARE_AGE_YEARS = 4
MAX_GAP_CHARACTERS = 3
MAX_SAID_CHARACTERS = 6
MAX_THING_BEFORE_CHARACTERS = 6
MAX_THING_AFTER_CHARACTERS = 14
_CHINESE_AGE = re.compile(r"([一二两兩三四五六七八九]?十[一二三四五六七八九]?|[一二两兩三四五六七八九])[岁歲歳才周]")
_CHINESE_DIGITS = {char: value for value, chars in enumerate(("", "一", "二两兩", *"三四五六七八九")) for char in chars}
_BETWEEN_PARTS = re.compile(r"[\s-]{1,3}| (?:and|y|e|und|et) ")
_OF_AGE = re.compile(r" (?:of|age|aged|at) ")
_SAID_OF = {"girl_or_boy": re.compile(r"[^\w]{1,3}| is "), "age_of_person": re.compile(r" ")}
_END_OF_CLAUSE = re.compile(r"\s*(?:[,;.)\]\n]\D|[,;.)\]\n]?\s*$| and )")
_ITEM_STARTS = (",", ";", "(", "[", "，", "、")


def age_hits(folded: FoldedText, hits_of: Callable[..., list[Hit]]) -> list[Hit]:
    """Return a hit of `minor` or `grown` for every age: "13 year old", "aged 9", "girl (12)", "十三岁".

    A number that could be a minor's age and stands alone, as in "gymnast, 13, smiling", is a `bare_age`.
    """
    numbers = _numbers(folded, hits_of(NUMBER))
    said = set(_said_of_people(folded, numbers, hits_of))
    said |= {number for age, number in followed_by(hits_of("age"), numbers, MAX_GAP_CHARACTERS)}
    durations = {number for _, number in followed_by(hits_of("duration"), numbers, MAX_GAP_CHARACTERS)}
    ends = {number: number.end for number in said}
    for number, years in followed_by(numbers, hits_of("years"), MAX_GAP_CHARACTERS):
        if not _holds_word(folded, number.end, years.start):
            ends[number] = max(ends.get(number, 0), years.end)
    ages = [number._replace(end=end) for number, end in ends.items() if number not in durations]
    ages += _chinese_ages(folded)
    things = _ages_of_things(ages, hits_of)
    named = [_named(age) for age in ages if age not in things]
    alone = (number for number in numbers if number not in ends and _is_item_of_its_own(folded, number))
    return named + [number._replace(concept="bare_age") for number in alone]


def _named(age: Hit) -> Hit:
    return age._replace(concept="minor" if age.value < ADULT_AGE_YEARS else "grown")


def _numbers(folded: FoldedText, words: Sequence[Hit]) -> list[Hit]:
    """Return the numbers that could be ages, compound ones as one: "twenty-three", "1 3"."""
    figures = [
        Hit(NUMBER, token.start, token.end, "", int(token.text))
        for token in folded.tokens
        if token.is_number and len(token.text) <= len(str(MAX_AGE_YEARS))
    ]
    numbers: list[Hit] = []
    for number in sorted({*words, *figures}, key=lambda hit: (hit.start, -hit.end)):
        if not numbers or number.start >= numbers[-1].end:
            compound = _compound(folded, numbers[-1], number) if numbers else None
            if compound is not None:
                numbers.pop()
            numbers.append(compound or number)
    return [number for number in numbers if 0 < number.value <= MAX_AGE_YEARS]


def _compound(folded: FoldedText, before: Hit, number: Hit) -> Hit | None:
    gap = folded.text[before.end : number.start]
    if folded.text[before.start].isdigit() and folded.text[number.start].isdigit():
        are_split = gap == " " and number.end - number.start == before.end - before.start == 1
        return Hit(NUMBER, before.start, number.end, "", before.value * 10 + number.value) if are_split else None
    # Tens before units, or after them where "and" is part of the word, as in Arabic.
    is_tens_first = before.value >= 20 and before.value % 10 == 0 and number.value < 20
    is_units_first = before.value < 10 and number.value >= 20 and folded.native[number.start] == "و"
    if (is_units_first and gap == " ") or (is_tens_first and _BETWEEN_PARTS.fullmatch(gap)):
        return Hit(NUMBER, before.start, number.end, before.language, before.value + number.value)
    return None


def _holds_word(folded: FoldedText, start: int, end: int) -> bool:
    return any(char.isalnum() for char in folded.text[start:end])


def _said_of_people(folded: FoldedText, numbers: Sequence[Hit], hits_of: Callable[..., list[Hit]]) -> Iterator[Hit]:
    """Yield the numbers that are said of a person: "girl, 15, smiling", "a boy of nine", "she is fifteen"."""
    for said_of, number in followed_by(hits_of(*_SAID_OF), numbers, MAX_SAID_CHARACTERS):
        gap = folded.text[said_of.end : number.start]
        if not MIN_BARE_AGE_YEARS <= number.value < ADULT_AGE_YEARS:
            continue
        ends_clause = _END_OF_CLAUSE.match(folded.text, number.end) is not None
        is_of_age = said_of.concept == "girl_or_boy" and _OF_AGE.fullmatch(gap)
        if is_of_age or (ends_clause and _SAID_OF[said_of.concept].fullmatch(gap)):
            yield number


def _is_item_of_its_own(folded: FoldedText, number: Hit) -> bool:
    is_minor = MIN_BARE_AGE_YEARS <= number.value < ADULT_AGE_YEARS
    before = folded.text[max(0, number.start - MAX_GAP_CHARACTERS) : number.start].rstrip()[-1:]
    return is_minor and before in _ITEM_STARTS and _END_OF_CLAUSE.match(folded.text, number.end) is not None


def _chinese_ages(folded: FoldedText) -> Iterator[Hit]:
    for match in _CHINESE_AGE.finditer(folded.text):
        tens, ten, units = match.group(1).rpartition("十")
        value = (_CHINESE_DIGITS.get(tens, 1) * 10 if ten else 0) + _CHINESE_DIGITS.get(units, 0)
        yield Hit(NUMBER, match.start(), match.end(), "zh", value)


def _ages_of_things(ages: Sequence[Hit], hits_of: Callable[..., list[Hit]]) -> set[Hit]:
    """Return the ages of whisky, cars and dogs; a person between the age and the thing has that age."""
    things = hits_of("aged_things")
    of_things = {age for _, age in followed_by(things, ages, MAX_THING_BEFORE_CHARACTERS)}
    people = sorted(hit.start for hit in hits_of("minor", "girl_or_boy", "person"))
    for age, thing in followed_by(ages, things, MAX_THING_AFTER_CHARACTERS):
        if bisect_left(people, age.end) == bisect_left(people, thing.start):
            of_things.add(age)
    return of_things
