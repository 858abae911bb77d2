"""Prompt expansion: its interface, its result, and an expander for servers without one."""

import unicodedata
from dataclasses import dataclass
from typing import Protocol

from danqing.pictures.request import MAX_PROMPT_CHARACTERS


class BadExpansion(Exception):
    """The text cannot serve as a prompt; the message is safe to show."""


@dataclass(frozen=True, kw_only=True)
class ExpandedPrompt:
    """The text to draw. `warning` is set if that is the prompt as given, and says why."""

    prompt: str
    warning: str | None = None


class PromptExpander(Protocol):
    """Expands a short prompt; the same prompt and seed give the same text."""

    async def expand(self, prompt: str, *, seed: int) -> ExpandedPrompt:
        """Expand the prompt. A failed expansion raises nothing: it returns the prompt as given, with a warning."""


class NoExpander:
    """Returns every prompt as given, with a warning."""

    async def expand(self, prompt: str, *, seed: int) -> ExpandedPrompt:
        """Return the prompt as given."""
        del seed
        return as_given(prompt, reason="This server has no prompt expander.")


def as_given(prompt: str, *, reason: str) -> ExpandedPrompt:
    """Return the unexpanded prompt with a warning; `reason` is a sentence."""
    return ExpandedPrompt(prompt=prompt, warning=f"enable_prompt_expansion: the prompt was drawn as given. {reason}")


def on_one_line(text: str) -> str:
    """Replace control characters, and characters that UTF-8 cannot encode, by spaces."""
    clean = "".join(" " if unicodedata.category(char) in ("Cc", "Cs") else char for char in text)
    return " ".join(clean.split())


def checked_length(text: str) -> str:
    """Return the text. Raises BadExpansion if it is empty or too long for a prompt."""
    if not text or len(text) > MAX_PROMPT_CHARACTERS:
        raise BadExpansion(f"The expansion has {len(text)} characters; 1 to {MAX_PROMPT_CHARACTERS} are allowed.")
    return text
