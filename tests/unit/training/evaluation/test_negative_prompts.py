"""Counting what negative prompts remove, with a painter that obeys and one that does not."""

from danqing.training.evaluation.detector import Detection
from danqing.training.evaluation.negative_prompts import Removal, measure_removal, negative_cases

CASES = negative_cases(5)


def all_of(prompt: str) -> list[Detection]:
    (case,) = (case for case in CASES if case.text == prompt)
    return [Detection(noun=wanted.noun, colour="own", x=0.5, y=0.5, score=0.9) for wanted in case.wanted]


def test_an_obedient_painter_removes_only_what_is_unwanted() -> None:
    removal = measure_removal(CASES, lambda prompt, negative: [d for d in all_of(prompt) if d.noun != negative])
    assert removal == Removal(num_prompts=5, kept_without=5, kept_with=5, unwanted_without=5, unwanted_with=0)


def test_a_stubborn_painter_removes_nothing() -> None:
    removal = measure_removal(CASES, lambda prompt, negative: all_of(prompt))
    assert removal == Removal(num_prompts=5, kept_without=5, kept_with=5, unwanted_without=5, unwanted_with=5)


def test_every_case_has_something_to_keep_and_something_unwanted() -> None:
    assert all(len({wanted.noun for wanted in case.wanted}) == 2 for case in negative_cases())
    assert len(negative_cases()) == 40
