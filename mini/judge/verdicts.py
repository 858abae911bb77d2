"""Verdicts: does a picture show what its prompt asked for, given what the detector saw?

As in GenEval a picture is right or wrong. Extra things do no harm, except where things are counted.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mini.judge.detector import Detection
from mini.judge.prompts import Category, EvaluationPrompt, Relation, Wanted

# How far apart, as a fraction of the picture's side, two middles must be to be left and right or above and below.
MIN_SHIFT = 0.1
NUM_INSTEAD = 2


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a picture is right, the nouns that were missed, and the detections."""

    prompt: EvaluationPrompt
    is_right: bool
    missed: tuple[str, ...]
    seen: tuple[Detection, ...]


@dataclass(frozen=True, kw_only=True)
class Score:
    """The number of right pictures in a category."""

    category: str
    num_prompts: int
    num_right: int

    @property
    def share(self) -> float:
        return self.num_right / self.num_prompts


def judge(prompt: EvaluationPrompt, seen: Sequence[Detection]) -> Verdict:
    """Compare the prompt's requirements with the detections."""
    is_right = all(_is_shown(one, seen, exactly=prompt.category is Category.COUNTING) for one in prompt.wanted)
    if prompt.relation is not None:
        first, second = ([d for d in seen if d.noun == one.noun] for one in prompt.wanted)
        is_right = any(_holds(prompt.relation, one, other) for one in first for other in second)
    nouns = {detection.noun for detection in seen}
    missed = tuple(one.noun for one in prompt.wanted if one.noun not in nouns)
    return Verdict(prompt=prompt, is_right=is_right, missed=missed, seen=tuple(seen))


def scores(verdicts: Sequence[Verdict]) -> list[Score]:
    """One score per judged category, then one overall: the mean of the categories if they are equally long."""
    judged = [(category, [v.is_right for v in verdicts if v.prompt.category is category]) for category in Category]
    rows = [*judged, ("overall", [verdict.is_right for verdict in verdicts])]
    return [Score(category=name, num_prompts=len(right), num_right=sum(right)) for name, right in rows if right]


def most_missed(verdicts: Iterable[Verdict], *, num: int) -> list[tuple[str, int, str]]:
    """The nouns that were most often not seen, how often, and what was seen most often in such pictures instead."""
    misses: Counter[str] = Counter()
    instead: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        asked = {one.noun for one in verdict.prompt.wanted}
        for noun in verdict.missed:
            misses[noun] += 1
            others = instead.setdefault(noun, Counter())
            others.update(detection.noun for detection in verdict.seen if detection.noun not in asked)
    return [
        (noun, count, ", ".join(name for name, _ in instead[noun].most_common(NUM_INSTEAD)))
        for noun, count in misses.most_common(num)
    ]


def _is_shown(wanted: Wanted, seen: Sequence[Detection], *, exactly: bool) -> bool:
    found = [d for d in seen if d.noun == wanted.noun and wanted.colour in (None, d.colour)]
    return len(found) == wanted.count if exactly else len(found) >= wanted.count


def _holds(relation: Relation, one: Detection, other: Detection) -> bool:
    match relation:
        case Relation.LEFT:
            return other.x - one.x > MIN_SHIFT
        case Relation.RIGHT:
            return one.x - other.x > MIN_SHIFT
        case Relation.ABOVE:
            return other.y - one.y > MIN_SHIFT
        case Relation.BELOW:
            return one.y - other.y > MIN_SHIFT
