"""Expansion by a chat endpoint: asks once more after a failure, and warns when it must give up."""

import asyncio
import json

import httpx
import pytest

from danqing.pictures.request import ImageRequest
from danqing.prompts.expander import ExpandedPrompt, NoExpander
from danqing.prompts.remote import ChatEndpoint, RemoteExpander

ENDPOINT = ChatEndpoint(base_url="http://chat.test/v1/", model="small", api_key="secret", timeout_seconds=5)


def asked(prompt, *, seed=1):
    return ImageRequest(prompt=prompt, seed=seed, width_px=None, height_px=None)


def completion(text):
    return httpx.Response(200, json={"choices": [{"message": {"content": text}}]})


def expander(*answers):
    """An expander whose endpoint gives these answers in turn, and the requests it got."""
    requests = []
    remaining = list(answers)

    def answer(request):
        requests.append(request)
        result = remaining.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    return RemoteExpander(ENDPOINT, transport=httpx.MockTransport(answer)), requests


async def test_the_answer_becomes_the_prompt():
    remote, requests = expander(completion(' "A red fox,\n in deep snow."\x00 '))
    assert await remote.expand(asked("a fox", seed=2**40)) == ExpandedPrompt(prompt="A red fox, in deep snow.")
    (request,) = requests
    body = json.loads(request.content)
    assert str(request.url) == "http://chat.test/v1/chat/completions"
    assert request.headers["Authorization"] == "Bearer secret"
    assert body["messages"][1] == {"role": "user", "content": "a fox"}
    assert (body["model"], body["temperature"]) == ("small", 0)
    assert 1 <= body["seed"] < 2**31


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("too slow"),
        httpx.Response(500),
        httpx.Response(200, content=b"not JSON"),
        httpx.Response(200, content=b"[" * 60_000),
        httpx.Response(200, json={"choices": []}),
        httpx.Response(200, json={"choices": [{"message": {"content": None}}]}),
        httpx.Response(200, content=b"x" * 70_000),
        completion("  "),
        completion("x" * 4001),
    ],
)
async def test_a_failure_is_tried_once_more_and_then_told(failure):
    again, requests = expander(failure, completion("A red fox."))
    assert (await again.expand(asked("a fox", seed=1))).prompt == "A red fox."
    assert len(requests) == 2


async def test_two_failures_leave_the_prompt_and_a_warning():
    remote, requests = expander(httpx.ConnectError("refused"), httpx.ConnectError("refused"))
    expanded = await remote.expand(asked("a fox", seed=1))
    assert expanded.prompt == "a fox"
    assert expanded.warning is not None
    assert expanded.warning.startswith("enable_prompt_expansion: the prompt was drawn as given")
    assert len(requests) == 2


async def test_a_refusal_is_not_asked_again():
    remote, requests = expander(httpx.Response(401))
    assert (await remote.expand(asked("a fox", seed=1))).warning is not None
    assert len(requests) == 1


async def test_an_endpoint_that_trickles_is_cut_off():
    class Trickle(httpx.AsyncByteStream):
        async def __aiter__(self):
            while True:
                yield b" "
                await asyncio.sleep(0.02)

    endpoint = ChatEndpoint(base_url="http://chat.test", model="m", api_key=None, timeout_seconds=0.1)
    transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=Trickle()))
    expanded = await asyncio.wait_for(RemoteExpander(endpoint, transport=transport).expand(asked("a fox", seed=1)), 2)
    assert expanded.warning is not None


async def test_a_server_without_an_expander_says_so():
    expanded = await NoExpander().expand(asked("a fox", seed=1))
    assert (expanded.prompt, "no prompt expander" in (expanded.warning or "")) == ("a fox", True)
