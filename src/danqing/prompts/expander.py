"""Prompt expansion: its protocol, its result, and the expander of a server without one."""

import unicodedata
from dataclasses import dataclass
from typing import Protocol

from danqing.pictures.request import MAX_PROMPT_CHARACTERS, Expansion, ImageRequest


class BadExpansion(Exception):
    """The text is not a prompt; the message is safe to show."""


@dataclass(frozen=True, kw_only=True)
class ExpandedPrompt:
    """The text to draw, and the drawing model's own `expansion` of it, if there is one.

    `warning` explains why the prompt is drawn as given.
    """

    prompt: str
    expansion: Expansion | None = None
    warning: str | None = None

    @property
    def caption(self) -> str:
        """The expanded prompt as clients see it, or the prompt as given if there is none."""
        if self.expansion is None or self.expansion.caption is None:
            return self.prompt
        return on_one_line(self.expansion.caption)

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text that is drawn, exactly as the model reads it: the prompt, the caption and the thought."""
        written = (self.expansion.caption, self.expansion.thought) if self.expansion else ()
        return self.prompt, *(text for text in written if text is not None)


class PromptExpander(Protocol):
    """Expands prompts; the same request gives the same text."""

    async def expand(self, request: ImageRequest) -> ExpandedPrompt:
        """Expand the request's prompt. A failed expansion raises nothing: it returns the prompt with a warning."""


class NoExpander:
    """Returns every prompt as given, with a warning."""

    async def expand(self, request: ImageRequest) -> ExpandedPrompt:
        """Return the prompt as given."""
        return as_given(request.prompt, reason="This server has no prompt expander.")


def as_given(prompt: str, *, reason: str) -> ExpandedPrompt:
    """Return the prompt with a warning that it was not expanded; `reason` is a sentence."""
    return ExpandedPrompt(prompt=prompt, warning=f"enable_prompt_expansion: the prompt was drawn as given. {reason}")


def on_one_line(text: str) -> str:
    """Return the text without line breaks, control characters and characters that cannot be encoded."""
    clean = "".join(" " if unicodedata.category(char) in ("Cc", "Cs") else char for char in text)
    return " ".join(clean.split())


def checked_length(text: str, *, most: int = MAX_PROMPT_CHARACTERS) -> str:
    """Return the text. Raises BadExpansion if it is empty or has more than `most` characters."""
    if not text or len(text) > most:
        raise BadExpansion(f"The expansion has {len(text)} characters; 1 to {most} are allowed.")
    return text
