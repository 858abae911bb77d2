"""The image checks of one job: what they see, what they let through, and how many previews."""

from dataclasses import replace

import pytest
from fakes import REQUEST, FakeImageCheck, raster_of

from danqing.errors import Overloaded
from danqing.jobs.image_checks import CHECK_IS_OFF, MAX_CHECKED_PREVIEWS, ImageChecks


async def test_after_a_flagged_preview_of_an_image_no_other_of_it_is_looked_at_or_shown():
    check = FakeImageCheck(flags=lambda raster: raster.rgb[0] == 5)
    checks = ImageChecks(check, request=REQUEST)
    shown = [await checks.passes_preview(raster_of(seed), image_index=0) for seed in (1, 5, 2)]
    assert shown == [True, False, False]
    assert len(check.rasters) == 2
    assert await checks.passes_preview(raster_of(2), image_index=1)


async def test_a_preview_that_cannot_be_checked_is_not_shown_and_the_next_may_be():
    check = FakeImageCheck(failure=Overloaded())
    checks = ImageChecks(check, request=REQUEST)
    assert not await checks.passes_preview(raster_of(1), image_index=0)
    check.failure = None
    assert await checks.passes_preview(raster_of(1), image_index=0)


async def test_a_check_that_is_switched_off_looks_at_nothing():
    check = FakeImageCheck(flags=lambda raster: True)
    checks = ImageChecks(check, request=replace(REQUEST, enable_safety_checker=False))
    assert await checks.passes_preview(raster_of(1), image_index=0)
    verdict = await checks.check(raster_of(1))
    assert (verdict.flagged, verdict.checker, verdict.score) == (False, CHECK_IS_OFF, None)
    assert check.rasters == []


@pytest.mark.parametrize("num_steps", [1, 8, 16, 17, 28, 34, 35, 50])
@pytest.mark.parametrize("every_steps", [0, 1, 2, 7])
def test_an_image_has_at_most_as_many_previews_as_are_checked(num_steps, every_steps):
    request = replace(REQUEST, num_inference_steps=num_steps, preview_every_steps=every_steps)
    every = ImageChecks(FakeImageCheck(), request=request).preview_every_steps(request)
    assert every >= every_steps
    assert (every == 0) == (every_steps == 0)
    if every:
        assert (num_steps - 1) // every <= MAX_CHECKED_PREVIEWS
    free = replace(request, enable_safety_checker=False)
    assert ImageChecks(FakeImageCheck(), request=free).preview_every_steps(free) == every_steps
