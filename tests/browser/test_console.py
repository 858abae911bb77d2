"""The console: keys, logs and money from end to end, and what a careful visitor looks for."""

import asyncio
import csv
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from browser.axe import findings
from browser.house import Keys, furnish
from browser.painter import Painter
from browser.site import DESKTOP, PHONE, Site, Visit, Visitor, serving
from playwright.async_api import Page, expect

from danqing.playground.page import CONSOLE_FOLDER

pytestmark = pytest.mark.asyncio(loop_scope="session")

MODEL = "hunyuan/hunyuan-image-v3-text-to-image"
VIEWS = ("Overview", "Keys", "Logs", "Money")


@pytest_asyncio.fixture(loop_scope="session")
async def keys(site: Site, tmp_path: Path) -> Keys:
    return await asyncio.to_thread(furnish, tmp_path / "data", past=False)


@pytest_asyncio.fixture(loop_scope="session")
async def console(visitor: Visitor, site: Site, keys: Keys) -> Visit:
    """The console with its key."""
    visit = await visitor(f"{site.url}/console#key={keys.management}")
    await expect(visit.page.locator(".cards")).to_be_visible()
    return visit


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lived_in(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Site, Keys]]:
    """A server with a past."""
    folder = tmp_path_factory.mktemp("past") / "data"
    keys = furnish(folder, past=True)
    async with serving(folder, engine=Painter()) as site:
        yield site, keys


async def draw(site: Site, key: str, **changes: object) -> httpx.Response:
    body = {"model": MODEL, "prompt": "A castle", "image_size": {"width": 64, "height": 64}, "seed": 7, **changes}
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
        return await client.post(f"{site.url}/v1/images/generations", json={"num_inference_steps": 3, **body})


async def open_view(page: Page, name: str) -> None:
    await page.get_by_role("link", name=name, exact=True).click()
    await expect(page.locator("#view-title")).to_have_text(name)
    await expect(page.locator("#view")).to_have_attribute("aria-busy", "false")


async def test_a_key_is_made_limited_used_up_found_in_the_logs_and_its_charges_exported(
    site: Site, console: Visit, tmp_path: Path
) -> None:
    page = console.page
    await open_view(page, "Keys")
    await page.get_by_role("button", name="Create a key").click()
    await page.get_by_label("Name").fill("phone app")
    await page.get_by_role("button", name="Create", exact=True).click()
    secret = await page.get_by_role("textbox", name="Key", exact=True).input_value()
    await page.get_by_role("button", name="I have it").click()
    await page.get_by_role("button", name="Change phone app").click()
    await page.get_by_label("At most, in US dollars").fill("0.2")
    await page.get_by_label("Counted").select_option("day")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("$0.00 of $0.20 a day")).to_be_visible()

    drawn = await draw(site, secret)
    refused = await draw(site, secret)
    assert (drawn.status_code, refused.status_code) == (200, 403)
    await open_view(page, "Logs")
    await expect(page.locator("tbody tr")).to_have_count(2)
    await page.get_by_label("Outcome").select_option("failed")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.get_by_role("link", name=refused.headers["x-inference-id"]).click()
    await expect(page.get_by_role("region", name="The error as the client saw it")).to_contain_text(
        "403: The spend limit of this API key is reached"
    )
    await page.go_back()
    await page.get_by_label("Outcome").select_option("succeeded")
    await page.get_by_role("link", name=drawn.headers["x-inference-id"]).click()
    await expect(page.locator(".pictures img")).to_have_js_property("naturalWidth", 64)
    await expect(page.get_by_role("region", name="Timings")).to_contain_text("Drawing")

    await open_view(page, "Money")
    await expect(page.locator("tbody tr").first).to_contain_text("−$0.105")
    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Export as CSV").click()
    path = tmp_path / "exported.csv"
    await (await downloading.value).save_as(path)
    with path.open(newline="") as file:
        charge, grant = csv.DictReader(file)
    assert (charge["credits"], charge["reference_id"]) == ("210000", drawn.headers["x-inference-id"])
    assert int(grant["balance_credits"]) - int(charge["balance_credits"]) == 210_000
    assert console.complaints == []


async def test_a_key_is_disabled_and_deleted_only_by_its_name(site: Site, console: Visit, keys: Keys) -> None:
    page = console.page
    await open_view(page, "Keys")
    await page.get_by_role("button", name="Disable shop").click()
    await expect(page.get_by_role("button", name="Enable shop")).to_be_visible()
    assert (await draw(site, keys.shop)).status_code == 401
    await page.get_by_role("button", name="Delete shop").click()
    await page.get_by_label("Type shop to confirm").fill("shopping")
    await page.get_by_role("button", name="Delete", exact=True).click()
    await expect(page.locator("#dialog-problem")).to_have_text("That is not “shop”.")
    await page.get_by_label("Type shop to confirm").fill("shop")
    await page.get_by_role("button", name="Delete", exact=True).click()
    await expect(page.get_by_role("button", name="Delete shop")).to_have_count(0)
    await expect(page.locator("tbody tr")).to_have_count(3)
    assert console.complaints == []


async def test_a_request_is_drawn_again_in_the_playground_with_its_settings(
    site: Site, console: Visit, keys: Keys, painter: Painter
) -> None:
    drawn = await draw(site, keys.shop, guidance_scale=3, negative_prompt="clouds")
    page = console.page
    await page.goto(f"{site.url}/console#logs/{drawn.headers['x-inference-id']}")
    await page.get_by_role("button", name="Draw again in the playground").click()
    await page.get_by_text("Fine tuning").click()
    await expect(page.get_by_label("Guidance")).to_have_value("3")
    await expect(page.get_by_label("Negative prompt")).to_have_value("clouds")
    await page.evaluate(f"localStorage.setItem('danqing.key', '{keys.shop}')")
    await page.reload()
    await expect(page.locator("#draw")).to_be_enabled()
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#result")).to_be_visible()
    first, second = painter.requests
    assert (first.seed, first.width_px, first.guidance_scale) == (second.seed, second.width_px, second.guidance_scale)


async def test_a_link_brings_the_key_and_replaces_none_without_being_asked(site: Site, console: Visit) -> None:
    page = console.page
    assert page.url == f"{site.url}/console"
    kept = await page.evaluate("localStorage.getItem('danqing.management-key')")
    async with page.expect_event("dialog") as asking:
        await page.evaluate(f"location.hash = 'key={'0' * 32}'")
    await (await asking.value).dismiss()
    await expect(page).to_have_url(f"{site.url}/console")
    assert await page.evaluate("localStorage.getItem('danqing.management-key')") == kept
    assert await page.evaluate("localStorage.getItem('danqing.key')") is None


@pytest.mark.parametrize(
    ("key", "words"), [("0" * 32, "This key was not accepted."), (None, "This is no management key.")]
)
async def test_a_key_that_cannot_administer_is_named(site: Site, visitor: Visitor, key: str | None, words: str) -> None:
    visit = await visitor(f"{site.url}/console#key={key or site.key}")
    await expect(visit.page.get_by_role("alert").first).to_contain_text(words)
    await visit.page.get_by_role("button", name="Enter a management key").click()
    await expect(visit.page.get_by_label("Key", exact=True)).to_be_focused()


async def test_the_chart_is_read_with_the_arrow_keys_and_as_a_table(
    lived_in: tuple[Site, Keys], visitor: Visitor
) -> None:
    site, keys = lived_in
    page = (await visitor(f"{site.url}/console#key={keys.management}")).page
    days = page.locator(".day")
    await expect(days).to_have_count(30)
    await days.last.focus()
    await page.keyboard.press("ArrowLeft")
    await expect(days.nth(28)).to_be_focused()
    label = await days.nth(28).get_attribute("aria-label")
    await expect(page.locator(".chart-said")).to_have_text(label or "")
    await page.get_by_text("As a table").click()
    row = page.locator(".behind tbody tr").nth(1)
    counted = (await row.locator("td").last.inner_text()).strip()
    assert f" {counted} picture" in (label or "")
    await page.get_by_label("Last").select_option("7")
    await expect(days).to_have_count(7)


async def test_older_requests_and_transactions_are_a_page_away(lived_in: tuple[Site, Keys], visitor: Visitor) -> None:
    site, keys = lived_in
    page = (await visitor(f"{site.url}/console#key={keys.management}")).page
    await open_view(page, "Logs")
    await page.get_by_label("Time").select_option("30d")
    await expect(page.locator("tbody tr")).to_have_count(25)
    await page.get_by_role("button", name="Older").click()
    await expect(page.locator(".pager span")).to_contain_text("26–50 of")
    await open_view(page, "Money")
    await expect(page.locator("tbody tr")).to_have_count(50)
    await page.get_by_role("button", name="Older").click()
    await expect(page.locator("tbody tr")).to_have_count(100)


@pytest.mark.parametrize(("scheme", "viewport"), [("light", DESKTOP), ("dark", DESKTOP), ("light", PHONE)])
async def test_axe_has_no_serious_findings_in_any_view(
    axe: str, scheme: str, viewport: dict[str, int], lived_in: tuple[Site, Keys], visitor: Visitor
) -> None:
    site, keys = lived_in
    page = (await visitor(f"{site.url}/console#key={keys.management}", color_scheme=scheme, viewport=viewport)).page
    await expect(page.locator(".chart")).to_be_visible()
    found = {}
    for name in VIEWS:
        await open_view(page, name)
        found[name] = await findings(page, axe)
        assert await page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    await open_view(page, "Logs")
    await page.locator("td a").first.click()
    await expect(page.get_by_role("region", name="Timings")).to_be_visible()
    found["request"] = await findings(page, axe)
    await open_view(page, "Keys")
    await page.get_by_role("button", name="Create a key").click()
    found["dialog"] = await findings(page, axe)
    assert {state: problems for state, problems in found.items() if problems} == {}


async def test_every_file_of_the_console_is_used() -> None:
    named = "".join(path.read_text(encoding="utf-8") for path in CONSOLE_FOLDER.iterdir())
    assert [path.name for path in CONSOLE_FOLDER.iterdir() if path.name not in named and path.suffix != ".html"] == []
