"""The job service as the edge uses it: submit, follow, wait, cancel."""

import asyncio
import io

import pytest
from fakes import MODEL, raster_of
from house import ALL, IMAGE_CREDITS, finished, until
from PIL import Image

from danqing.errors import (
    IdempotencyMismatch,
    InsufficientCredits,
    ModerationBlocked,
    NotFound,
    Overloaded,
    RateLimitExceeded,
)
from danqing.jobs.body_fingerprint import BodyFingerprint
from danqing.jobs.job import Finished, ImageDone, JobStatus, StepDone


async def test_a_job_is_drawn_stored_and_charged(house):
    async with house.running() as service:
        job = await finished(service, house.submission(num_images=2))
    assert (job.status, job.charged_credits, job.engine) == (JobStatus.COMPLETED, 2 * IMAGE_CREDITS, MODEL)
    assert [(image.image_index, image.seed) for image in job.images] == [(0, 7), (1, 8)]
    assert house.balance() == (ALL - 2 * IMAGE_CREDITS, 0)
    assert house.observer.statuses(job.id) == ["queued", "generating", "completed"]
    for image in job.images:
        picture = Image.open(io.BytesIO(house.store.files[image.path]))
        assert picture.tobytes() == raster_of(image.seed).rgb


async def test_a_follower_hears_steps_previews_images_and_the_end(house):
    async with house.running() as service:
        job = await service.submit(house.submission(preview_every_steps=2))
        events = [event async for event in service.subscribe(job.id, account_id="acme", hand_out=True)]
    steps = [event for event in events if isinstance(event, StepDone)]
    assert [(step.step, step.num_steps) for step in steps] == [(1, 3), (2, 3), (3, 3)]
    assert steps[1].preview_png.startswith(b"\x89PNG")
    assert isinstance(events[-2], ImageDone)
    assert isinstance(events[-1], Finished)
    assert events[-1].job.images == (events[-2].image,)


async def test_who_follows_a_finished_job_hears_its_images_and_the_end(house):
    async with house.running() as service:
        job = await finished(service, house.submission(num_images=2))
        events = [event async for event in service.subscribe(job.id, account_id="acme", hand_out=True)]
    assert [event.image.image_index for event in events[:-1]] == [0, 1]
    assert events[-1] == Finished(job=job)


async def test_a_job_of_another_account_is_not_found(house):
    async with house.running() as service:
        job = await finished(service, house.submission())
        for attempt in (service.get, service.wait, service.cancel):
            with pytest.raises(NotFound):
                await attempt(job.id, account_id="umbrella")
        with pytest.raises(NotFound):
            await service.get("x" * 21, account_id="acme")


async def test_a_running_job_of_another_account_cannot_be_followed(house):
    house.engine.gate = asyncio.Event()
    async with house.running() as service:
        job = await service.submit(house.submission())
        with pytest.raises(NotFound):
            await anext(service.subscribe(job.id, account_id="umbrella"))


async def test_a_refused_prompt_is_never_written_or_charged(house):
    house.prompt_check.refused_words = ("red",)
    async with house.running() as service:
        with pytest.raises(ModerationBlocked, match="Refused by the fake"):
            await service.submit(house.submission())
    assert house.observer.changes == []
    assert house.balance() == (ALL, 0)


async def test_cancelling_a_queued_job_leaves_the_queue_and_never_draws(house):
    house.engine.gate = asyncio.Event()
    async with house.running(max_concurrent_jobs=1) as service:
        first = await service.submit(house.submission())
        await until(lambda: service.num_running == 1)
        second = await service.submit(house.submission(seed=8))
        assert service.num_queued == 1
        await service.cancel(second.id, account_id="acme")
        assert service.num_queued == 0
        house.engine.gate.set()
        await service.wait(first.id, account_id="acme")
    assert house.engine.requests == [first.request]


async def test_cancelling_a_finished_job_changes_nothing(house):
    async with house.running() as service:
        job = await finished(service, house.submission())
        assert await service.cancel(job.id, account_id="acme") == job


async def test_a_full_queue_refuses_and_holds_nothing(house):
    house.engine.gate = asyncio.Event()
    async with house.running(max_concurrent_jobs=1, max_queued_jobs=2) as service:
        for _ in range(3):
            await service.submit(house.submission())
            await until(lambda: service.num_running == 1)
        with pytest.raises(Overloaded) as refusal:
            await service.submit(house.submission("umbrella"))
        assert 1 <= refusal.value.retry_after_seconds <= 120
        assert house.balance("umbrella") == (ALL, 0)


async def test_more_replicas_shorten_the_time_that_a_refused_caller_is_told(house):
    house.engine.gate = asyncio.Event()
    async with house.running(max_concurrent_jobs=1, max_queued_jobs=11) as service:
        for _ in range(12):
            await service.submit(house.submission())
        await until(lambda: service.num_running == 1)
        waits = []
        for house.engine.num_replicas in (1, 4):
            with pytest.raises(Overloaded) as refusal:
                await service.submit(house.submission("umbrella"))
            waits.append(refusal.value.retry_after_seconds)
        assert waits == [12, 3]
        house.engine.gate.set()


async def test_an_account_with_its_share_of_the_queue_is_told_to_wait(house):
    house.engine.gate = asyncio.Event()
    async with house.running(max_concurrent_jobs=1, max_queued_jobs_per_account=1) as service:
        for _ in range(2):
            await service.submit(house.submission())
            await until(lambda: service.num_running == 1)
        with pytest.raises(RateLimitExceeded):
            await service.submit(house.submission())
        await service.submit(house.submission("umbrella"))


async def test_a_submission_that_is_refused_gives_its_place_back(house):
    async with house.running(max_queued_jobs=1) as service:
        for _ in range(3):
            with pytest.raises(InsufficientCredits):
                await service.submit(house.submission(num_images=48))
        await finished(service, house.submission())


async def test_many_submissions_at_once_all_finish_and_are_charged_once_each(house):
    async with house.running() as service:
        jobs = await asyncio.gather(*(finished(service, house.submission()) for _ in range(40)))
    assert {job.status for job in jobs} == {JobStatus.COMPLETED}
    assert house.balance() == (ALL - 40 * IMAGE_CREDITS, 0)


async def test_the_same_idempotency_key_is_drawn_and_charged_once(house):
    async with house.running() as service:
        first = await finished(service, house.submission(idempotency_key="k"))
        second = await service.submit(house.submission(idempotency_key="k"))
        assert (second.id, second.replayed, second.images) == (first.id, True, first.images)
        other = BodyFingerprint(in_effect="g", as_written="g")
        with pytest.raises(IdempotencyMismatch):
            await service.submit(house.submission(idempotency_key="k", body_fingerprint=other))
    assert len(house.engine.requests) == 1


async def test_one_of_many_equal_requests_at_once_is_drawn(house):
    house.engine.gate = asyncio.Event()
    async with house.running() as service:
        submissions = [house.submission(idempotency_key="k", respond_async=True) for _ in range(8)]
        outcomes = await asyncio.gather(*map(service.submit, submissions), return_exceptions=True)
        house.engine.gate.set()
        jobs = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
        assert len({job.id for job in jobs}) == 1
        await service.wait(jobs[0].id, account_id="acme")
    assert len(house.engine.requests) == 1
    assert house.balance() == (ALL - IMAGE_CREDITS, 0)


async def test_a_submitter_who_leaves_at_once_leaves_no_job_behind(house):
    house.engine.gate = asyncio.Event()
    async with house.running() as service:
        submitting = asyncio.create_task(service.submit(house.submission()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        submitting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submitting
        await until(lambda: service.num_running == service.num_queued == 0)
    assert house.balance() == (ALL, 0)


async def test_draining_lets_running_and_queued_jobs_finish(house):
    service = house.service(max_concurrent_jobs=1)
    await service.start()
    jobs = [await service.submit(house.submission()) for _ in range(3)]
    await service.drain(timeout_seconds=10)
    for job in jobs:
        assert (await service.get(job.id, account_id="acme")).status is JobStatus.COMPLETED


async def test_a_job_that_is_being_written_when_the_drain_begins_is_finished_too(house, monkeypatch):
    service = house.service()
    await service.start()
    may_write, run_write = asyncio.Event(), house.database.run_write

    async def held_up(work):
        monkeypatch.undo()
        await may_write.wait()
        return await run_write(work)

    monkeypatch.setattr(house.database, "run_write", held_up)
    submitting = asyncio.create_task(service.submit(house.submission()))
    await until(lambda: house.database.run_write == run_write)
    draining = asyncio.create_task(service.drain(timeout_seconds=10))
    await asyncio.sleep(0.05)
    may_write.set()
    await draining
    job = await submitting
    assert (await service.get(job.id, account_id="acme")).status is JobStatus.COMPLETED


async def test_a_draining_service_takes_no_jobs(house):
    service = house.service()
    await service.start()
    assert service.accepting
    await service.drain(timeout_seconds=1)
    assert not service.accepting
    with pytest.raises(Overloaded):
        await service.submit(house.submission())
    assert house.balance() == (ALL, 0)


async def test_what_does_not_finish_in_time_fails_free_of_charge(house):
    house.engine.gate = asyncio.Event()
    service = house.service(max_concurrent_jobs=1)
    await service.start()
    jobs = [await service.submit(house.submission()) for _ in range(2)]
    waiting = [asyncio.create_task(service.wait(job.id, account_id="acme")) for job in jobs]
    await until(lambda: service.num_running == 1)
    await service.drain(timeout_seconds=0.05)
    for job in await asyncio.gather(*waiting):
        assert (job.status, job.error_code) == (JobStatus.ERROR, "overloaded")
    assert house.engine.num_open == 0
    assert house.balance() == (ALL, 0)


async def test_a_drain_that_allows_no_time_ends_one_that_waits(house):
    house.engine.gate = asyncio.Event()
    service = house.service()
    await service.start()
    job = await service.submit(house.submission())
    await until(lambda: service.num_running == 1)
    patient = asyncio.create_task(service.drain(timeout_seconds=3600))
    await service.drain(timeout_seconds=0)
    await patient
    assert (await service.get(job.id, account_id="acme")).error_code == "overloaded"
    assert house.balance() == (ALL, 0)


async def test_what_can_be_collected_later_is_handed_to_the_next_process(house):
    house.engine.gate = asyncio.Event()
    first = house.service(max_concurrent_jobs=1)
    await first.start()
    jobs = [await first.submit(house.submission(respond_async=True)) for _ in range(2)]
    await until(lambda: first.num_running == 1)
    await first.drain(timeout_seconds=0.05)
    house.engine.gate.set()
    async with house.running() as second:
        for job in jobs:
            finished = await second.wait(job.id, account_id="acme")
            assert (finished.status, finished.num_attempts) == (JobStatus.COMPLETED, 1)
    assert house.balance() == (ALL - 2 * IMAGE_CREDITS, 0)


async def test_a_follower_of_another_processes_job_hears_its_images_and_its_end(house):
    async with house.running() as worker, house.running() as other:
        job = await worker.submit(house.submission())
        events = [event async for event in other.subscribe(job.id, account_id="acme", hand_out=True)]
    assert [type(event).__name__ for event in events] == ["ImageDone", "Finished"]


async def test_a_request_that_credits_refuse_is_kept_as_a_failed_job_without_a_hold(house):
    async with house.running() as service:
        refused = house.submission(num_images=48, webhook_url="https://example.com/hook")
        with pytest.raises(InsufficientCredits):
            await service.submit(refused)
        job = await service.get(refused.job_id, account_id="acme")
    assert (job.status, job.error_code, job.price_credits) == (JobStatus.ERROR, "insufficient_credits", 0)
    assert (job.started_at, job.webhook_url) == (None, None)
    assert house.balance() == (ALL, 0)


async def test_the_time_of_each_part_is_kept_with_a_drawn_job(house):
    async with house.running() as service:
        job = await finished(service, house.submission(enable_prompt_expansion=True))
    assert set(job.timings) == {"expand", "draw", "check", "store"}
    assert all(milliseconds >= 0 for milliseconds in job.timings.values())
