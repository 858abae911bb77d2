"""The prompt check measured on two labelled lists: caught, falsely refused and milliseconds, per language.

`tuned.tsv` was at hand while the word lists were written; `held_out.tsv` was written before and never used for them.
Run: python proofs/prompt_check.py [--show] [tuned|held_out ...]
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from danqing.safety.policy import violated_category

LISTS = Path(__file__).parents[1] / "tests" / "data" / "prompt_check"
EXPECTATIONS = ("always", "checked", "pass")


@dataclass(frozen=True)
class LabelledPrompt:
    """`expected`: "always" refused, refused while "checked", or "pass"."""

    language: str
    expected: str
    prompt: str
    negative_prompt: str = ""


def read_list(name: str) -> Iterator[LabelledPrompt]:
    """Yield the prompts of a list; \\uXXXX in it stands for a character that cannot be seen, \\n for a new line."""
    for line in (LISTS / f"{name}.tsv").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            columns = [_unescaped(column) for column in line.split("\t")]
            labelled = LabelledPrompt(*columns)
            assert labelled.expected in EXPECTATIONS, line
            yield labelled


def _unescaped(column: str) -> str:
    parts = column.replace("\\n", "\n").split("\\u")
    return parts[0] + "".join(chr(int(part[:4], 16)) + part[4:] for part in parts[1:])


def is_right(labelled: LabelledPrompt) -> bool:
    """Whether the check does with the prompt what its label says."""
    category = violated_category(
        labelled.prompt,
        negative_prompt=labelled.negative_prompt,
        essential_only=labelled.expected == "always",
    )
    return (category is None) == (labelled.expected == "pass")


def report(name: str, *, show: bool) -> None:
    """Print a table of one list."""
    # language -> whether it should pass -> whether it was right
    results: dict[str, dict[bool, list[bool]]] = defaultdict(lambda: {True: [], False: []})
    milliseconds = []
    for labelled in read_list(name):
        start = time.perf_counter()
        right = is_right(labelled)
        milliseconds.append((time.perf_counter() - start) * 1000)
        results[labelled.language][labelled.expected == "pass"].append(right)
        if show and not right:
            print(f"  wrong: {labelled}")
    print(f"\n{name}\n\n| language | to refuse | caught | to pass | falsely refused |\n|---|---|---|---|---|")
    for language, by_pass in (*results.items(), ("all", _sum(results.values()))):
        refused, passed = by_pass[False], by_pass[True]
        print(f"| {language} | {len(refused)} | {sum(refused)} | {len(passed)} | {len(passed) - sum(passed)} |")
    print(f"\nmedian {statistics.median(milliseconds):.2f} ms, worst {max(milliseconds):.2f} ms")


def _sum(tables: Iterator[dict[bool, list[bool]]]) -> dict[bool, list[bool]]:
    total: dict[bool, list[bool]] = {True: [], False: []}
    for table in tables:
        for key, values in table.items():
            total[key] += values
    return total


def main() -> None:
    """Measure the lists that are named, both by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lists", nargs="*", default=["tuned", "held_out"])
    parser.add_argument("--show", action="store_true", help="print every prompt that is judged wrongly")
    arguments = parser.parse_args()
    violated_category("", essential_only=False)
    for name in arguments.lists:
        report(name, show=arguments.show)


if __name__ == "__main__":
    main()
