"""Telling listeners what happens to a job."""

import asyncio
from datetime import UTC, datetime

import pytest
from fakes import REQUEST

from danqing.errors import RateLimitExceeded
from danqing.jobs import events
from danqing.jobs.events import JobChannel
from danqing.jobs.job import Finished, ImageDone, Job, JobImage, JobStatus, Origin, StepDone

JOB = Job(
    id="j",
    account_id="acme",
    api_key_id="k",
    origin=Origin.API,
    request=REQUEST,
    status=JobStatus.COMPLETED,
    created_at=datetime(2026, 11, 23, tzinfo=UTC),
    price_credits=1,
)
END = Finished(job=JOB)


def step(index, *, image_index=0, preview_png=None):
    return StepDone(image_index=image_index, step=index, num_steps=1000, preview_png=preview_png)


def image(index):
    return ImageDone(
        image=JobImage(
            image_index=index,
            seed=index,
            path=f"p{index}",
            width_px=1,
            height_px=1,
            content_type="image/png",
            flagged=False,
            revised_prompt=None,
        )
    )


async def _all(channel):
    return [event async for event in channel.follow()]


async def test_every_listener_hears_everything_in_order():
    channel = JobChannel(account_id="acme")
    listeners = [asyncio.create_task(_all(channel)) for _ in range(2)]
    await asyncio.sleep(0)
    story = [step(1), step(2), image(0), END]
    for event in story:
        channel.publish(event)
        await asyncio.sleep(0)
    assert await asyncio.gather(*listeners) == [story, story]


async def test_who_comes_late_hears_the_latest_step_and_every_image():
    channel = JobChannel(account_id="acme")
    for event in (step(1), step(2), image(0), step(1, image_index=1), image(1)):
        channel.publish(event)
    listener = asyncio.create_task(_all(channel))
    await asyncio.sleep(0)
    channel.publish(END)
    assert await listener == [step(2), step(1, image_index=1), image(0), image(1), END]


async def test_who_comes_after_the_end_hears_it_too():
    channel = JobChannel(account_id="acme")
    channel.publish(image(0))
    channel.publish(END)
    assert await _all(channel) == [image(0), END]


async def test_the_latest_step_is_replayed_with_the_latest_preview():
    channel = JobChannel(account_id="acme")
    channel.publish(step(1, preview_png=b"png"))
    channel.publish(step(2))
    channel.publish(END)
    assert await _all(channel) == [step(2, preview_png=b"png"), END]


async def test_a_slow_listener_loses_the_oldest_steps_and_nothing_else():
    channel = JobChannel(account_id="acme")
    follow = channel.follow()
    channel.publish(step(1))
    assert await anext(follow) == step(1)
    channel.publish(image(0))
    for index in range(2, 1000):
        channel.publish(step(index))
    channel.publish(image(1))
    channel.publish(END)
    heard = [event async for event in follow]
    assert len(heard) == events.MAX_BUFFERED_EVENTS
    assert heard[0] == image(0)
    assert heard[-3:] == [step(999), image(1), END]


async def test_an_abandoned_channel_ends_without_an_end():
    channel = JobChannel(account_id="acme")
    listener = asyncio.create_task(_all(channel))
    await asyncio.sleep(0)
    channel.publish(step(1))
    channel.abandon()
    assert await listener == [step(1)]


async def test_listeners_are_bounded_and_leave_when_they_close():
    channel = JobChannel(account_id="acme")
    channel.publish(step(1))
    follows = [channel.follow() for _ in range(events.MAX_LISTENERS)]
    for follow in follows:
        await anext(follow)
    with pytest.raises(RateLimitExceeded):
        await anext(channel.follow())
    await follows[0].aclose()
    follow = channel.follow()
    await anext(follow)
    for open_follow in [*follows, follow]:
        await open_follow.aclose()
