"""Prompt expansion by the model that draws. A failure becomes a warning."""

import asyncio
import logging
from typing import Protocol

from danqing.errors import ServiceError
from danqing.prompts.expander import BadExpansion, ExpandedPrompt, as_given, checked_length, on_one_line

logger = logging.getLogger(__name__)


class Recaptioner(Protocol):
    """Rewrites prompts in detail."""

    async def recaption(self, prompt: str, *, seed: int) -> str:
        """Rewrite a prompt, the same way for the same seed. Raises ServiceError, whose message is safe to show."""


class NativeExpander:
    """Asks the model once: a retry with the same prompt and seed would give the same text."""

    def __init__(self, recaptioner: Recaptioner, *, timeout_seconds: float) -> None:
        self._recaptioner = recaptioner
        self._timeout_seconds = timeout_seconds

    async def expand(self, prompt: str, *, seed: int) -> ExpandedPrompt:
        """Expand the prompt; after any failure, return it as given with a warning."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                caption = await self._recaptioner.recaption(prompt, seed=seed)
            return ExpandedPrompt(prompt=checked_length(on_one_line(caption)))
        except ServiceError as error:
            reason = error.message
        except BadExpansion as error:
            reason = str(error)
        except TimeoutError:
            reason = f"The expansion took longer than {self._timeout_seconds:g} s."
        logger.warning("prompt expansion failed: %s", reason)
        return as_given(prompt, reason=reason)
