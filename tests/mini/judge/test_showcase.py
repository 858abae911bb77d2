"""The prompts that are looked at: as many as the sheet has room for, the documented one first, the rest held out."""

import re

from mini.judge.prompts import WHERE
from mini.judge.showcase import DOCUMENTED, SHORT_PROMPTS, WORN, sheet_prompts
from mini.world.scene import is_held_out
from mini.world.signs import HELD_OUT_WORDS
from mini.world.vocabulary import NOUNS

PAIRED_WITH = [*WHERE.items(), *WORN.items()]


def test_the_sheet_has_48_different_prompts_and_the_documented_one_comes_first() -> None:
    prompts = sheet_prompts()
    assert prompts[0] == DOCUMENTED
    assert len(set(prompts)) == len(prompts) == 48
    assert prompts == sheet_prompts()


def test_every_other_prompt_of_the_sheet_shows_something_held_out() -> None:
    for prompt in sheet_prompts()[1:]:
        words = re.findall(r'"(\w+)"', prompt)
        if words:
            assert words[0] in HELD_OUT_WORDS
            continue
        nouns = [n for n in NOUNS.values() if n.name.lower() in prompt.lower() or (n.plural and n.plural in prompt)]
        seconds = [name for name, phrase in PAIRED_WITH if phrase in prompt] + prompt.lower().split()
        assert any(is_held_out(noun.name, second) for noun in nouns for second in seconds), prompt


def test_twenty_different_short_prompts_wait_for_expansion() -> None:
    assert len(set(SHORT_PROMPTS)) == len(SHORT_PROMPTS) == 20
    assert max(map(len, SHORT_PROMPTS)) < 30
