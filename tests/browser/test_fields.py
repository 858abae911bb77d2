"""The form against the API: the same fields, ranges and defaults, and what is set is what is asked for."""

import re
from typing import Any

import httpx
import pytest
from browser.painter import Painter
from browser.site import Site, Visit
from playwright.async_api import expect
from tiny_checkpoints import PARITY

pytestmark = pytest.mark.asyncio(loop_scope="session")

# OpenAI's names for the same things, how the page itself follows a job, and a field for programs and operators.
NOT_IN_THE_FORM = {"model", "n", "size", "response_format", "stream", "partial_images", "user", "step_reuse"}


async def test_the_form_has_every_field_with_the_ranges_and_defaults_of_the_schema(site: Site, visit: Visit) -> None:
    async with httpx.AsyncClient() as client:
        document = (await client.get(f"{site.url}/openapi.json")).json()
    body = document["paths"]["/v1/images/generations"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    fields: dict[str, Any] = await visit.page.evaluate(
        "async () => (await import(new URL('playground/fields.js', document.baseURI))).FIELDS"
    )
    assert set(body["properties"]) - NOT_IN_THE_FORM == set(fields)
    for name, field in fields.items():
        described = body["properties"][name]
        limits = described.get("anyOf", [{}])[0] | described
        for ours, theirs in (("min", "minimum"), ("max", "maximum"), ("options", "enum")):
            assert _as_set(field.get(ours)) == _as_set(limits.get(theirs)), name
        if described.get("default") is not None:
            assert field["default"] == described["default"], name


@pytest.mark.parametrize("site", [{"default_steps": 8, "default_guidance": 2.5}], indirect=True)
async def test_the_defaults_are_those_of_the_checkpoint_that_draws(site: Site, visit: Visit, painter: Painter) -> None:
    page = visit.page
    await page.get_by_text("Fine tuning").click()
    await expect(page.get_by_label("Steps")).to_have_value("8")
    await expect(page.get_by_label("Guidance")).to_have_value("2.5")
    await expect(page.locator("#num_inference_steps-hint")).to_contain_text("usually 8")
    await page.get_by_label("Steps").fill("28")
    await page.get_by_label("Prompt", exact=True).fill("A castle")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#result")).to_be_visible()
    (request,) = painter.requests
    assert (request.num_inference_steps, request.guidance_scale) == (28, 2.5)
    await page.get_by_role("button", name="Back to the defaults").click()
    await expect(page.get_by_label("Steps")).to_have_value("8")
    kept = await page.evaluate("() => JSON.parse(localStorage.getItem('danqing.settings')).settings")
    assert "num_inference_steps" not in kept
    assert visit.complaints == []


async def test_ranges_and_defaults_are_said_beside_the_fields(visit: Visit) -> None:
    page = visit.page
    await page.get_by_text("Fine tuning").click()
    for name, words in {
        "num_inference_steps": "1 to 50, usually 28",
        "guidance_scale": "1 to 20, usually 7.5",
        "output_compression": "0 to 100, usually 90",
    }.items():
        field = page.locator(f"#{name}")
        low, high, default = re.findall(r"[\d.]*\d", words)
        assert [await field.get_attribute(limit) for limit in ("min", "max")] == [low, high]
        assert await field.input_value() == default
        await expect(page.locator(f"#{name}-hint")).to_contain_text(words)
    await expect(page.locator("#prompt-count")).to_have_text("at most 4000 characters")
    await expect(page.locator("#seed-hint")).to_contain_text("from 1 up")
    await expect(page.locator("#num_images input")).to_have_count(4)


async def test_what_is_set_is_what_is_asked_for(visit: Visit, painter: Painter) -> None:
    page = visit.page
    await page.get_by_label("Prompt", exact=True).fill("A castle")
    await page.get_by_label("Your own width and height").check()
    await page.get_by_role("spinbutton", name="Width").fill("640")
    await page.get_by_role("spinbutton", name="Height").fill("320")
    await page.get_by_role("button", name="Keep this seed").click()
    await page.get_by_label("Seed", exact=True).fill("123456789012")
    await page.get_by_text("Fine tuning").click()
    await page.get_by_label("Steps").fill("12")
    await page.get_by_label("Guidance").fill("3.5")
    await page.get_by_label("Negative prompt").fill("clouds")
    await page.get_by_label("JPEG", exact=True).check()
    await page.get_by_label("JPEG quality").fill("70")
    await page.get_by_label("Bytes in the response").check()
    await page.get_by_label("Expand the prompt").check()
    await page.get_by_label("Safety checker").uncheck()
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#result")).to_be_visible()
    (request,) = painter.requests
    assert (request.prompt, request.negative_prompt) == ("A castle", "clouds")
    assert (request.width_px, request.height_px, request.seed) == (640, 320, 123_456_789_012)
    assert (request.num_inference_steps, request.guidance_scale) == (12, 3.5)
    # The painter cannot write, and the page says so.
    await expect(page.locator("#warnings")).to_contain_text("enable_prompt_expansion")
    await expect(page.locator(".tile a[download$='.jpg']")).to_have_count(1)
    assert visit.complaints == []


async def test_the_model_may_choose_the_size(visit: Visit, painter: Painter) -> None:
    await visit.page.get_by_label("The model chooses").check()
    await visit.page.get_by_label("Prompt", exact=True).fill("A castle")
    await visit.page.keyboard.press("Control+Enter")
    await expect(visit.page.locator("#facts")).to_contain_text("1024 × 1024")
    assert painter.requests[0].width_px is None


async def test_settings_survive_a_reload_and_can_be_put_back(visit: Visit) -> None:
    page = visit.page
    await page.get_by_label("Prompt", exact=True).fill("A castle")
    await page.get_by_text("Fine tuning").click()
    await page.get_by_label("Steps").fill("12")
    await page.reload()
    await expect(page.get_by_label("Prompt", exact=True)).to_have_value("A castle")
    await page.get_by_text("Fine tuning").click()
    await expect(page.get_by_label("Steps")).to_have_value("12")
    await page.get_by_role("button", name="Back to the defaults").click()
    await expect(page.get_by_label("Steps")).to_have_value("28")
    await expect(page.get_by_label("Prompt", exact=True)).to_have_value("A castle")


async def test_bad_fields_are_marked_where_they_are_and_nothing_is_asked(visit: Visit, painter: Painter) -> None:
    page = visit.page
    await page.get_by_label("Your own width and height").check()
    await page.get_by_role("spinbutton", name="Width").fill("9000")
    await page.get_by_label("Seed", exact=True).fill("0")
    await page.get_by_role("button", name="Keep this seed").click()
    await page.get_by_role("button", name="Draw", exact=True).click()
    await expect(page.locator("#prompt-problem")).to_have_text("Say what the picture should show.")
    await expect(page.locator("#image_size-problem")).to_contain_text("64 to 2048")
    await expect(page.locator("#seed-problem")).to_contain_text("from 1 up")
    await expect(page.get_by_label("Prompt", exact=True)).to_be_focused()
    assert painter.requests == []


async def test_what_only_the_server_can_see_is_marked_too(visit: Visit, painter: Painter) -> None:
    page = visit.page
    await page.get_by_label("Prompt", exact=True).fill("A castle")
    await page.get_by_text("Fine tuning").click()
    await page.get_by_label("Webhook").fill("http://127.0.0.1/private")
    await page.get_by_role("button", name="Draw", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("Something in the settings does not fit.")
    await expect(page.locator("#webhook_url-problem")).not_to_be_empty()
    await expect(page.get_by_label("Webhook")).to_be_focused()
    assert painter.requests == []


def _as_set(value: Any) -> set[Any]:
    return set(value) if isinstance(value, list) else {value} - {None}


async def test_words_that_the_checkpoint_does_not_know_are_named_before_anything_is_charged(
    visit: Visit, painter: Painter
) -> None:
    page = visit.page
    await page.get_by_label("Prompt", exact=True).fill("A cat with ramen and chopsticks")
    await expect(page.locator("#prompt-words")).to_have_text("mini does not know: ramen, chopsticks")
    assert painter.requests == []
    await page.get_by_label("Prompt", exact=True).fill("A cat on a beach")
    await expect(page.locator("#prompt-words")).to_have_text("")
    assert visit.complaints == []


async def test_a_negative_prompt_is_off_where_it_cannot_act(visit: Visit) -> None:
    page = visit.page
    await page.get_by_text("Fine tuning").click()
    await expect(page.get_by_label("Negative prompt")).to_be_enabled()
    await page.get_by_label("Guidance").fill("1")
    await expect(page.get_by_label("Negative prompt")).to_be_disabled()
    await expect(page.locator("#negative_prompt-reason")).to_have_text("Off: it has no effect with guidance 1.")
    await page.get_by_text("Compare", exact=True).click()
    await page.get_by_label("Side by side", exact=True).select_option("Guidance")
    await expect(page.get_by_label("Negative prompt")).to_be_enabled()


@pytest.mark.parametrize("site", [{"model": PARITY / "distil", "expander": "none"}], indirect=True)
async def test_fields_without_effect_on_a_checkpoint_are_off_with_the_reason(site: Site, visit: Visit) -> None:
    page = visit.page
    await page.get_by_text("Fine tuning").click()
    await expect(page.get_by_label("Negative prompt")).to_be_disabled()
    await expect(page.locator("#negative_prompt-reason")).to_contain_text("distilled")
    await expect(page.get_by_label("Expand the prompt")).to_be_disabled()
    await page.get_by_label("Prompt", exact=True).fill("zyx")
    await page.get_by_role("button", name="Draw", exact=True).click()
    await expect(page.locator("#result")).to_be_visible()
    await expect(page.locator("#warnings li")).to_have_count(0)
