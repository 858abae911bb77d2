"""Event streams: their form, their keep-alive, and their end."""

import asyncio
import json

import pytest

from danqing.api import event_stream
from danqing.api.event_stream import KEEP_ALIVE, EventStream, ServerSentEvent


class Client:
    """The far end of a response: collects what is sent, and hangs up when told to."""

    def __init__(self):
        self.sent = asyncio.Queue()
        self.left = asyncio.Event()

    async def receive(self):
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        await self.sent.put(message)

    async def next_text(self):
        """Return what is sent up to an empty line."""
        text = ""
        while not text.endswith("\n\n"):
            message = await self.sent.get()
            text += message.get("body", b"").decode()
        return text


@pytest.fixture
async def client():
    return Client()


ONE, TWO = ServerSentEvent("step", {"number": 1}), ServerSentEvent("step", {"number": 2})
ONE_TEXT = 'event: step\ndata: {"number":1}\n\n'


async def test_an_event_is_two_lines_and_an_empty_one():
    event = ServerSentEvent("step", {"text": "two\nlines é"})
    name, data, *rest = b"".join([piece async for piece in event.pieces(store=None)]).decode().split("\n")
    assert (name, rest) == ("event: step", ["", ""])
    assert json.loads(data.removeprefix("data: ")) == {"text": "two\nlines é"}


async def test_all_events_are_sent_and_then_the_end(client):
    ended = []

    async def events():
        yield ONE
        yield TWO

    async def end():
        ended.append(True)

    await EventStream(events(), store=None, on_end=end)({"type": "http"}, client.receive, client.send)
    messages = [client.sent.get_nowait() for _ in range(client.sent.qsize())]
    text = b"".join(message.get("body", b"") for message in messages).decode()
    assert text == ONE_TEXT + ONE_TEXT.replace("1", "2")
    assert [message.get("more_body") for message in messages][-2:] == [True, False]
    assert ended == [True]


async def test_a_client_that_leaves_ends_the_events_in_the_middle_of_a_wait(client):
    steps = []

    async def events():
        try:
            yield ONE
            await asyncio.Event().wait()
        finally:
            steps.append("closed")

    async def end():
        steps.append("ended")

    serving = asyncio.create_task(
        EventStream(events(), store=None, on_end=end)({"type": "http"}, client.receive, client.send)
    )
    assert await client.next_text() == ONE_TEXT
    client.left.set()
    await asyncio.wait_for(serving, 5)
    assert steps == ["closed", "ended"]


async def test_a_comment_keeps_a_silent_stream_alive(client, monkeypatch):
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_SECONDS", 0.01)
    go_on = asyncio.Event()

    async def events():
        await go_on.wait()
        yield ONE

    serving = asyncio.create_task(EventStream(events(), store=None)({"type": "http"}, client.receive, client.send))
    assert await client.next_text() == KEEP_ALIVE.decode()
    go_on.set()
    while (text := await client.next_text()) == KEEP_ALIVE.decode():
        pass
    assert text == ONE_TEXT
    await asyncio.wait_for(serving, 5)
