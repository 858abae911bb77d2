"""What a careful visitor measures: weight, speed, what the page may load, accessibility, narrow screens, the dark."""

import re
from pathlib import Path

import httpx
import pytest
from browser.axe import findings
from browser.painter import Painter
from browser.site import DESKTOP, PHONE, Site, Visit, Visitor
from playwright.async_api import expect

from danqing.playground.page import STATIC_FOLDER

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Everything that a first visit loads, not compressed.
MAX_PAGE_BYTES = 110_000
# From the navigation until everything can be used; a first look takes a fraction of it.
MAX_INTERACTIVE_MILLISECONDS = 3_000


@pytest.mark.parametrize(("scheme", "viewport"), [("light", DESKTOP), ("dark", DESKTOP), ("light", PHONE)])
async def test_axe_has_no_serious_findings(
    axe: str, scheme: str, viewport: dict[str, int], site: Site, visitor: Visitor, painter: Painter
) -> None:
    page = (await visitor(site.link, color_scheme=scheme, viewport=viewport)).page
    await expect(page.locator("#credits")).to_contain_text("left")
    await page.get_by_text("Compare", exact=True).click()
    await page.get_by_text("Fine tuning").click()
    found = {"at rest": await findings(page, axe)}
    await page.get_by_role("button", name="Draw", exact=True).click()
    found["bad field"] = await findings(page, axe)
    await page.get_by_label("Prompt", exact=True).fill("A castle")
    painter.hold_at = 15
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#progress-text")).to_contain_text("Step 14")
    found["halfway"] = await findings(page, axe)
    painter.gate.set()
    await expect(page.locator("#result")).to_be_visible()
    found["finished"] = await findings(page, axe)
    await page.get_by_role("button", name="Code", exact=True).first.click()
    found["code"] = await findings(page, axe)
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="API key").click()
    found["key"] = await findings(page, axe)
    await page.keyboard.press("Escape")
    await page.get_by_label("Prompt", exact=True).fill("hardcore pornography")
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_role("alert")).to_be_visible()
    found["error"] = await findings(page, axe)
    assert {state: problems for state, problems in found.items() if problems} == {}


async def test_the_page_is_light_and_soon_usable(site: Site, visitor: Visitor) -> None:
    visit = await visitor(site.link)
    await expect(visit.page.locator("#price")).to_contain_text("credits")
    sizes = await visit.page.evaluate(
        "performance.getEntries().filter((e) => 'encodedBodySize' in e).map((e) => [e.name, e.encodedBodySize])"
    )
    interactive = await visit.page.evaluate("performance.getEntriesByName('danqing-interactive')[0].startTime")
    print(f"{sum(size for _, size in sizes):,} bytes in {len(sizes)} requests, usable after {interactive:.0f} ms")
    assert sum(size for _, size in sizes) <= MAX_PAGE_BYTES
    assert interactive <= MAX_INTERACTIVE_MILLISECONDS
    assert visit.complaints == []


async def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere(site: Site) -> None:
    async with httpx.AsyncClient() as client:
        response = await client.get(f"{site.url}/")
    directives = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == directives["connect-src"] == "'self'"
    assert "unsafe" not in response.headers["content-security-policy"]
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_no_file_names_another_host() -> None:
    for path in STATIC_FOLDER.iterdir():
        named = set(re.findall(r"https?://[\w.-]+", path.read_text(encoding="utf-8"))) - {"http://www.w3.org"}
        assert not named, path.name


async def test_files_are_asked_for_again_only_when_they_changed(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.url) as client:
        for path in ("/", "/playground/style.css", "/playground/main.js", "/playground/icon.svg"):
            first = await client.get(path)
            assert first.status_code == 200
            again = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        for path in ("/playground/index.html", "/playground/page.py", "/playground/..%2fpage.py"):
            assert (await client.get(path)).status_code == 404


async def test_a_phone_needs_no_sideways_scrolling(site: Site, visitor: Visitor) -> None:
    visit = await visitor(site.link, viewport=PHONE, is_mobile=True, has_touch=True, device_scale_factor=2)
    page = visit.page
    await page.get_by_label("Prompt", exact=True).fill("A castle")
    await page.get_by_label("4", exact=True).check()
    await page.get_by_text("Fine tuning").click()
    await page.get_by_role("button", name="Draw", exact=True).click()
    await expect(page.locator("#result")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    await expect(page.locator("#draw")).to_be_in_viewport()
    await expect(page.locator(".tile").first).to_be_in_viewport()
    assert visit.complaints == []


async def test_the_theme_follows_the_system_until_one_is_chosen(site: Site, visitor: Visitor) -> None:
    page = (await visitor(site.link, color_scheme="dark")).page
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    dark = await page.evaluate(paper)
    await page.get_by_role("button", name="Theme: system").click()
    light = await page.evaluate(paper)
    assert (light, dark) == ("rgb(246, 242, 234)", "rgb(22, 21, 19)")
    await page.reload()
    await expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert await page.evaluate(paper) == light


async def test_the_page_says_when_the_small_model_draws(visit: Visit, painter: Painter) -> None:
    await expect(visit.page.locator("#engine-note")).to_be_hidden()
    painter.model = "mini (15 M parameters, float32, cpu)"
    await visit.page.reload()
    await expect(visit.page.locator("#engine-name")).to_have_text(painter.model)
    await expect(visit.page.locator("#engine-note")).to_contain_text("not the 80 B HunyuanImage-3.0")


async def test_every_file_of_the_page_is_used() -> None:
    named = (STATIC_FOLDER / "index.html").read_text() + "".join(p.read_text() for p in STATIC_FOLDER.glob("*.js"))
    unused = [path.name for path in Path(STATIC_FOLDER).iterdir() if path.name not in named and path.suffix != ".html"]
    assert not unused
