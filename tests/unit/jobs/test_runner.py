"""One run of a job: what the engine is asked, what is checked, stored and charged."""

import asyncio
import io

import pytest
from house import ALL, IMAGE_CREDITS, finished, until
from PIL import Image

from danqing.engine.interface import EngineCrashed
from danqing.errors import InvalidRequest, Overloaded
from danqing.jobs.job import JobStatus
from danqing.pictures.request import Expansion


async def test_the_engine_gets_what_was_asked(house):
    async with house.running() as service:
        submission = house.submission(negative_prompt="blue", guidance_scale=1.0, preview_every_steps=2)
        await finished(service, submission)
    assert house.engine.requests == [submission.request]


async def test_image_two_of_a_seed_is_image_one_of_the_next_to_the_last_byte(house):
    async with house.running() as service:
        pair = await finished(service, house.submission(num_images=2, seed=7))
        single = await finished(service, house.submission(seed=8))
    assert house.store.files[pair.images[1].path] == house.store.files[single.images[0].path]


async def test_with_the_safety_checker_off_nothing_is_checked_and_the_job_says_so(house):
    house.prompt_check.refused_words = ("red",)
    house.image_check.flags = lambda raster: True
    async with house.running() as service:
        job = await finished(service, house.submission(enable_safety_checker=False))
    assert job.safety == {"enabled": False, "prompt_check": "off", "image_check": "off"}
    assert not job.images[0].flagged


async def test_the_job_says_who_checked_it(house):
    async with house.running() as service:
        job = await finished(service, house.submission())
    assert job.safety == {"enabled": True, "prompt_check": "fake words", "image_check": "fake eyes"}


async def test_a_flagged_image_is_black_same_size_and_charged(house):
    house.image_check.flags = lambda raster: raster.rgb[0] == 8
    async with house.running() as service:
        job = await finished(service, house.submission(num_images=2))
    assert [image.flagged for image in job.images] == [False, True]
    black = Image.open(io.BytesIO(house.store.files[job.images[1].path]))
    assert (black.size, set(black.tobytes())) == ((8, 6), {0})
    assert job.charged_credits == 2 * IMAGE_CREDITS


async def test_an_expanded_prompt_is_checked_drawn_and_returned(house):
    async with house.running() as service:
        job = await finished(service, house.submission(enable_prompt_expansion=True))
    assert house.engine.requests[0].prompt == "a red square, in detail 7"
    assert job.expanded_prompt == job.images[0].revised_prompt == "a red square, in detail 7"
    assert house.prompt_check.prompts == ["a red square", "a red square, in detail 7"]


async def test_the_models_own_expansion_is_drawn_beside_the_prompt_and_its_thought_is_checked_and_never_shown(house):
    house.expander.expansion = Expansion(caption="a large\n red square ", thought="red means red")
    async with house.running() as service:
        job = await finished(service, house.submission(enable_prompt_expansion=True))
    assert house.engine.requests[0].prompt == "a red square"
    assert house.engine.expansions == [house.expander.expansion]
    assert house.prompt_check.prompts == ["a red square", "a large\n red square ", "red means red"]
    assert job.expanded_prompt == job.images[0].revised_prompt == "a large red square"
    assert "red means red" not in repr(job)


async def test_a_thought_that_is_refused_fails_the_job_free_of_charge(house):
    house.expander.expansion = Expansion(caption="a large red square", thought="bloody red")
    house.prompt_check.refused_words = ("bloody",)
    async with house.running() as service:
        job = await finished(service, house.submission(enable_prompt_expansion=True))
    assert (job.status, job.error_code) == (JobStatus.ERROR, "moderation_blocked")
    assert house.engine.requests == []
    assert house.balance() == (ALL, 0)


async def test_both_checks_of_a_prompt_see_the_negative_prompt(house):
    async with house.running() as service:
        await finished(service, house.submission(enable_prompt_expansion=True, negative_prompt="green"))
    assert house.prompt_check.negative_prompts == ["green", "green"]


async def test_an_expanded_prompt_that_is_refused_fails_the_job_free_of_charge(house):
    house.expander.suffix = ", bloody"
    house.prompt_check.refused_words = ("bloody",)
    async with house.running() as service:
        job = await finished(service, house.submission(enable_prompt_expansion=True))
    assert (job.status, job.error_code) == (JobStatus.ERROR, "moderation_blocked")
    assert house.engine.requests == []
    assert house.balance() == (ALL, 0)


async def test_an_expander_that_fails_leaves_the_prompt_and_a_warning(house):
    house.expander.warning = "no expander"
    async with house.running() as service:
        job = await finished(service, house.submission(enable_prompt_expansion=True, warnings=("unknown field: x",)))
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
        job = await finished(service, house.submission())
    assert (job.status, job.error_code) == (JobStatus.ERROR, code)
    assert "bug" not in job.error_message
    assert house.balance() == (ALL, 0)
    assert house.store.files == {}


async def test_an_engine_that_dies_after_two_of_four_images_is_paid_for_two(house):
    house.engine.failure = EngineCrashed("it died twice")
    house.engine.fail_after_images = 2
    async with house.running() as service:
        job = await finished(service, house.submission(num_images=4))
    assert (job.status, len(job.images), job.charged_credits) == (JobStatus.COMPLETED, 2, 2 * IMAGE_CREDITS)
    assert job.warnings == ("2 of the images failed and are not charged. it died twice",)


async def test_an_image_that_cannot_be_stored_is_not_charged(house):
    house.store.failure = Overloaded("The disk is full.")
    house.store.fail_on = frozenset({1})
    async with house.running() as service:
        job = await finished(service, house.submission(num_images=3))
    assert (len(job.images), job.charged_credits) == (2, 2 * IMAGE_CREDITS)
    assert job.warnings == ("1 of the images failed and are not charged. The disk is full.",)


async def test_a_full_disk_fails_the_job_free_of_charge(house):
    house.store.failure = Overloaded("The disk is full.")
    async with house.running() as service:
        job = await finished(service, house.submission(num_images=2))
    assert (job.status, job.error_code, job.error_message) == (JobStatus.ERROR, "overloaded", "The disk is full.")
    assert house.balance() == (ALL, 0)


async def test_images_stored_before_a_cancellation_are_deleted(house):
    house.engine.gate, house.engine.free_images = asyncio.Event(), 1
    async with house.running() as service:
        job = await service.submit(house.submission(num_images=2))
        await until(lambda: len(house.store.files) == 1)
        await service.cancel(job.id, account_id="acme")
        await until(lambda: not house.store.files)
