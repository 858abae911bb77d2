"""The report: a row for each category, a column for each manner of drawing, and JSON that says the same."""

import io
import json

from rich.console import Console

from mini.judge import report
from mini.judge.detector import Detection
from mini.judge.negative_prompts import Attempt, OpenPrompt, Removal
from mini.judge.prompts import Category, evaluation_prompts
from mini.judge.verdicts import judge

PROMPT, OTHER = (prompt for prompt in evaluation_prompts(2) if prompt.category is Category.SINGLE)
SEEN = Detection(noun=PROMPT.wanted[0].noun, colour="own", x=0.5, y=0.5, score=0.9)
VERDICTS = {
    "plain": [judge(PROMPT, [SEEN]), judge(OTHER, [])],
    "ceiling": [judge(PROMPT, [SEEN]), judge(OTHER, [SEEN])],
}
OPEN = OpenPrompt("animal", "beach")
REMOVAL = Removal(
    num_prompts=6,
    attempts=tuple(
        Attempt(prompt=OPEN, unwanted="dog", seen=left) for left in ((), ("cat", "fox"), ("cow",), ("dog", "cat"))
    ),
)


def printed() -> str:
    console = Console(file=io.StringIO(), width=100)
    report.print_scores(console, VERDICTS)
    report.print_missed(console, VERDICTS["ceiling"])
    report.print_removal(console, REMOVAL)
    report.print_expansions(console, {"dog": "A flat illustration of a dog."})
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_tables_name_scores_misses_removals_and_expansions() -> None:
    text = printed()
    assert "single object" in text
    assert "0.50" in text
    assert OTHER.wanted[0].noun in text
    assert "4 of 6 prompts count" in text
    assert "0.75" in text
    assert "A flat illustration of a dog." in text


def test_the_json_holds_every_verdict() -> None:
    told = json.loads(json.dumps(report.as_json(VERDICTS, REMOVAL, {"dog": "A dog."})))
    assert told["scores"]["plain"][-1] == {"category": "overall", "num_prompts": 2, "num_right": 1, "share": 0.5}
    assert [one["is_right"] for one in told["prompts"]["plain"]] == [True, False]
    counts = [told["removal"][f"num_{name}"] for name in ("prompts", "counted", "removed", "replaced")]
    assert counts == [6, 4, 3, 2]
    assert told["removal"]["attempts"][1] == {
        "prompt": "An animal on a beach.",
        "negative_prompt": "dog",
        "seen": ["cat", "fox"],
    }


def test_a_checkpoint_that_draws_nothing_known_has_no_shares() -> None:
    console = Console(file=io.StringIO(), width=100)
    report.print_removal(console, Removal(num_prompts=3, attempts=()))
    assert isinstance(console.file, io.StringIO)
    assert "0 of 3 prompts count" in console.file.getvalue()
