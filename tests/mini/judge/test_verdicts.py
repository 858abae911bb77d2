"""Verdicts on detections made by hand, for every category."""

import pytest

from mini.judge.detector import Detection
from mini.judge.prompts import Category, EvaluationPrompt, Relation, Wanted
from mini.judge.verdicts import judge, most_missed, scores


def seen(noun: str, *, colour: str = "own", x: float = 0.5, y: float = 0.5) -> Detection:
    return Detection(noun=noun, colour=colour, x=x, y=y, score=0.9)


def asked(category: Category, *wanted: Wanted, relation: Relation | None = None) -> EvaluationPrompt:
    return EvaluationPrompt(category=category, text="?", place="beach", wanted=wanted, relation=relation)


DOG, CAT = Wanted(noun="dog"), Wanted(noun="cat")
SINGLE = asked(Category.SINGLE, DOG)
TWO = asked(Category.TWO, DOG, CAT)
THREE_DOGS = asked(Category.COUNTING, Wanted(noun="dog", count=3))
RED_DOG = asked(Category.COLOURS, Wanted(noun="dog", colour="red"))
RED_DOG_BLUE_CAT = asked(Category.BINDING, Wanted(noun="dog", colour="red"), Wanted(noun="cat", colour="blue"))


def test_a_single_object_is_right_when_it_is_seen_whatever_else_is() -> None:
    assert judge(SINGLE, [seen("dog"), seen("cat")]).is_right
    assert not judge(SINGLE, [seen("cat")]).is_right
    assert not judge(SINGLE, []).is_right


def test_two_objects_are_right_when_both_are_seen() -> None:
    assert judge(TWO, [seen("cat"), seen("dog")]).is_right
    assert not judge(TWO, [seen("dog"), seen("dog")]).is_right


@pytest.mark.parametrize(("num_seen", "is_right"), [(2, False), (3, True), (4, False)])
def test_a_count_must_be_met_exactly(num_seen: int, is_right: bool) -> None:
    assert judge(THREE_DOGS, [seen("dog")] * num_seen).is_right is is_right


def test_other_things_are_not_counted() -> None:
    assert judge(THREE_DOGS, [seen("dog")] * 3 + [seen("cat")]).is_right


def test_a_colour_must_be_on_the_thing_it_was_asked_for() -> None:
    assert judge(RED_DOG, [seen("dog", colour="red")]).is_right
    assert not judge(RED_DOG, [seen("dog"), seen("cat", colour="red")]).is_right


def test_two_colours_must_not_be_swapped() -> None:
    assert judge(RED_DOG_BLUE_CAT, [seen("dog", colour="red"), seen("cat", colour="blue")]).is_right
    assert not judge(RED_DOG_BLUE_CAT, [seen("dog", colour="blue"), seen("cat", colour="red")]).is_right


@pytest.mark.parametrize(
    ("relation", "dog", "cat"),
    [
        (Relation.LEFT, (0.3, 0.5), (0.7, 0.5)),
        (Relation.RIGHT, (0.7, 0.5), (0.3, 0.5)),
        (Relation.ABOVE, (0.5, 0.3), (0.5, 0.7)),
        (Relation.BELOW, (0.5, 0.7), (0.5, 0.3)),
    ],
)
def test_a_position_holds_one_way_round_only(
    relation: Relation, dog: tuple[float, float], cat: tuple[float, float]
) -> None:
    prompt = asked(Category.POSITION, DOG, CAT, relation=relation)
    assert judge(prompt, [seen("dog", x=dog[0], y=dog[1]), seen("cat", x=cat[0], y=cat[1])]).is_right
    assert not judge(prompt, [seen("cat", x=dog[0], y=dog[1]), seen("dog", x=cat[0], y=cat[1])]).is_right
    assert not judge(prompt, [seen("dog", x=dog[0], y=dog[1])]).is_right


def test_things_that_stand_nearly_in_one_column_are_not_beside_each_other() -> None:
    prompt = asked(Category.POSITION, DOG, CAT, relation=Relation.LEFT)
    assert not judge(prompt, [seen("dog", x=0.48), seen("cat", x=0.52)]).is_right


def test_scores_count_each_category_and_all_together() -> None:
    verdicts = [judge(SINGLE, [seen("dog")]), judge(SINGLE, []), judge(TWO, [seen("dog"), seen("cat")])]
    by_name = {score.category: score for score in scores(verdicts)}
    assert (by_name["single object"].num_right, by_name["single object"].num_prompts) == (1, 2)
    assert by_name["two objects"].share == 1.0
    assert (by_name["overall"].num_right, by_name["overall"].num_prompts) == (2, 3)


def test_a_category_without_prompts_has_no_score() -> None:
    assert "counting" not in {score.category for score in scores([judge(SINGLE, [])])}


def test_the_most_missed_nouns_come_with_what_was_seen_instead() -> None:
    verdicts = [judge(SINGLE, [seen("fox")]), judge(TWO, [seen("fox"), seen("cat")]), judge(TWO, [seen("dog")])]
    assert most_missed(verdicts, num=2) == [("dog", 2, "fox"), ("cat", 1, "")]
