"""Event streams: their form, their keep-alive, and their end."""

import asyncio
import json

import pytest

from danqing.api import event_stream
from danqing.api.event_stream import KEEP_ALIVE, EventStream, server_sent_event


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

    async def next_body(self):
        while (message := await self.sent.get())["type"] != "http.response.body":
            pass
        return message["body"]


@pytest.fixture
async def client():
    return Client()


def test_an_event_is_two_lines_and_an_empty_one():
    name, data, *rest = server_sent_event("step", {"text": "two\nlines é"}).decode().split("\n")
    assert (name, rest) == ("event: step", ["", ""])
    assert json.loads(data.removeprefix("data: ")) == {"text": "two\nlines é"}


async def test_all_events_are_sent_and_then_the_end(client):
    ended = []

    async def events():
        yield b"one"
        yield b"two"

    async def end():
        ended.append(True)

    await EventStream(events(), on_end=end)({"type": "http"}, client.receive, client.send)
    messages = [client.sent.get_nowait() for _ in range(client.sent.qsize())]
    assert [message.get("body") for message in messages] == [None, b"one", b"two", b""]
    assert [message.get("more_body") for message in messages] == [None, True, True, False]
    assert ended == [True]


async def test_a_client_that_leaves_ends_the_events_in_the_middle_of_a_wait(client):
    steps = []

    async def events():
        try:
            yield b"one"
            await asyncio.Event().wait()
        finally:
            steps.append("closed")

    async def end():
        steps.append("ended")

    serving = asyncio.create_task(EventStream(events(), on_end=end)({"type": "http"}, client.receive, client.send))
    assert await client.next_body() == b"one"
    client.left.set()
    await asyncio.wait_for(serving, 5)
    assert steps == ["closed", "ended"]


async def test_a_comment_keeps_a_silent_stream_alive(client, monkeypatch):
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_SECONDS", 0.01)
    go_on = asyncio.Event()

    async def events():
        await go_on.wait()
        yield b"one"

    serving = asyncio.create_task(EventStream(events())({"type": "http"}, client.receive, client.send))
    assert await client.next_body() == KEEP_ALIVE
    go_on.set()
    while (body := await client.next_body()) == KEEP_ALIVE:
        pass
    assert body == b"one"
    await asyncio.wait_for(serving, 5)
