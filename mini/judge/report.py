"""Reports of an evaluation: tables for people, one JSON file for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from statistics import mean, median
from typing import Any

from rich.console import Console
from rich.table import Table

from mini.judge.flaws import Flaws
from mini.judge.negative_prompts import Removal
from mini.judge.verdicts import Score, Verdict, most_missed, scores

NUM_MISSED = 12

Verdicts = Mapping[str, Sequence[Verdict]]  # By manner: "plain", "expanded", "common things", "ceiling".


def print_scores(console: Console, verdicts: Verdicts) -> None:
    """A row for each category, a column for each manner."""
    table = Table("category", "prompts", *verdicts)
    for rows in zip(*(scores(judged) for judged in verdicts.values()), strict=True):
        table.add_row(rows[0].category, str(rows[0].num_prompts), *(f"{row.share:.2f}" for row in rows))
    console.print(table)


def print_missed(console: Console, verdicts: Sequence[Verdict]) -> None:
    """The nouns that were missed most often."""
    table = Table("most often missed", "times", "seen instead")
    for noun, count, instead in most_missed(verdicts, num=NUM_MISSED):
        table.add_row(noun, str(count), instead)
    console.print(table)


def print_removal(console: Console, removal: Removal) -> None:
    """The effect of negative prompts, as shares of the prompts that count."""
    num = len(removal.attempts)
    table = Table("with what was drawn in the negative prompt", f"{num} of {removal.num_prompts} prompts count")
    if num:
        table.add_row("it is gone", f"{removal.num_removed / num:.2f}")
        table.add_row("it is gone, and another thing of the kind is there", f"{removal.num_replaced / num:.2f}")
    console.print(table)


def print_flaws(console: Console, measured: Sequence[Flaws]) -> None:
    """Each measure's mean and median over the pictures."""
    table = Table("flaw", "mean", "median")
    for field in fields(Flaws):
        values = [getattr(one, field.name) for one in measured]
        table.add_row(field.name, f"{mean(values):.2f}", f"{median(values):.2f}")
    console.print(table)


def print_expansions(console: Console, expansions: Mapping[str, str]) -> None:
    """Short prompts before and after."""
    table = Table("prompt", "expanded")
    for prompt, expanded in expansions.items():
        table.add_row(prompt, expanded)
    console.print(table)


def as_json(verdicts: Verdicts, removal: Removal, expansions: Mapping[str, str]) -> dict[str, Any]:
    """The whole evaluation, down to the single prompt."""
    return {
        "scores": {manner: [_score(score) for score in scores(judged)] for manner, judged in verdicts.items()},
        "removal": _removal(removal),
        "expansions": dict(expansions),
        "prompts": {manner: [_verdict(verdict) for verdict in judged] for manner, judged in verdicts.items()},
    }


def _removal(removal: Removal) -> dict[str, Any]:
    return {
        "num_prompts": removal.num_prompts,
        "num_counted": len(removal.attempts),
        "num_removed": removal.num_removed,
        "num_replaced": removal.num_replaced,
        "attempts": [
            {"prompt": one.prompt.text, "negative_prompt": one.unwanted, "seen": one.seen} for one in removal.attempts
        ],
    }


def _score(score: Score) -> dict[str, Any]:
    return {**asdict(score), "share": round(score.share, 4)}


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "prompt": verdict.prompt.text,
        "category": verdict.prompt.category,
        "is_right": verdict.is_right,
        "missed": verdict.missed,
        "seen": [{**asdict(d), "score": round(d.score, 3)} for d in verdict.seen],
    }
