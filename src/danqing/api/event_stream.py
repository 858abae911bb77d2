"""Server-sent events: their form, keep-alive comments, and the end when the client leaves."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from danqing.api.streamed_json import json_pieces
from danqing.storage.image_store import ImageStore

# Proxies cut connections that stay silent for longer.
KEEP_ALIVE_SECONDS = 15
KEEP_ALIVE = b": keep-alive\n\n"
# OpenAPI 3.1 cannot describe a stream as a whole; tools read this as the schema of each event.
EVENT_STREAM_CONTENT: dict[str, Any] = {
    "text/event-stream": {
        "schema": {
            "type": "object",
            "properties": {
                "event": {"type": "string", "description": "The event's name."},
                "data": {"type": "string", "contentMediaType": "application/json", "description": "One JSON object."},
            },
            "required": ["event", "data"],
        }
    }
}


@dataclass(frozen=True)
class ServerSentEvent:
    """One event. Values of `data` may be `Base64File`s."""

    name: str
    data: Mapping[str, Any]

    async def pieces(self, store: ImageStore) -> AsyncGenerator[bytes, None]:
        """Yield the event as it is sent. JSON never holds a line end, so one data line is enough."""
        yield f"event: {self.name}\ndata: ".encode()
        async for piece in json_pieces(self.data, store=store):
            yield piece
        yield b"\n\n"


class EventStream(Response):
    """A response that sends events as they come, and closes their generator as soon as the client leaves."""

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[ServerSentEvent, None],
        *,
        store: ImageStore,
        on_end: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Send what `events` yields. `on_end` is awaited once, however the response ends, even before it began."""
        self.status_code = 200
        self.background = None
        self._events = events
        self._store = store
        self._on_end = on_end
        # The last keeps nginx from collecting events before it passes them on.
        self.init_headers({"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all events, or stop when the client leaves."""
        del scope
        try:
            async with anyio.create_task_group() as tasks:

                async def send_all() -> None:
                    await self._send_all(send)
                    tasks.cancel_scope.cancel()

                tasks.start_soon(send_all)
                await disconnected(receive)
                tasks.cancel_scope.cancel()
        finally:
            if self._on_end is not None:
                with anyio.CancelScope(shield=True):
                    await self._on_end()

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        upcoming = self._next_event()
        try:
            while True:
                await asyncio.wait([upcoming], timeout=KEEP_ALIVE_SECONDS)
                if not upcoming.done():
                    await _send_piece(send, KEEP_ALIVE)
                    continue
                event = upcoming.result()
                if event is None:
                    break
                upcoming = self._next_event()
                async with aclosing(event.pieces(self._store)) as pieces:
                    async for piece in pieces:
                        await _send_piece(send, piece)
        finally:
            upcoming.cancel()
            # The generator's own clean-up must run although we are being cancelled.
            with anyio.CancelScope(shield=True):
                await asyncio.wait([upcoming])
                await self._events.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _next_event(self) -> asyncio.Task[ServerSentEvent | None]:
        return asyncio.create_task(_next_or_none(self._events))


async def disconnected(receive: Receive) -> None:
    """Return when the client has left; the request's body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _next_or_none(events: AsyncGenerator[ServerSentEvent, None]) -> ServerSentEvent | None:
    return await anext(events, None)


async def _send_piece(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})
