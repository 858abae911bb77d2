"""The evaluation set: prompts in GenEval's six categories, and what their pictures must show.

Every noun of a prompt is held out by rule: in its place or, where a colour is asked for, in its colour. The sentences
have their own wording; only the articles come from the training captions.
"""

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from mini.world.colours import COLOURS, HUES
from mini.world.noun import Noun
from mini.world.phrases import with_article
from mini.world.places import PLACES
from mini.world.scene import is_held_out
from mini.world.things import SHAPES
from mini.world.vocabulary import EMOJI_NOUNS, NOUNS

NUM_PER_CATEGORY = 60
NUMBERS = {2: "two", 3: "three", 4: "four"}
# There is one of each, so they are not counted.
UNIQUE = ("Santa Claus", "Statue of Liberty", "Tokyo Tower", "sun", "moon")

WHERE = {
    "beach": "on a beach",
    "city": "in a city at night",
    "meadow": "in a meadow",
    "snow": "in the snow",
    "desert": "in a desert",
    "space": "in outer space",
    "underwater": "under the sea",
    "sunset": "in front of a sunset over the sea",
    "road": "on a road",
    "room": "in a living room",
    "forest": "in a forest",
    "mountains": "in the mountains",
    "garden": "in a garden",
    "lake": "by a lake",
    "farm": "on a farm",
    "street": "on a shopping street",
}


class Category(StrEnum):
    """The ability that a prompt tests."""

    SINGLE = "single object"
    TWO = "two objects"
    COUNTING = "counting"
    COLOURS = "colours"
    POSITION = "position"
    BINDING = "colour binding"


class Relation(StrEnum):
    """The position of the first thing, relative to the second."""

    LEFT = "to the left of"
    RIGHT = "to the right of"
    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A requirement: a number of things of one noun, in a colour if the prompt names one."""

    noun: str
    count: int = 1
    colour: str | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluationPrompt:
    """A prompt and what its picture must show."""

    category: Category
    text: str
    place: str
    wanted: tuple[Wanted, ...]
    relation: Relation | None = None


def evaluation_prompts(
    num_per_category: int = NUM_PER_CATEGORY, *, among: Container[str] = frozenset(NOUNS)
) -> list[EvaluationPrompt]:
    """The same prompts every time, no text twice; a shorter set is the beginning of each category.

    `among` are the nouns that they may name.
    """
    prompts: list[EvaluationPrompt] = []
    for category in Category:
        rng = Random(f"danqing {category}")
        chosen: dict[str, EvaluationPrompt] = {}
        while len(chosen) < num_per_category:
            prompt = _WRITERS[category](rng)
            if all(wanted.noun in among for wanted in prompt.wanted):
                chosen.setdefault(prompt.text, prompt)
        prompts += chosen.values()
    return prompts


def held_out_nouns(place: str) -> list[Noun]:
    """The nouns that training never shows in this place."""
    return [noun for noun in EMOJI_NOUNS if is_held_out(noun.name, place)]


def sentence(words: str) -> str:
    """The words with a capital letter and a full stop."""
    return f"{words[0].upper()}{words[1:]}."


def sample_place(rng: Random) -> str:
    """Sample a place uniformly."""
    return rng.choice(tuple(PLACES))


def _single(rng: Random) -> EvaluationPrompt:
    place = sample_place(rng)
    noun = rng.choice(held_out_nouns(place)).name
    template = rng.choice(("a photo of {} {}", "{} {}", "there is {} {}"))
    text = sentence(template.format(with_article(noun), WHERE[place]))
    return EvaluationPrompt(category=Category.SINGLE, text=text, place=place, wanted=(Wanted(noun=noun),))


def _two(rng: Random) -> EvaluationPrompt:
    place = sample_place(rng)
    nouns = [noun.name for noun in rng.sample(held_out_nouns(place), 2)]
    one, other = map(with_article, nouns)
    text = rng.choice((f"{one} and {other} {WHERE[place]}", f"a picture of {one} and {other} {WHERE[place]}"))
    wanted = tuple(Wanted(noun=noun) for noun in nouns)
    return EvaluationPrompt(category=Category.TWO, text=sentence(text), place=place, wanted=wanted)


def _counting(rng: Random) -> EvaluationPrompt:
    place, count = sample_place(rng), rng.choice(tuple(NUMBERS))
    noun = rng.choice([noun for noun in held_out_nouns(place) if noun.name not in UNIQUE])
    things = f"{NUMBERS[count]} {noun.plural or noun.name + 's'}"
    text = rng.choice((f"{things} {WHERE[place]}", f"a photo of {things} {WHERE[place]}"))
    wanted = (Wanted(noun=noun.name, count=count),)
    return EvaluationPrompt(category=Category.COUNTING, text=sentence(text), place=place, wanted=wanted)


def _colours(rng: Random) -> EvaluationPrompt:
    place, (wanted, words) = sample_place(rng), _coloured(rng)
    text = rng.choice((f"{words} {WHERE[place]}", f"a photo of {words} {WHERE[place]}"))
    return EvaluationPrompt(category=Category.COLOURS, text=sentence(text), place=place, wanted=(wanted,))


def _binding(rng: Random) -> EvaluationPrompt:
    place, (one, words), (other, other_words) = sample_place(rng), _coloured(rng), _coloured(rng)
    if one.noun == other.noun or one.colour == other.colour:
        return _binding(rng)
    text = rng.choice((f"{words} and {other_words} {WHERE[place]}", f"{words} next to {other_words} {WHERE[place]}"))
    return EvaluationPrompt(category=Category.BINDING, text=sentence(text), place=place, wanted=(one, other))


def _position(rng: Random) -> EvaluationPrompt:
    relation = rng.choice(tuple(Relation))
    if relation in (Relation.LEFT, Relation.RIGHT):
        place = sample_place(rng)
        one = rng.choice(held_out_nouns(place))
    else:
        place, one = rng.choice(_UPPERS)
    other = rng.choice([noun for noun in held_out_nouns(place) if noun != one])
    if relation is Relation.BELOW:
        one, other = other, one
    text = sentence(f"{with_article(one.name)} {relation} {with_article(other.name)} {WHERE[place]}")
    wanted = (Wanted(noun=one.name), Wanted(noun=other.name))
    return EvaluationPrompt(category=Category.POSITION, text=text, place=place, wanted=wanted, relation=relation)


# What can be above something, and where: in places with ground only what flies.
_UPPERS = [
    (place, noun) for place in PLACES for noun in held_out_nouns(place) if noun.flies or not PLACES[place].has_ground
]


def _coloured(rng: Random) -> tuple[Wanted, str]:
    """Sample a thing in a colour in which training never shows it; returns the words for it too."""
    pairs = list(_held_out_colours(rng.choice(EMOJI_NOUNS + SHAPES)))
    if not pairs:
        return _coloured(rng)
    wanted = rng.choice(pairs)
    return wanted, with_article(f"{wanted.colour} {wanted.noun}")


def _held_out_colours(noun: Noun) -> Iterator[Wanted]:
    for colour in HUES if noun.hue else COLOURS:
        if is_held_out(noun.name, colour):
            yield Wanted(noun=noun.name, colour=colour)


_WRITERS: dict[Category, Callable[[Random], EvaluationPrompt]] = {
    Category.SINGLE: _single,
    Category.TWO: _two,
    Category.COUNTING: _counting,
    Category.COLOURS: _colours,
    Category.POSITION: _position,
    Category.BINDING: _binding,
}
