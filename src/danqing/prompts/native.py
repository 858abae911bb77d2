"""Prompt expansion by the model that draws. Every failure becomes a warning."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from danqing.errors import ServiceError
from danqing.pictures.request import Expansion, ImageRequest
from danqing.prompts.expander import BadExpansion, ExpandedPrompt, as_given, checked_length, on_one_line

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
            # Clients see the caption exactly as it is drawn. They never see the thought, which is drawn unchanged.
            caption = checked_length(on_one_line(expansion.caption))
            return ExpandedPrompt(prompt=request.prompt, expansion=replace(expansion, caption=caption))
        except ServiceError as error:
            reason = error.message
        except BadExpansion as error:
            reason = str(error)
        except TimeoutError:
            reason = f"The expansion took longer than {self._timeout_seconds:g} s."
        logger.warning("prompt expansion failed: %s", reason)
        return as_given(request.prompt, reason=reason)
