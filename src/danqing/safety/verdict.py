"""The verdicts of the checks on prompts and images."""

from dataclasses import dataclass

NO_CHECKER = "none"


@dataclass(frozen=True, kw_only=True)
class PromptVerdict:
    """`checker` names what looked at the prompt, "none" if nothing did; `reason` is safe to show to the caller."""

    allowed: bool
    checker: str
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class ImageVerdict:
    """`checker` names the check, "none" if there was none; `score` is the probability it gave, 0 to 1."""

    flagged: bool
    checker: str
    score: float | None = None
