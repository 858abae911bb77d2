"""The job service as the edge uses it: submit, follow, wait, cancel."""

import asyncio
import io

import pytest
from fakes import MODEL, raster_of
from PIL import Image

from danqing.engine.interface import EngineCrashed, EngineState
from danqing.errors import (
    IdempotencyMismatch,
    InsufficientCredits,
    InvalidRequest,
    ModerationBlocked,
    NotFound,
    Overloaded,
    RateLimitExceeded,
)
from danqing.jobs.job import Finished, ImageDone, JobStatus, StepDone

ALL = 10_000_000
IMAGE_CREDITS = 210_000


async def _run(service, submission):
    job = await service.submit(submission)
    return await service.wait(job.id, account_id=job.account_id)


async def _until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_job_is_drawn_stored_and_charged(house):
    async with house.running() as service:
        job = await _run(service, house.submission(num_images=2))
    assert (job.status, job.charged_credits, job.engine) == (JobStatus.COMPLETED, 2 * IMAGE_CREDITS, MODEL)
    assert [(image.image_index, image.seed) for image in job.images] == [(0, 7), (1, 8)]
    assert house.balance() == (ALL - 2 * IMAGE_CREDITS, 0)
    assert house.observer.statuses(job.id) == ["queued", "generating", "completed"]
    for image in job.images:
        picture = Image.open(io.BytesIO(house.store.files[image.path]))
        assert picture.tobytes() == raster_of(image.seed).rgb


async def test_the_engine_gets_what_was_asked(house):
    async with house.running() as service:
        submission = house.submission(negative_prompt="blue", guidance_scale=1.0, preview_every_steps=2)
        await _run(service, submission)
    assert house.engine.requests == [submission.request]


async def test_image_two_of_a_seed_is_image_one_of_the_next_to_the_last_byte(house):
    async with house.running() as service:
        pair = await _run(service, house.submission(num_images=2, seed=7))
        single = await _run(service, house.submission(seed=8))
    assert house.store.files[pair.images[1].path] == house.store.files[single.images[0].path]


async def test_a_follower_hears_steps_previews_images_and_the_end(house):
    async with house.running() as service:
        job = await service.submit(house.submission(preview_every_steps=2))
        events = [event async for event in service.subscribe(job.id, account_id="acme")]
    steps = [event for event in events if isinstance(event, StepDone)]
    assert [(step.step, step.num_steps) for step in steps] == [(1, 3), (2, 3), (3, 3)]
    assert steps[1].preview_png.startswith(b"\x89PNG")
    assert isinstance(events[-2], ImageDone)
    assert isinstance(events[-1], Finished)
    assert events[-1].job.images == (events[-2].image,)


async def test_who_follows_a_finished_job_hears_its_images_and_the_end(house):
    async with house.running() as service:
        job = await _run(service, house.submission(num_images=2))
        events = [event async for event in service.subscribe(job.id, account_id="acme")]
    assert [event.image.image_index for event in events[:-1]] == [0, 1]
    assert events[-1] == Finished(job=job)


async def test_a_job_of_another_account_is_not_found(house):
    async with house.running() as service:
        job = await _run(service, house.submission())
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


async def test_with_the_safety_checker_off_nothing_is_checked_and_the_job_says_so(house):
    house.prompt_check.refused_words = ("red",)
    house.image_check.flags = lambda raster: True
    async with house.running() as service:
        job = await _run(service, house.submission(enable_safety_checker=False))
    assert job.safety == {"enabled": False, "prompt_check": "off", "image_check": "off"}
    assert not job.images[0].flagged


async def test_the_job_says_who_checked_it(house):
    async with house.running() as service:
        job = await _run(service, house.submission())
    assert job.safety == {"enabled": True, "prompt_check": "fake words", "image_check": "fake eyes"}


async def test_a_flagged_image_is_black_same_size_and_charged(house):
    house.image_check.flags = lambda raster: raster.rgb[0] == 8
    async with house.running() as service:
        job = await _run(service, house.submission(num_images=2))
    assert [image.flagged for image in job.images] == [False, True]
    black = Image.open(io.BytesIO(house.store.files[job.images[1].path]))
    assert (black.size, set(black.tobytes())) == ((8, 6), {0})
    assert job.charged_credits == 2 * IMAGE_CREDITS


async def test_an_expanded_prompt_is_checked_drawn_and_returned(house):
    async with house.running() as service:
        job = await _run(service, house.submission(enable_prompt_expansion=True))
    assert house.engine.requests[0].prompt == "a red square, in detail 7"
    assert job.expanded_prompt == job.images[0].revised_prompt == "a red square, in detail 7"
    assert house.prompt_check.prompts == ["a red square", "a red square, in detail 7"]


async def test_both_checks_of_a_prompt_see_the_negative_prompt(house):
    async with house.running() as service:
        await _run(service, house.submission(enable_prompt_expansion=True, negative_prompt="green"))
    assert house.prompt_check.negative_prompts == ["green", "green"]


async def test_an_expanded_prompt_that_is_refused_fails_the_job_free_of_charge(house):
    house.expander.suffix = ", bloody"
    house.prompt_check.refused_words = ("bloody",)
    async with house.running() as service:
        job = await _run(service, house.submission(enable_prompt_expansion=True))
    assert (job.status, job.error_code) == (JobStatus.ERROR, "moderation_blocked")
    assert house.engine.requests == []
    assert house.balance() == (ALL, 0)


async def test_an_expander_that_fails_leaves_the_prompt_and_a_warning(house):
    house.expander.warning = "no expander"
    async with house.running() as service:
        job = await _run(service, house.submission(enable_prompt_expansion=True, warnings=("unknown field: x",)))
    assert job.warnings == ("unknown field: x", "no expander")
    assert (job.expanded_prompt, job.images[0].revised_prompt) == (None, None)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (EngineCrashed("it died twice"), "engine_crashed"),
        (InvalidRequest("prompt: too long", param="prompt"), "invalid_payload"),
        (Overloaded("not ready"), "overloaded"),
        (ZeroDivisionError("a bug"), "server_error"),
    ],
)
async def test_a_failure_of_the_engine_fails_the_job_free_of_charge(house, failure, code):
    house.engine.failure = failure
    async with house.running() as service:
        job = await _run(service, house.submission())
    assert (job.status, job.error_code) == (JobStatus.ERROR, code)
    assert "bug" not in job.error_message
    assert house.balance() == (ALL, 0)
    assert house.store.files == {}


async def test_an_engine_that_dies_after_two_of_four_images_is_paid_for_two(house):
    house.engine.failure = EngineCrashed("it died twice")
    house.engine.fail_after_images = 2
    async with house.running() as service:
        job = await _run(service, house.submission(num_images=4))
    assert (job.status, len(job.images), job.charged_credits) == (JobStatus.COMPLETED, 2, 2 * IMAGE_CREDITS)
    assert job.warnings == ("2 of the images failed and are not charged. it died twice",)


async def test_an_image_that_cannot_be_stored_is_not_charged(house):
    house.store.failure = Overloaded("The disk is full.")
    house.store.fail_on = frozenset({1})
    async with house.running() as service:
        job = await _run(service, house.submission(num_images=3))
    assert (len(job.images), job.charged_credits) == (2, 2 * IMAGE_CREDITS)
    assert job.warnings == ("1 of the images failed and are not charged. The disk is full.",)


async def test_a_full_disk_fails_the_job_free_of_charge(house):
    house.store.failure = Overloaded("The disk is full.")
    async with house.running() as service:
        job = await _run(service, house.submission(num_images=2))
    assert (job.status, job.error_code, job.error_message) == (JobStatus.ERROR, "overloaded", "The disk is full.")
    assert house.balance() == (ALL, 0)


async def test_a_job_over_its_time_limit_fails_and_the_engine_is_free(house):
    house.engine.gate = asyncio.Event()
    async with house.running(job_time_limit_seconds=0.05) as service:
        job = await _run(service, house.submission())
        assert house.engine.num_open == 0
    assert (job.status, job.error_code) == (JobStatus.ERROR, "generation_timeout")
    assert house.balance() == (ALL, 0)


async def test_cancelling_a_running_job_frees_the_engine_within_one_step(house):
    house.engine.gate = asyncio.Event()
    async with house.running() as service:
        job = await service.submit(house.submission(num_inference_steps=50))
        await _until(lambda: house.engine.num_open)
        cancelled = await service.cancel(job.id, account_id="acme")
        await _until(lambda: not house.engine.num_open)
        assert house.engine.num_steps_done <= 1
        assert cancelled.status is JobStatus.CANCELLED
        assert (await service.wait(job.id, account_id="acme")).error_code == "cancelled"
    assert house.balance() == (ALL, 0)
    assert house.observer.statuses(job.id) == ["queued", "generating", "cancelled"]


async def test_a_follower_of_a_cancelled_job_hears_its_end(house):
    house.engine.gate = asyncio.Event()
    async with house.running() as service:
        job = await service.submit(house.submission())
        waiting = asyncio.create_task(service.wait(job.id, account_id="acme"))
        await _until(lambda: house.engine.num_open)
        await service.cancel(job.id, account_id="acme")
        assert (await waiting).status is JobStatus.CANCELLED


async def test_cancelling_a_queued_job_leaves_the_queue_and_never_draws(house):
    house.engine.gate = asyncio.Event()
    async with house.running(max_concurrent_jobs=1) as service:
        first = await service.submit(house.submission())
        await _until(lambda: service.num_running == 1)
        second = await service.submit(house.submission(seed=8))
        assert service.num_queued == 1
        await service.cancel(second.id, account_id="acme")
        assert service.num_queued == 0
        house.engine.gate.set()
        await service.wait(first.id, account_id="acme")
    assert house.engine.requests == [first.request]


async def test_cancelling_a_finished_job_changes_nothing(house):
    async with house.running() as service:
        job = await _run(service, house.submission())
        assert await service.cancel(job.id, account_id="acme") == job


async def test_images_stored_before_a_cancellation_are_deleted(house):
    house.engine.gate, house.engine.free_images = asyncio.Event(), 1
    async with house.running() as service:
        job = await service.submit(house.submission(num_images=2))
        await _until(lambda: len(house.store.files) == 1)
        await service.cancel(job.id, account_id="acme")
        await _until(lambda: not house.store.files)


async def test_no_more_jobs_run_at_once_than_allowed(house):
    house.engine.gate = asyncio.Event()
    async with house.running(max_concurrent_jobs=3) as service:
        jobs = [await service.submit(house.submission()) for _ in range(8)]
        await _until(lambda: house.engine.num_open == 3)
        house.engine.gate.set()
        for job in jobs:
            await service.wait(job.id, account_id="acme")
    assert house.engine.max_num_open == 3


async def test_two_accounts_take_turns_however_much_one_asks(house):
    house.engine.gate = asyncio.Event()
    async with house.running(max_concurrent_jobs=1) as service:
        jobs = [await service.submit(house.submission()) for _ in range(5)]
        await _until(lambda: service.num_running == 1)
        late = await service.submit(house.submission("umbrella", seed=99))
        house.engine.gate.set()
        for job in jobs:
            await service.wait(job.id, account_id="acme")
        await service.wait(late.id, account_id="umbrella")
    assert [request.seed for request in house.engine.requests].index(99) == 2


async def test_a_full_queue_refuses_and_holds_nothing(house):
    house.engine.gate = asyncio.Event()
    async with house.running(max_concurrent_jobs=1, max_queued_jobs=2) as service:
        for _ in range(3):
            await service.submit(house.submission())
            await _until(lambda: service.num_running == 1)
        with pytest.raises(Overloaded) as refusal:
            await service.submit(house.submission("umbrella"))
        assert 1 <= refusal.value.retry_after_seconds <= 120
        assert house.balance("umbrella") == (ALL, 0)


async def test_an_account_with_its_share_of_the_queue_is_told_to_wait(house):
    house.engine.gate = asyncio.Event()
    async with house.running(max_concurrent_jobs=1, max_queued_jobs_per_account=1) as service:
        for _ in range(2):
            await service.submit(house.submission())
            await _until(lambda: service.num_running == 1)
        with pytest.raises(RateLimitExceeded):
            await service.submit(house.submission())
        await service.submit(house.submission("umbrella"))


async def test_a_submission_that_is_refused_gives_its_place_back(house):
    async with house.running(max_queued_jobs=1) as service:
        for _ in range(3):
            with pytest.raises(InsufficientCredits):
                await service.submit(house.submission(num_images=48))
        await _run(service, house.submission())


async def test_many_submissions_at_once_all_finish_and_are_charged_once_each(house):
    async with house.running() as service:
        jobs = await asyncio.gather(*(_run(service, house.submission()) for _ in range(40)))
    assert {job.status for job in jobs} == {JobStatus.COMPLETED}
    assert house.balance() == (ALL - 40 * IMAGE_CREDITS, 0)


async def test_the_same_idempotency_key_is_drawn_and_charged_once(house):
    async with house.running() as service:
        first = await _run(service, house.submission(idempotency_key="k"))
        second = await service.submit(house.submission(idempotency_key="k"))
        assert (second.id, second.replayed, second.images) == (first.id, True, first.images)
        with pytest.raises(IdempotencyMismatch):
            await service.submit(house.submission(idempotency_key="k", body_fingerprint="g"))
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
        await _until(lambda: service.num_running == service.num_queued == 0)
    assert house.balance() == (ALL, 0)


async def test_jobs_wait_for_an_engine_that_is_still_starting(house):
    house.engine.state = EngineState.STARTING
    async with house.running() as service:
        job = await service.submit(house.submission())
        await asyncio.sleep(0.1)
        assert service.num_queued == 1
        house.engine.state = EngineState.READY
        assert (await service.wait(job.id, account_id="acme")).status is JobStatus.COMPLETED
