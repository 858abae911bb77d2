"""The events of a task: a slow reader loses steps, never images, and learns of the end."""

import asyncio

import pytest

from danqing.engine.interface import ImageResult, Progress
from danqing.engine.messages import TaskEnded, TaskOutcome
from danqing.engine.task_events import MAX_PENDING_STEPS, ChildDied, TaskEvents
from danqing.pictures.raster import Raster

COMPLETED = TaskEnded(task_id=1, outcome=TaskOutcome.COMPLETED)


def step(number: int) -> Progress:
    return Progress(image_index=0, step=number, num_steps=1000)


def image(image_index: int) -> ImageResult:
    return ImageResult(image_index=image_index, seed=1, raster=Raster(width_px=1, height_px=1, rgb=b"abc"))


async def test_events_arrive_in_order_and_end() -> None:
    task = TaskEvents(1)
    task.put(step(1))
    task.put(image(0))
    task.end(COMPLETED)
    assert [event async for event in task] == [step(1), image(0)]
    assert task.ended == COMPLETED


async def test_a_slow_reader_loses_the_oldest_steps_and_no_image() -> None:
    task = TaskEvents(1)
    task.put(image(0))
    for number in range(1, 501):
        task.put(step(number))
    task.put(image(1))
    task.end(COMPLETED)
    events = [event async for event in task]
    assert [event for event in events if isinstance(event, ImageResult)] == [image(0), image(1)]
    steps = [event.step for event in events if isinstance(event, Progress)]
    assert steps == list(range(501 - MAX_PENDING_STEPS, 501))


async def test_a_reader_that_keeps_up_loses_nothing() -> None:
    task = TaskEvents(1)
    seen = []
    for number in range(1, 501):
        task.put(step(number))
        seen.append(await anext(task))
    assert len(seen) == 500


async def test_a_waiting_reader_wakes_up() -> None:
    task = TaskEvents(1)
    waiting = asyncio.ensure_future(anext(task))
    await asyncio.sleep(0)
    task.put(step(1))
    assert await waiting == step(1)


async def test_a_death_is_told_after_what_came_before_it() -> None:
    task = TaskEvents(1)
    task.put(image(0))
    task.end(ChildDied("was killed"))
    assert await anext(task) == image(0)
    with pytest.raises(ChildDied, match="was killed"):
        await anext(task)
    assert task.ended is None


async def test_the_end_is_announced_once_even_if_nobody_reads() -> None:
    ends = []
    task = TaskEvents(1, on_end=lambda: ends.append(True))
    task.put(step(1))
    task.end(COMPLETED)
    assert ends == [True]
