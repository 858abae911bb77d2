"""Jobs on the page: from a prompt to pictures, with everything that can go wrong between."""

import io
import logging

import httpx
import pytest
from browser.painter import Painter
from browser.site import Site, Visit, Visitor
from PIL import Image
from playwright.async_api import Page, expect

from danqing.api.errors import FORMS
from danqing.engine.interface import EngineCrashed

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROMPT = "Mountains in the mist, a red sun above them"
PRICE_CREDITS = 210_000
# They answer mistakes that the page does not make; `cancelled` it has asked for itself.
NEVER_MET_BY_THE_PAGE = {
    "body_too_large",
    "cancelled",
    "idempotency_conflict",
    "idempotency_mismatch",
    "method_not_allowed",
    "model_not_found",
    "request_timeout",
    "unsupported_media_type",
}


async def draw(page: Page, prompt: str = PROMPT) -> None:
    await page.get_by_label("Prompt", exact=True).fill(prompt)
    await page.get_by_role("button", name="Draw", exact=True).click()


async def finished(page: Page) -> None:
    await expect(page.locator("#result")).to_be_visible()
    await expect(page.locator("#draw")).to_be_visible()


async def picture_sizes(page: Page) -> list[list[int]]:
    await expect(page.locator(".tile img.forming")).to_have_count(0)
    return await page.locator(".tile img.finished").evaluate_all(
        "all => all.map(i => [i.naturalWidth, i.naturalHeight])"
    )


async def ask(site: Site, path: str) -> dict[str, object]:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {site.key}"}) as client:
        return (await client.get(site.url + path)).json()


async def test_the_first_link_brings_the_key_and_takes_it_out_of_the_address(site: Site, visit: Visit) -> None:
    assert visit.page.url == f"{site.url}/"
    assert not [url for url in visit.urls[1:] if site.key in url]
    await expect(visit.page.locator("#credits")).to_contain_text("100,000,000 credits left")
    await visit.page.reload()
    await expect(visit.page.locator("#credits")).to_contain_text("100,000,000 credits left")


async def test_the_key_goes_into_no_log_and_no_address(
    site: Site, visit: Visit, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await visit.page.goto(site.link)
    await visit.page.reload()
    await draw(visit.page)
    await finished(visit.page)
    assert "uvicorn.access" in {record.name for record in caplog.records}
    assert site.key not in caplog.text
    assert not [url for url in visit.urls if site.key in url.partition("#")[0]]


async def test_a_picture_forms_step_by_step(site: Site, visit: Visit, painter: Painter) -> None:
    painter.hold_at = 15
    page = visit.page
    await expect(page.locator("#price")).to_contain_text("210,000 credits")
    await draw(page)
    await expect(page.locator("#progress-text")).to_contain_text("Step 14 of 28")
    assert await page.locator("#progress-bar").evaluate("bar => bar.value") == 0.5
    await expect(page.locator(".tile img.forming.shown").last).to_be_visible()
    painter.gate.set()
    await finished(page)
    assert await picture_sizes(page) == [[1280, 768]]
    await expect(page.locator("#facts")).to_contain_text(painter.model)
    await expect(page.locator("#engine")).to_contain_text(painter.model)
    await expect(page.locator("#credits")).to_contain_text("99,790,000 credits left")
    await expect(page.locator("#announcer")).to_have_text(f"Finished: {PROMPT}")
    assert visit.complaints == []


async def test_the_server_knows_what_came_from_the_playground(site: Site, visit: Visit) -> None:
    await draw(visit.page)
    await finished(visit.page)
    (line,) = (await ask(site, "/v2/logs?period=1d"))["data"]
    assert line["origin"] == "playground"


async def test_four_pictures_form_side_by_side(visit: Visit, painter: Painter) -> None:
    page = visit.page
    await page.get_by_label("4", exact=True).check()
    await expect(page.locator("#price")).to_contain_text("840,000 credits")
    await page.get_by_label("Portrait 16:9").check()
    await draw(page)
    await finished(page)
    assert await picture_sizes(page) == [[768, 1280]] * 4
    assert painter.requests[0].num_images == 4
    await expect(page.locator("#strip .count")).to_have_text("4")
    assert visit.complaints == []


@pytest.mark.parametrize("way", ["button", "Escape"])
async def test_cancelling_stops_the_engine_and_costs_nothing(
    site: Site, visit: Visit, painter: Painter, way: str
) -> None:
    painter.hold_at = 5
    await draw(visit.page)
    await expect(visit.page.locator("#progress-text")).to_contain_text("Step 4 of 28")
    if way == "button":
        await visit.page.get_by_role("button", name="Cancel").click()
    else:
        await visit.page.keyboard.press("Escape")
    await expect(visit.page.get_by_role("alert")).to_contain_text("Nothing was charged.")
    await expect(visit.page.locator("#draw")).to_be_visible()
    assert painter.num_cancelled == 1
    assert (await ask(site, "/v1/billing/balance"))["balance"] == 100_000_000
    assert visit.complaints == []


async def test_a_job_outlives_a_reload(visit: Visit, painter: Painter) -> None:
    painter.hold_at = 20
    await draw(visit.page)
    await expect(visit.page.locator("#progress-text")).to_contain_text("Step 19 of 28")
    await visit.page.reload()
    await expect(visit.page.locator("#progress-text")).to_contain_text("Step 19 of 28")
    painter.gate.set()
    await finished(visit.page)
    assert len(painter.requests) == 1
    assert await picture_sizes(visit.page) == [[1280, 768]]


async def test_the_keyboard_is_enough(visit: Visit) -> None:
    page = visit.page
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the prompt")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab") if await page.evaluate("document.activeElement.id !== 'prompt'") else None
    await page.keyboard.type("A castle")
    await page.keyboard.press("Control+Enter")
    await finished(page)
    await expect(page.locator("#said")).to_have_text("A castle")


async def test_a_free_seed_changes_and_a_kept_one_stays(visit: Visit, painter: Painter) -> None:
    page = visit.page
    for _ in range(2):
        await draw(page)
        await finished(page)
    await page.get_by_role("button", name="Keep this seed").click()
    for _ in range(2):
        await draw(page)
        await expect(page.locator("#strip li")).to_have_count(len(painter.requests))
        await finished(page)
    seeds = [request.seed for request in painter.requests]
    assert seeds[0] != seeds[1] == seeds[2] == seeds[3]


async def test_an_earlier_result_comes_back_with_its_settings(visit: Visit, painter: Painter) -> None:
    page = visit.page
    await page.get_by_label("Landscape 4:3").check()
    await draw(page, "The first one")
    await finished(page)
    await page.get_by_label("Square").check()
    await draw(page, "The second one")
    await expect(page.locator("#strip li")).to_have_count(2)
    await page.reload()
    await page.get_by_role("button", name="The first one").click()
    await expect(page.locator("#said")).to_have_text("The first one")
    assert await picture_sizes(page) == [[1152, 896]]
    await page.get_by_role("button", name="Use these settings").click()
    await expect(page.get_by_label("Prompt", exact=True)).to_have_value("The first one")
    await page.get_by_role("button", name="Draw", exact=True).click()
    await expect(page.locator("#strip li")).to_have_count(3)
    first, _, again = painter.requests
    assert (again.seed, again.prompt, again.width_px, again.height_px) == (first.seed, "The first one", 1152, 896)


async def test_an_expanded_prompt_is_shown_under_the_picture_and_kept(visit: Visit, painter: Painter) -> None:
    page = visit.page
    painter.caption = "A castle of grey stone on a green hill, under a red evening sun."
    await page.get_by_text("Fine tuning").click()
    await page.get_by_label("Expand the prompt").check()
    await draw(page, "A castle")
    await finished(page)
    assert [expansion.caption for expansion in painter.expansions if expansion] == [painter.caption]
    await expect(page.locator("#said")).to_have_text("A castle")
    await expect(page.locator("#revised")).to_have_text(f"Expanded to: {painter.caption}")
    await expect(page.locator("#warnings")).to_be_hidden()
    await page.reload()
    await page.get_by_role("button", name="A castle, seed").click()
    await expect(page.locator("#revised")).to_contain_text(painter.caption)
    await page.get_by_text("Fine tuning").click()
    await page.get_by_label("Expand the prompt").uncheck()
    await page.get_by_role("button", name="Draw", exact=True).click()
    await expect(page.locator("#strip li")).to_have_count(2)
    await expect(page.locator("#revised")).to_be_hidden()


async def test_a_result_can_be_forgotten(visit: Visit) -> None:
    page = visit.page
    await draw(page)
    await finished(page)
    await page.get_by_role("button", name="Remove from history").click()
    await expect(page.locator("#history")).to_be_hidden()
    await expect(page.locator("#rest")).to_be_visible()


async def test_the_history_is_bounded(visit: Visit) -> None:
    num_kept = await visit.page.evaluate(
        """async () => {
          const { openHistory } = await import(new URL("playground/history.js", document.baseURI));
          const canvas = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
          const blob = await new Promise((done) => canvas.toBlob(done));
          const history = await openHistory();
          for (let at = 1; at <= 64; at += 1) {
            await history.add({ id: `job-${at}`, at, settings: {}, images: [{ blob }] });
          }
          const kept = (await history.list()).map(({ at }) => at);
          return [kept.length, kept[0], kept.at(-1)];
        }"""
    )
    assert num_kept == [60, 64, 5]


async def test_a_picture_can_be_downloaded(visit: Visit) -> None:
    page = visit.page
    await draw(page)
    await finished(page)
    seed = await page.locator("#seed").input_value()
    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Download").click()
    download = await downloading.value
    assert download.suggested_filename == f"mountains-in-the-mist-a-red-sun-above-them-{seed}.png"
    with Image.open(io.BytesIO((await download.path()).read_bytes())) as picture:
        assert picture.size == (1280, 768)


async def test_without_a_key_the_page_asks_for_one(site: Site, visitor: Visitor) -> None:
    visit = await visitor(f"{site.url}/")
    page = visit.page
    await draw(page)
    await expect(page.get_by_role("alert")).to_contain_text("The playground needs an API key.")
    await page.get_by_role("button", name="Change the key").click()
    await page.get_by_label("Key", exact=True).fill("nonsense")
    await page.get_by_role("button", name="Use this key").click()
    await expect(page.locator("#key-problem")).to_contain_text("32 characters")
    await page.get_by_label("Key", exact=True).fill(site.key)
    await page.get_by_role("button", name="Use this key").click()
    await expect(page.locator("#credits")).to_contain_text("credits left")
    await draw(page)
    await finished(page)


@pytest.mark.parametrize("site", [{"starting_credits": 100_000}], indirect=True)
async def test_an_empty_purse_is_said_with_figures(visit: Visit) -> None:
    await draw(visit.page)
    await expect(visit.page.get_by_role("alert")).to_contain_text("There are not enough credits.")
    await expect(visit.page.get_by_role("alert")).to_contain_text("takes 210,000 credits, and 100,000 credits are left")


async def test_a_refused_prompt_is_said_without_codes(visit: Visit) -> None:
    await draw(visit.page, "hardcore pornography")
    await expect(visit.page.get_by_role("alert")).to_contain_text("The safety check refused this prompt.")
    await expect(visit.page.get_by_role("alert")).not_to_contain_text("moderation_blocked")


async def test_every_error_that_the_page_can_meet_has_words(visit: Visit) -> None:
    untold = await visit.page.evaluate(
        """async (codes) => {
          const { explain } = await import(new URL("playground/wording.js", document.baseURI));
          const context = { hasKey: true, priceCredits: 1, balanceCredits: 0 };
          const title = (code) => explain({ code, message: "", issues: [] }, context).title;
          return codes.filter((code) => title(code) === title("server_error"));
        }""",
        sorted(FORMS),
    )
    assert set(untold) == NEVER_MET_BY_THE_PAGE | {"server_error"}


async def test_a_failed_engine_is_said_and_the_next_try_may_work(visit: Visit, painter: Painter) -> None:
    painter.error = EngineCrashed()
    await draw(visit.page)
    await expect(visit.page.get_by_role("alert")).to_contain_text("The engine stopped in the middle of the picture.")
    painter.error = None
    await visit.page.get_by_role("button", name="Try again").click()
    await finished(visit.page)
    await expect(visit.page.get_by_role("alert")).to_be_hidden()


async def test_a_server_that_is_gone_is_said(visit: Visit) -> None:
    await visit.context.set_offline(True)
    await draw(visit.page)
    await expect(visit.page.get_by_role("alert")).to_contain_text("The server cannot be reached.")
    await expect(visit.page.locator("#engine")).to_have_attribute("data-state", "away")
    await visit.context.set_offline(False)
    await expect(visit.page.locator("#engine")).to_have_attribute("data-state", "ready")
    await visit.page.get_by_role("button", name="Try again").click()
    await finished(visit.page)
