"""Prompt expansion by the model that draws. Every failure becomes a warning."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from danqing.errors import ServiceError
from danqing.pictures.request import Expansion, ImageRequest
from danqing.prompts.expander import BadExpansion, ExpandedPrompt, as_given, checked_length, on_one_line

# The model's 2,048 tokens, at eight characters each: twice what English takes.
MAX_WRITTEN_CHARACTERS = 16_384

logger = logging.getLogger(__name__)


class NativeExpander:
    """Asks the model once: a retry of the same request would give the same expansion."""

    def __init__(self, expand: Callable[[ImageRequest], Awaitable[Expansion]], *, timeout_seconds: float) -> None:
        """`expand` is the engine's. It raises ServiceError, whose message is safe to show."""
        self._expand = expand
        self._timeout_seconds = timeout_seconds

    async def expand(self, request: ImageRequest) -> ExpandedPrompt:
        """Return the prompt with the model's expansion, or with a warning after any failure."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                expansion = await self._expand(request)
            _check(expansion)
            return ExpandedPrompt(prompt=request.prompt, expansion=expansion)
        except ServiceError as error:
            reason = error.message
        except BadExpansion as error:
            reason = str(error)
        except TimeoutError:
            reason = f"The expansion took longer than {self._timeout_seconds:g} s."
        logger.warning("prompt expansion failed: %s", reason)
        return as_given(request.prompt, reason=reason)


def _check(expansion: Expansion) -> None:
    """Refuse texts that nobody could read. Both are drawn as they are, so nothing is cut off or cleaned here."""
    if expansion.caption is not None:
        checked_length(on_one_line(expansion.caption), most=MAX_WRITTEN_CHARACTERS)
    for text in (expansion.caption, expansion.thought):
        if text:
            checked_length(text, most=MAX_WRITTEN_CHARACTERS)
