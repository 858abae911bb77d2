"""The report: a row for each category, a column for each manner of drawing, and JSON that says the same."""

import io
import json

from rich.console import Console

from danqing.training.evaluation import report
from danqing.training.evaluation.detector import Detection
from danqing.training.evaluation.judge import judge
from danqing.training.evaluation.negative_prompts import Removal
from danqing.training.evaluation.prompts import Category, evaluation_prompts

PROMPT, OTHER = (prompt for prompt in evaluation_prompts(2) if prompt.category is Category.SINGLE)
SEEN = Detection(noun=PROMPT.wanted[0].noun, colour="own", x=0.5, y=0.5, score=0.9)
VERDICTS = {
    "plain": [judge(PROMPT, [SEEN]), judge(OTHER, [])],
    "ceiling": [judge(PROMPT, [SEEN]), judge(OTHER, [SEEN])],
}
REMOVAL = Removal(num_prompts=4, kept_without=4, kept_with=3, unwanted_without=3, unwanted_with=1)


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
    assert "0.25" in text
    assert "A flat illustration of a dog." in text


def test_the_json_holds_every_verdict() -> None:
    told = json.loads(json.dumps(report.as_json(VERDICTS, REMOVAL, {"dog": "A dog."})))
    assert told["scores"]["plain"][-1] == {"category": "overall", "num_prompts": 2, "num_right": 1, "share": 0.5}
    assert [one["is_right"] for one in told["prompts"]["plain"]] == [True, False]
    assert told["removal"]["unwanted_with"] == 1
