"""What a rewritten prompt is, and the answer of a server that cannot rewrite. Knows nothing of models or HTTP."""

from dataclasses import dataclass
from typing import Protocol


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
        return ExpandedPrompt(
            prompt=prompt,
            warning="enable_prompt_expansion: this server has no prompt expander; the prompt was drawn as given",
        )
