"""The prompt check measured on labelled lists: caught, falsely refused and processor time, per language.

`tuned.tsv` was at hand while the word lists were written, `held_out.tsv` was written before them, `fresh.tsv` and
`last.tsv` after them; the author of `unseen.tsv` knew none of them.
Run: python proofs/prompt_check.py [--show] [tuned held_out fresh last unseen]
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from danqing.safety.policy import violated_category

LISTS = Path(__file__).parents[1] / "tests" / "data" / "prompt_check"
NAMES = ("tuned", "held_out", "fresh", "last", "unseen")
LONGEST_PROMPT_CHARACTERS = 4000
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
    for labelled in read_list(name):
        right = is_right(labelled)
        results[labelled.language][labelled.expected == "pass"].append(right)
        if show and not right:
            print(f"  wrong: {labelled}")
    print(f"\n{name}\n\n| language | to refuse | caught | to pass | falsely refused |\n|---|---|---|---|---|")
    for language, by_pass in (*results.items(), ("all", _sum(results.values()))):
        refused, passed = by_pass[False], by_pass[True]
        print(f"| {language} | {len(refused)} | {sum(refused)} | {len(passed)} | {len(passed) - sum(passed)} |")


def long_prompts() -> dict[str, str]:
    """Return prompts of the greatest length: harmless ones one after another, and what makes the check work hardest."""
    harmless = {
        name: " ".join(labelled.prompt for labelled in read_list(name) if labelled.expected == "pass") for name in NAMES
    }
    hard = {
        "one letter": "a",
        "letters apart": "n u d e ",
        "separators": "n.u.d.e.",
        "digits for letters": "s3x! 1l",
        "masked letters": "a*b*n*de ",
        "words apart": "na ked chi ld ",
        "ages": "twenty three 12 year old ",
        "children": "young girl boy ",
        "clothes": "without no clothes ",
        "Chinese": "裸 体的小女孩",
        "Arabic": "والطفلة ",
        "marks": "n\u0336",
    }
    repeated = {name: text * LONGEST_PROMPT_CHARACTERS for name, text in hard.items()}
    return {name: text[:LONGEST_PROMPT_CHARACTERS] for name, text in (*harmless.items(), *repeated.items())}


def report_times() -> None:
    """Print the processor time of the longest prompts, each for the first time and for the second."""
    print(f"\n{LONGEST_PROMPT_CHARACTERS} characters\n\n| prompt | first, ms | second, ms |\n|---|---|---|")
    for name, prompt in long_prompts().items():
        milliseconds = []
        for _ in range(2):
            start = time.process_time()
            violated_category(prompt, essential_only=False)
            milliseconds.append((time.process_time() - start) * 1000)
        print(f"| {name} | {milliseconds[0]:.0f} | {milliseconds[1]:.0f} |")


def _sum(tables: Iterable[dict[bool, list[bool]]]) -> dict[bool, list[bool]]:
    total: dict[bool, list[bool]] = {True: [], False: []}
    for table in tables:
        for key, values in table.items():
            total[key] += values
    return total


def main() -> None:
    """Measure the lists that are named, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lists", nargs="*", default=NAMES, metavar="LIST")
    parser.add_argument("--show", action="store_true", help="print every prompt that is judged wrongly")
    arguments = parser.parse_args()
    violated_category("", essential_only=False)
    for name in arguments.lists:
        report(name, show=arguments.show)
    report_times()


if __name__ == "__main__":
    main()
