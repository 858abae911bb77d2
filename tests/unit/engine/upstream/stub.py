"""A stand-in for vLLM-Omni on a real socket, written from its documented request and response, that can misbehave."""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

MODEL = "tencent/HunyuanImage-3.0-Instruct"


def png(width_px: int, height_px: int, *, shade: int = 7) -> bytes:
    """A grey picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (width_px, height_px), (shade, shade, shade)).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Stub:
    """Draws grey in the shade of the seed. `misbehave` answers a generation in place of the picture."""

    owner: str = "vllm"
    key: str | None = None
    healthy: bool = True
    # (status, content type, chunks); None in the chunks breaks the connection.
    misbehave: tuple[int, str, list[bytes | None]] | None = None
    # How many generations break before one is served.
    num_breaks: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()
        self.left = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one request and close the connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                (int(line[15:]) for line in head.lower().splitlines() if line.startswith("content-length")), 0
            )
            body = json.loads(await reader.readexactly(length)) if length else {}
            await self._respond(head.split()[1], head, body, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _respond(
        self,
        path: str,
        head: str,
        body: dict[str, Any],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if path == "/health":
            return await send(writer, 200 if self.healthy else 503, b"")
        if self.key is not None and f"Bearer {self.key}" not in head:
            return await send_json(writer, 401, {"error": "Unauthorized"})
        if path == "/v1/models":
            return await send_json(writer, 200, {"object": "list", "data": [{"id": MODEL, "owned_by": self.owner}]})
        if path == "/v1/images/generations":
            return await self._draw(body, reader, writer)
        return await send_json(writer, 404, {"detail": "Not Found"})

    async def _draw(self, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.bodies.append(body)
        self.begun.set()
        if len(self.bodies) <= self.num_breaks:
            writer.transport.abort()
            return
        if body["model"] != MODEL:
            await send_json(writer, 400, {"detail": f"Model mismatch: {body['model']}"})
            return
        if not self.gate.is_set():
            leaving = asyncio.create_task(reader.read(1))
            opening = asyncio.create_task(self.gate.wait())
            await asyncio.wait([leaving, opening], return_when=asyncio.FIRST_COMPLETED)
            opening.cancel()
            if leaving.done():
                self.left.set()
                return
            leaving.cancel()
        if self.misbehave is not None:
            status, content_type, chunks = self.misbehave
            await send(writer, status, chunks, content_type=content_type)
            return
        width_px, height_px = map(int, body["size"].split("x"))
        picture = png(width_px, height_px, shade=body.get("seed", 0) % 256)
        await send_json(
            writer,
            200,
            {
                "created": 1,
                "data": [{"b64_json": base64.b64encode(picture).decode(), "url": None, "revised_prompt": None}],
                "output_format": "png",
                "size": body["size"],
                "cot_output": None,
                "metrics": {},
            },
        )


async def send_json(writer: asyncio.StreamWriter, status: int, fields: dict[str, Any]) -> None:
    await send(writer, status, json.dumps(fields).encode())


async def send(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes | list[bytes | None],
    *,
    content_type: str = "application/json",
) -> None:
    """Write a response whose end is the end of the connection."""
    writer.write(f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\nconnection: close\r\n".encode())
    chunks = [body] if isinstance(body, bytes) else body
    if None in chunks:
        writer.write(b"content-length: 1000000\r\n")
    writer.write(b"\r\n")
    for chunk in chunks:
        if chunk is None:
            writer.transport.abort()
            return
        writer.write(chunk)
        await writer.drain()


@asynccontextmanager
async def serving(stub: Stub) -> AsyncIterator[Stub]:
    """Serve a stub on a free port, or again on the port that it had."""
    server = await asyncio.start_server(stub.serve, "127.0.0.1", stub.port)
    stub.port = server.sockets[0].getsockname()[1]
    try:
        yield stub
    finally:
        server.close()
