"""What a rewritten prompt is, and the answer of a server that cannot rewrite. Knows nothing of models or HTTP."""

import unicodedata
from dataclasses import dataclass
from typing import Protocol

from danqing.pictures.request import MAX_PROMPT_CHARACTERS


class BadAnswer(Exception):
    """What was answered is no prompt; the message is safe to show."""


@dataclass(frozen=True, kw_only=True)
class ExpandedPrompt:
    """`prompt` is the text to draw; `warning` says why it is still the old one, if it is."""

    prompt: str
    warning: str | None = None


class PromptExpander(Protocol):
    """Rewrites a short prompt into a richer one; the same prompt and seed give the same text."""

    async def expand(self, prompt: str, *, seed: int) -> ExpandedPrompt:
        """Rewrite the prompt. Never raises for a failure of its own: it returns the prompt with a warning."""


class NoExpander:
    """Leaves every prompt as it is and says so."""

    async def expand(self, prompt: str, *, seed: int) -> ExpandedPrompt:
        """Return the prompt with the warning."""
        del seed
        return as_given(prompt, reason="There is no prompt expander here.")


def as_given(prompt: str, *, reason: str) -> ExpandedPrompt:
    """The prompt, and a warning that it is still the old one; `reason` is a sentence."""
    return ExpandedPrompt(prompt=prompt, warning=f"enable_prompt_expansion: the prompt was drawn as given. {reason}")


def on_one_line(text: str) -> str:
    """Only what may stand in a prompt: no control characters, nothing that cannot be encoded."""
    clean = "".join(" " if unicodedata.category(char) in ("Cc", "Cs") else char for char in text)
    return " ".join(clean.split())


def checked_length(text: str) -> str:
    """The same text. Raises BadAnswer when it is empty or too long for a prompt."""
    if not text or len(text) > MAX_PROMPT_CHARACTERS:
        raise BadAnswer(f"The answer has {len(text)} characters; 1 to {MAX_PROMPT_CHARACTERS} are allowed.")
    return text
