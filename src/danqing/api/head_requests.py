"""HEAD: the headers of GET on every route, without the body.

An ASGI layer. Once the headers are sent it reports a disconnected client, so that no body is produced any further.
"""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """The layer around the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, HEAD as GET."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        sent = asyncio.Event()

        async def receive_end() -> Message:
            await sent.wait()
            return {"type": "http.disconnect"}

        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                sent.set()

        # A copy: the server looks at the method to leave the body out.
        inner = {**scope, "method": "GET"}
        try:
            await self._app(inner, receive_end, send_headers)
        finally:
            scope["route"] = inner.get("route")
