"""Expansion by the model itself: its caption is drawn, or a warning says why the prompt is."""

import asyncio

import pytest

from danqing.errors import Overloaded, ServiceError
from danqing.prompts.native import NativeExpander

GIVEN = "enable_prompt_expansion: the prompt was drawn as given. "


class Writer:
    """Answers with a text, or raises."""

    def __init__(self, answer):
        self.answer = answer
        self.questions = []

    async def recaption(self, prompt, *, seed):
        self.questions.append((prompt, seed))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_the_caption_becomes_the_prompt():
    writer = Writer("A red fox,\n in deep\x00 snow, 雪 🦊.")
    expanded = await NativeExpander(writer, timeout_seconds=5).expand("a fox", seed=2**63 - 1)
    assert (expanded.prompt, expanded.warning) == ("A red fox, in deep snow, 雪 🦊.", None)
    assert writer.questions == [("a fox", 2**63 - 1)]


async def test_words_in_quotes_stay_in_quotes():
    expander = NativeExpander(Writer('"OPEN" on a wooden sign that says "OPEN"'), timeout_seconds=5)
    assert (await expander.expand("a sign", seed=1)).prompt == '"OPEN" on a wooden sign that says "OPEN"'


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ServiceError("This checkpoint has not learned to rewrite prompts."), "has not learned"),
        (Overloaded("The engine is restarting.", retry_after_seconds=1), "The engine is restarting."),
        ("", "0 characters"),
        (" \n\t", "0 characters"),
        ("x" * 4001, "4001 characters"),
    ],
)
async def test_a_failure_leaves_the_prompt_and_a_warning_with_the_reason(answer, reason):
    writer = Writer(answer)
    expanded = await NativeExpander(writer, timeout_seconds=5).expand("a fox", seed=1)
    assert expanded.prompt == "a fox"
    assert expanded.warning.startswith(GIVEN)
    assert reason in expanded.warning
    # Asked again, the model would answer the same.
    assert len(writer.questions) == 1


async def test_a_model_that_writes_too_long_is_stopped():
    stopped = []

    class Slow:
        async def recaption(self, prompt, *, seed):
            try:
                await asyncio.sleep(60)
            finally:
                stopped.append(True)

    expanded = await asyncio.wait_for(NativeExpander(Slow(), timeout_seconds=0.05).expand("a fox", seed=1), 5)
    assert (expanded.prompt, expanded.warning) == ("a fox", f"{GIVEN}The expansion took longer than 0.05 s.")
    assert stopped == [True]


async def test_a_job_that_is_cancelled_is_not_drawn_as_given():
    class Slow:
        async def recaption(self, prompt, *, seed):
            await asyncio.sleep(60)

    expanding = asyncio.ensure_future(NativeExpander(Slow(), timeout_seconds=60).expand("a fox", seed=1))
    await asyncio.sleep(0)
    expanding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await expanding
