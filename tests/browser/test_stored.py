"""What the browser keeps between visits: a key that no link replaces in silence, and settings that may be broken."""

import json
from typing import Any

import pytest
from browser.site import Site, Visit
from playwright.async_api import Dialog, Page, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

OTHER_KEY = "0123456789abcdef" * 2


async def open_link_with(page: Page, site: Site, key: str, *, accept: bool) -> list[str]:
    """Open the page by a link with a key, answer what it asks, and return the questions."""
    questions: list[str] = []

    async def answer(dialog: Dialog) -> None:
        questions.append(dialog.message)
        await (dialog.accept() if accept else dialog.dismiss())

    page.on("dialog", answer)
    await page.goto("about:blank")
    await page.goto(f"{site.url}/#key={key}")
    await expect(page.locator("#engine")).to_have_attribute("data-state", "ready")
    page.remove_listener("dialog", answer)
    return questions


async def stored_key(page: Page) -> Any:
    return await page.evaluate("localStorage.getItem('danqing.key')")


async def test_a_link_with_another_key_asks_before_it_replaces_the_present_one(site: Site, visit: Visit) -> None:
    (question,) = await open_link_with(visit.page, site, OTHER_KEY, accept=False)
    assert OTHER_KEY[:8] in question
    assert site.key[:8] in question
    assert OTHER_KEY not in question
    assert await stored_key(visit.page) == site.key
    assert "key" not in visit.page.url
    assert len(await open_link_with(visit.page, site, OTHER_KEY, accept=True)) == 1
    assert await stored_key(visit.page) == OTHER_KEY


async def test_a_link_with_the_same_key_or_with_none_that_is_one_asks_nothing(site: Site, visit: Visit) -> None:
    for key in (site.key, site.key.upper(), "x"):
        assert await open_link_with(visit.page, site, key, accept=True) == []
        assert await stored_key(visit.page) == site.key


BROKEN = [
    "null",
    "{",
    "[]",
    '"text"',
    json.dumps({"settings": None, "locked": None}),
    json.dumps({"settings": {"image_size": None, "num_images": None, "prompt": 5, "guidance_scale": "high"}}),
    json.dumps({"settings": {"image_size": "huge", "num_images": 9, "num_inference_steps": 500, "seed": "x"}}),
    json.dumps({"settings": {"image_size": {"width": None}, "output_format": "gif"}}),
]


@pytest.mark.parametrize("kept", BROKEN)
async def test_settings_that_are_broken_are_read_as_the_defaults(visit: Visit, kept: str) -> None:
    page = visit.page
    await page.evaluate("kept => { localStorage.setItem('danqing.settings', kept) }", kept)
    await page.evaluate("kept => { localStorage.setItem('danqing.running', kept) }", kept)
    await page.reload()
    await expect(page.locator("#engine")).to_have_attribute("data-state", "ready")
    await page.fill("#prompt", "a red square")
    await page.click("#draw")
    await expect(page.locator("#stage")).to_have_attribute("data-state", "done")
    assert visit.complaints == []
