"""The API reference at /docs: whole without the internet, quiet, and its examples run."""

import pytest
import pytest_asyncio
from browser.painter import Painter
from browser.site import Site, Visit, Visitor
from playwright.async_api import Locator, Page, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Swagger UI in one piece, not compressed; the browser keeps it.
MAX_PAGE_BYTES = 2_000_000
# From the navigation until everything can be used; Swagger UI takes most of it.
MAX_INTERACTIVE_MILLISECONDS = 10_000
OPERATIONS = "Array.from(document.querySelectorAll('.opblock-summary-path'), (path) => path.dataset.path)"


async def opened(page: Page, operation: str) -> Locator:
    """The operation, ready to be tried."""
    block = page.locator(f"[id$='{operation}']")
    await block.get_by_role("button", expanded=False).first.click()
    await block.get_by_role("button", name="Try it out").click()
    return block


async def status(block: Locator) -> int:
    """Send the request that the page shows, and return the answer's status."""
    async with block.page.expect_response("**/v1/**") as responding:
        await block.get_by_role("button", name="Execute").click()
    return (await responding.value).status


@pytest_asyncio.fixture(loop_scope="session")
async def reference(visit: Visit, site: Site) -> Visit:
    """Opened after the playground, which has a key."""
    await visit.page.goto(f"{site.url}/docs")
    await expect(visit.page.locator(".opblock").first).to_be_visible()
    return visit


async def test_every_operation_is_rendered_without_another_host(reference: Visit, site: Site) -> None:
    page = reference.page
    document = await (await page.request.get(f"{site.url}/openapi.json")).json()
    assert set(await page.evaluate(OPERATIONS)) == set(document["paths"])
    assert await page.locator(".opblock").count() == sum(len(path) for path in document["paths"].values())
    assert reference.complaints == []


async def test_the_page_is_not_heavy_and_soon_usable(reference: Visit) -> None:
    page = reference.page
    sizes = await page.evaluate(
        "performance.getEntries().filter((e) => 'encodedBodySize' in e).map((e) => [e.name, e.encodedBodySize])"
    )
    interactive = await page.evaluate("performance.getEntriesByName('danqing-interactive')[0].startTime")
    print(f"{sum(size for _, size in sizes):,} bytes in {len(sizes)} requests, usable after {interactive:.0f} ms")
    assert sum(size for _, size in sizes) <= MAX_PAGE_BYTES
    assert interactive <= MAX_INTERACTIVE_MILLISECONDS


async def test_the_first_example_draws_with_the_playgrounds_key(reference: Visit, painter: Painter) -> None:
    block = await opened(reference.page, "_v1_images_generations")
    assert await status(block) == 200
    (request,) = painter.requests
    assert request.prompt.startswith("A T-Rex relaxing on a beach")
    await expect(block.locator(".live-responses-table")).to_contain_text("painter (paints mountains for tests)")
    assert reference.complaints == []


async def test_a_key_can_be_given_on_the_page(site: Site, visitor: Visitor) -> None:
    page = (await visitor(f"{site.url}/docs")).page
    block = await opened(page, "read_balance_v1_billing_balance_get")
    assert await status(block) == 401
    await page.get_by_role("button", name="Authorize").click()
    await page.get_by_label("auth-bearer-value").fill(site.key)
    await page.get_by_role("button", name="Apply credentials").click()
    await page.get_by_role("button", name="Close").last.click()
    assert await status(block) == 200


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
async def test_the_page_is_as_light_or_dark_as_the_playground(
    scheme: str, dark: bool, site: Site, visitor: Visitor
) -> None:
    page = (await visitor(f"{site.url}/docs", color_scheme=scheme)).page
    await expect(page.locator(".opblock").first).to_be_visible()
    assert await page.evaluate("document.documentElement.classList.contains('dark-mode')") is dark
