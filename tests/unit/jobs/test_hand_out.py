"""What is handed out before a job's end is charged however it ends; everything else is not."""

import asyncio

import pytest
from fakes import IMAGE
from house import ALL, IMAGE_CREDITS, finished, until

from danqing.jobs import lifecycle
from danqing.jobs.job import ImageDone, JobResult, JobStatus
from danqing.jobs.lifecycle import LostJob


async def _follow(service, job, *, num_images):
    """Follow a job until so many images were handed out; return them in order."""
    images = []
    async for event in service.subscribe(job.id, account_id="acme", hand_out=True):
        if isinstance(event, ImageDone):
            images.append(event.image)
            if len(images) == num_images:
                return sorted(images, key=lambda image: image.image_index)
    raise AssertionError("the job ended first")


@pytest.fixture
def stuck_house(house):
    """Its engine draws three images and then waits."""
    house.engine.gate, house.engine.free_images = asyncio.Event(), 3
    return house


async def test_three_of_four_images_read_from_the_events_are_charged_when_the_job_is_cancelled(stuck_house):
    async with stuck_house.running() as service:
        job = await service.submit(stuck_house.submission(num_images=4, respond_async=True))
        images = await _follow(service, job, num_images=3)
        ended = await service.cancel(job.id, account_id="acme")
        assert (ended.status, ended.charged_credits) == (JobStatus.COMPLETED, 3 * IMAGE_CREDITS)
        assert list(ended.images) == images
        assert ended.warnings == ("1 of the images failed and are not charged. The job was cancelled.",)
        assert ended.engine is not None
    assert stuck_house.balance() == (ALL - 3 * IMAGE_CREDITS, 0)
    assert set(stuck_house.store.files) == {image.path for image in images}


async def test_images_that_were_stored_and_not_handed_out_are_released_and_deleted(stuck_house):
    async with stuck_house.running() as service:
        job = await service.submit(stuck_house.submission(num_images=4, respond_async=True))
        (image,) = await _follow(service, job, num_images=1)
        await until(lambda: len(stuck_house.store.files) == 3)
        ended = await service.cancel(job.id, account_id="acme")
        await until(lambda: set(stuck_house.store.files) == {image.path})
    assert ended.charged_credits == IMAGE_CREDITS
    assert stuck_house.balance() == (ALL - IMAGE_CREDITS, 0)


async def test_who_waits_for_a_job_hands_out_nothing_before_its_end(stuck_house):
    async with stuck_house.running() as service:
        job = await service.submit(stuck_house.submission(num_images=4, respond_async=True))
        waiting = asyncio.create_task(service.wait(job.id, account_id="acme"))
        await until(lambda: len(stuck_house.store.files) == 3)
        await service.cancel(job.id, account_id="acme")
        assert (await waiting).status is JobStatus.CANCELLED
    assert stuck_house.balance() == (ALL, 0)


async def test_a_job_over_its_time_limit_is_completed_by_what_it_handed_out(stuck_house):
    async with stuck_house.running(job_time_limit_seconds=2) as service:
        job = await service.submit(stuck_house.submission(num_images=4))
        images = await _follow(service, job, num_images=2)
        ended = await service.wait(job.id, account_id="acme")
    assert (ended.status, list(ended.images)) == (JobStatus.COMPLETED, images)
    assert "time limit" in ended.warnings[0]
    assert stuck_house.balance() == (ALL - 2 * IMAGE_CREDITS, 0)


async def test_a_drain_completes_by_what_was_handed_out_what_cannot_be_collected_later(stuck_house):
    service = stuck_house.service()
    await service.start()
    job = await service.submit(stuck_house.submission(num_images=4))
    images = await _follow(service, job, num_images=3)
    await service.drain(timeout_seconds=0)
    ended = stuck_house.stored(job)
    assert (ended.status, list(ended.images)) == (JobStatus.COMPLETED, images)
    assert stuck_house.balance() == (ALL - 3 * IMAGE_CREDITS, 0)
    assert set(stuck_house.store.files) == {image.path for image in images}


async def test_a_job_handed_back_by_a_drain_keeps_what_it_handed_out_and_is_charged_once(stuck_house):
    first = stuck_house.service()
    await first.start()
    job = await first.submit(stuck_house.submission(num_images=4, respond_async=True))
    images = await _follow(first, job, num_images=2)
    await first.drain(timeout_seconds=0)
    stuck_house.engine.gate.set()
    async with stuck_house.running() as second:
        ended = await second.wait(job.id, account_id="acme")
    assert set(images) <= set(ended.images)
    assert [image.image_index for image in ended.images] == [0, 1, 2, 3]
    assert stuck_house.balance() == (ALL - 4 * IMAGE_CREDITS, 0)
    assert set(stuck_house.store.files) == {image.path for image in ended.images}


async def test_after_a_crash_what_was_handed_out_is_not_drawn_anew_and_charged_once(house):
    job = _crash_after_one_image(house, respond_async=True)
    async with house.running() as service:
        images = await _follow(service, job, num_images=3)
        ended = await service.wait(job.id, account_id="acme")
    assert images[0] == IMAGE
    assert list(ended.images) == images
    assert house.balance() == (ALL - 3 * IMAGE_CREDITS, 0)


async def test_after_a_crash_a_job_that_nobody_could_collect_is_completed_by_what_it_handed_out(house):
    job = _crash_after_one_image(house)
    async with house.running():
        ended = house.stored(job)
    assert (ended.status, ended.images, ended.charged_credits) == (JobStatus.COMPLETED, (IMAGE,), IMAGE_CREDITS)
    assert ended.warnings == (
        "w",
        "2 of the images failed and are not charged. The server stopped while it worked on this request.",
    )


def test_a_job_that_was_taken_over_can_be_cancelled_before_it_runs_again(house):
    job = _crash_after_one_image(house, respond_async=True)
    with house.database.write() as conn:
        lifecycle.recover(conn, lease=house.lease("other"), at_work=(), now=house.clock(), limit=9)
    ended = house.cancel(job)
    assert (ended.status, ended.images, ended.charged_credits) == (JobStatus.COMPLETED, (IMAGE,), IMAGE_CREDITS)


def test_handing_out_the_same_image_again_changes_nothing(house):
    job = house.write_job(started=True)
    _hand_out(house, job)
    _hand_out(house, job)
    assert house.stored(job).images == (IMAGE,)
    house.cancel(job)


def test_nothing_is_handed_out_of_a_job_that_has_ended_or_is_another_processes(house):
    job = house.write_job(started=True)
    with pytest.raises(LostJob):
        _hand_out(house, job, owner="other")
    house.cancel(job)
    with pytest.raises(LostJob):
        _hand_out(house, job)
    assert house.balance() == (ALL, 0)


async def test_a_listener_gets_no_image_of_a_job_that_was_cancelled_in_the_same_moment(stuck_house, monkeypatch):
    async with stuck_house.running() as service:
        job = await service.submit(stuck_house.submission(num_images=4))
        await until(lambda: len(stuck_house.store.files) == 3)
        run_write = stuck_house.database.run_write

        async def too_late(work):
            monkeypatch.undo()
            await service.cancel(job.id, account_id="acme")
            return await run_write(work)

        monkeypatch.setattr(stuck_house.database, "run_write", too_late)
        events = [event async for event in service.subscribe(job.id, account_id="acme", hand_out=True)]
        assert not any(isinstance(event, ImageDone) for event in events)
        assert events[-1].job.status is JobStatus.CANCELLED
    assert stuck_house.balance() == (ALL, 0)


async def test_a_failed_job_that_was_charged_keeps_its_idempotency_key(stuck_house):
    async with stuck_house.running() as service:
        job = await service.submit(stuck_house.submission(num_images=4, idempotency_key="k"))
        await _follow(service, job, num_images=1)
        await service.cancel(job.id, account_id="acme")
        again = await finished(service, stuck_house.submission(num_images=4, idempotency_key="k"))
    assert (again.id, again.replayed) == (job.id, False)
    assert stuck_house.balance() == (ALL - IMAGE_CREDITS, 0)


def _hand_out(house, job, *, owner="me"):
    so_far = JobResult(images=(IMAGE,), engine="fake", safety={}, warnings=("w",), expanded_prompt=None)
    with house.database.write() as conn:
        lifecycle.hand_out(conn, job.id, IMAGE, so_far=so_far, lease_owner=owner)


def _crash_after_one_image(house, **changes):
    job = house.write_job(started=True, num_images=3, **changes)
    _hand_out(house, job)
    house.clock.advance(seconds=16)
    return job
