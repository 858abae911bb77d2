"""Whether a negative prompt removes what it names: pictures of two things, with one of them unwanted."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from danqing.training.evaluation.detector import Detection
from danqing.training.evaluation.prompts import Category, EvaluationPrompt, evaluation_prompts

NUM_PROMPTS = 40

See = Callable[[str, str], Sequence[Detection]]  # Prompt and negative prompt to what is seen in the picture.


@dataclass(frozen=True, kw_only=True)
class Removal:
    """In how many pictures each of two things was seen, without and with the second in the negative prompt."""

    num_prompts: int
    kept_without: int
    kept_with: int
    unwanted_without: int
    unwanted_with: int


def negative_cases(num_prompts: int = NUM_PROMPTS) -> list[EvaluationPrompt]:
    """Prompts of two things; the second one is what the negative prompt names."""
    return [prompt for prompt in evaluation_prompts(num_prompts) if prompt.category is Category.TWO]


def measure_removal(cases: Iterable[EvaluationPrompt], see: See) -> Removal:
    """Draw each case twice and count."""
    num_prompts = 0
    counts = {"kept_without": 0, "kept_with": 0, "unwanted_without": 0, "unwanted_with": 0}
    for case in cases:
        num_prompts += 1
        kept, unwanted = (wanted.noun for wanted in case.wanted)
        for manner, negative in (("without", ""), ("with", unwanted)):
            nouns = {detection.noun for detection in see(case.text, negative)}
            counts[f"kept_{manner}"] += kept in nouns
            counts[f"unwanted_{manner}"] += unwanted in nouns
    return Removal(num_prompts=num_prompts, **counts)
