"""Expansion by the model itself: its caption is drawn, or a warning says why the prompt is."""

import asyncio

import pytest

from danqing.errors import Overloaded, ServiceError
from danqing.pictures.request import Expansion, ImageRequest
from danqing.prompts.native import NativeExpander

GIVEN = "enable_prompt_expansion: the prompt was drawn as given. "


def request(prompt, *, seed=1):
    return ImageRequest(prompt=prompt, seed=seed, width_px=None, height_px=None)


class Writer:
    """Expands every prompt to a text, or raises."""

    def __init__(self, answer, thought=None):
        self.answer = answer
        self.thought = thought
        self.questions = []

    async def expand(self, request):
        self.questions.append((request.prompt, request.seed))
        if isinstance(self.answer, Exception):
            raise self.answer
        return Expansion(caption=self.answer, thought=self.thought)


async def test_caption_and_thought_are_drawn_as_written_and_the_caption_is_shown_on_one_line():
    caption = " A red fox,\n in deep\x00 snow, 雪 🦊."
    writer = Writer(caption, thought="A fox.\nSnow. ")
    expanded = await NativeExpander(writer.expand, timeout_seconds=5).expand(request("a fox", seed=2**63 - 1))
    assert (expanded.prompt, expanded.warning) == ("a fox", None)
    assert expanded.expansion == Expansion(caption=caption, thought="A fox.\nSnow. ")
    assert expanded.caption == "A red fox, in deep snow, 雪 🦊."
    assert expanded.texts == ("a fox", caption, "A fox.\nSnow. ")
    assert writer.questions == [("a fox", 2**63 - 1)]


async def test_a_thought_alone_leaves_the_prompt_as_it_is():
    expanded = await NativeExpander(Writer(None, thought="A fox.").expand, timeout_seconds=5).expand(request("a fox"))
    assert (expanded.caption, expanded.expansion, expanded.warning) == ("a fox", Expansion(thought="A fox."), None)


async def test_a_caption_may_be_longer_than_a_prompt():
    caption = "x " * 8_000
    expanded = await NativeExpander(Writer(caption).expand, timeout_seconds=5).expand(request("a fox"))
    assert (expanded.caption, expanded.warning) == (caption.strip(), None)


async def test_a_thought_that_nobody_could_read_is_refused():
    writer = Writer("A red fox.", thought="x" * 16_385)
    expanded = await NativeExpander(writer.expand, timeout_seconds=5).expand(request("a fox"))
    assert (expanded.expansion, "16385 characters" in expanded.warning) == (None, True)


async def test_words_in_quotes_stay_in_quotes():
    expander = NativeExpander(Writer('"OPEN" on a wooden sign that says "OPEN"').expand, timeout_seconds=5)
    assert (await expander.expand(request("a sign"))).caption == '"OPEN" on a wooden sign that says "OPEN"'


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ServiceError("This checkpoint has not learned to rewrite prompts."), "has not learned"),
        (Overloaded("The engine is restarting.", retry_after_seconds=1), "The engine is restarting."),
        ("", "0 characters"),
        (" \n\t", "0 characters"),
        ("x" * 16_385, "16385 characters"),
        ("x" + " " * 16_384, "16385 characters"),
    ],
)
async def test_a_failure_leaves_the_prompt_and_a_warning_with_the_reason(answer, reason):
    writer = Writer(answer)
    expanded = await NativeExpander(writer.expand, timeout_seconds=5).expand(request("a fox"))
    assert (expanded.prompt, expanded.caption, expanded.expansion) == ("a fox", "a fox", None)
    assert expanded.warning.startswith(GIVEN)
    assert reason in expanded.warning
    # Asked again, the model would answer the same.
    assert len(writer.questions) == 1


async def test_a_model_that_writes_too_long_is_stopped():
    stopped = []

    class Slow:
        async def expand(self, request):
            try:
                await asyncio.sleep(60)
            finally:
                stopped.append(True)

    expanded = await asyncio.wait_for(NativeExpander(Slow().expand, timeout_seconds=0.05).expand(request("a fox")), 5)
    assert (expanded.prompt, expanded.warning) == ("a fox", f"{GIVEN}The expansion took longer than 0.05 s.")
    assert stopped == [True]


async def test_a_job_that_is_cancelled_is_not_drawn_as_given():
    class Slow:
        async def expand(self, request):
            await asyncio.sleep(60)

    expanding = asyncio.ensure_future(NativeExpander(Slow().expand, timeout_seconds=60).expand(request("a fox")))
    await asyncio.sleep(0)
    expanding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await expanding
