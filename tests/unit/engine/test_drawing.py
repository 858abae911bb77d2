"""A slow reader loses steps, never pictures, and learns of the end."""

import asyncio

import pytest

from danqing.engine.drawing import MAX_PENDING_STEPS, ChildDied, Drawing
from danqing.engine.interface import ImageResult, Progress
from danqing.engine.messages import Ended, Outcome
from danqing.pictures.raster import Raster

COMPLETED = Ended(draw_id=1, outcome=Outcome.COMPLETED)


def step(number: int) -> Progress:
    return Progress(image_index=0, step=number, num_steps=1000)


def image(image_index: int) -> ImageResult:
    return ImageResult(image_index=image_index, seed=1, raster=Raster(width_px=1, height_px=1, rgb=b"abc"))


async def test_events_arrive_in_order_and_end() -> None:
    drawing = Drawing(1)
    drawing.put(step(1))
    drawing.put(image(0))
    drawing.end(COMPLETED)
    assert [event async for event in drawing] == [step(1), image(0)]
    assert drawing.outcome is Outcome.COMPLETED


async def test_a_slow_reader_loses_the_oldest_steps_and_no_picture() -> None:
    drawing = Drawing(1)
    drawing.put(image(0))
    for number in range(1, 501):
        drawing.put(step(number))
    drawing.put(image(1))
    drawing.end(COMPLETED)
    events = [event async for event in drawing]
    assert [event for event in events if isinstance(event, ImageResult)] == [image(0), image(1)]
    steps = [event.step for event in events if isinstance(event, Progress)]
    assert steps == list(range(501 - MAX_PENDING_STEPS, 501))


async def test_a_reader_that_keeps_up_loses_nothing() -> None:
    drawing = Drawing(1)
    seen = []
    for number in range(1, 501):
        drawing.put(step(number))
        seen.append(await anext(drawing))
    assert len(seen) == 500


async def test_a_waiting_reader_wakes_up() -> None:
    drawing = Drawing(1)
    waiting = asyncio.ensure_future(anext(drawing))
    await asyncio.sleep(0)
    drawing.put(step(1))
    assert await waiting == step(1)


async def test_a_death_is_told_after_what_came_before_it() -> None:
    drawing = Drawing(1)
    drawing.put(image(0))
    drawing.end(ChildDied("was killed"))
    assert await anext(drawing) == image(0)
    with pytest.raises(ChildDied, match="was killed"):
        await anext(drawing)
    assert drawing.outcome is None


async def test_the_end_is_announced_once_even_if_nobody_reads() -> None:
    ends = []
    drawing = Drawing(1, on_end=lambda: ends.append(True))
    drawing.put(step(1))
    drawing.end(COMPLETED)
    assert ends == [True]
