"""Prompt expansion by any OpenAI-compatible chat endpoint. Every failure becomes a warning."""

import asyncio
import json
import logging
from dataclasses import dataclass
from typing import Any

import httpx

from danqing.pictures.request import ImageRequest
from danqing.prompts.expander import BadExpansion, ExpandedPrompt, as_given, checked_length, on_one_line

logger = logging.getLogger(__name__)

MAX_EXPANSION_ATTEMPTS = 2
MAX_COMPLETION_BYTES = 65_536
MAX_COMPLETION_TOKENS = 400
# Some endpoints convert larger seeds to floating point.
MAX_SENT_SEED = 2**31 - 1

INSTRUCTIONS = (
    "You rewrite prompts for an image generator. Keep the subject, every object, number, colour, place and any text"
    " in quotes exactly; add concrete visual detail: composition, light, material, style. Write one paragraph of at"
    " most 120 words in the language of the prompt. Reply with the rewritten prompt alone."
)


@dataclass(frozen=True, kw_only=True)
class ChatEndpoint:
    """A chat endpoint. `base_url` looks like http://localhost:11434/v1; `timeout_seconds` bounds each attempt."""

    base_url: str
    model: str
    api_key: str | None
    timeout_seconds: float


class RemoteExpander:
    """Asks a chat model, with temperature 0 and the job's seed, so that equal requests get equal text."""

    def __init__(self, endpoint: ChatEndpoint, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """`transport` replaces the network."""
        self._endpoint = endpoint
        self._transport = transport

    async def expand(self, request: ImageRequest) -> ExpandedPrompt:
        """Return the expanded prompt, or after any failure the prompt as given with a warning."""
        reason = ""
        for _ in range(MAX_EXPANSION_ATTEMPTS):
            try:
                # The client's own timeouts bound each read, not a whole response that trickles in.
                async with asyncio.timeout(self._endpoint.timeout_seconds):
                    return ExpandedPrompt(prompt=await self._ask(request.prompt, seed=request.seed))
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, BadExpansion) as error:
                reason = str(error) or type(error).__name__
                logger.warning("prompt expansion failed: %s", reason)
                if isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500:
                    break
        return as_given(request.prompt, reason="The expander failed.")

    async def _ask(self, prompt: str, *, seed: int) -> str:
        endpoint = self._endpoint
        headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        body = {
            "model": endpoint.model,
            "messages": [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": prompt}],
            "seed": 1 + (seed - 1) % MAX_SENT_SEED,
            "temperature": 0,
            "max_tokens": MAX_COMPLETION_TOKENS,
        }
        timeout = httpx.Timeout(endpoint.timeout_seconds)
        async with (
            httpx.AsyncClient(transport=self._transport, timeout=timeout, headers=headers) as client,
            client.stream("POST", f"{endpoint.base_url.rstrip('/')}/chat/completions", json=body) as response,
        ):
            response.raise_for_status()
            return _parse_completion(await _read_limited(response))


async def _read_limited(response: httpx.Response) -> bytes:
    data = b""
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > MAX_COMPLETION_BYTES:
            raise BadExpansion(f"the response is larger than {MAX_COMPLETION_BYTES} bytes")
    return data


def _parse_completion(data: bytes) -> str:
    try:
        completion: Any = json.loads(data)
        text = completion["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise BadExpansion("the response is not a chat completion") from None
    if not isinstance(text, str):
        raise BadExpansion("the response holds no text")
    return checked_length(on_one_line(text).strip('"“” '))
