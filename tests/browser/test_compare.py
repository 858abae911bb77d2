"""Comparisons in the playground: seeds, guidances and steps side by side, saved as one picture."""

import io

import pytest
from browser.painter import Painter
from browser.site import Visit
from PIL import Image
from playwright.async_api import Page, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def prepare(page: Page, *, columns: str, column_values: str, rows: str = "", row_values: str = "") -> None:
    await page.get_by_label("Prompt", exact=True).fill("A castle")
    await page.get_by_label("Square", exact=False).first.check()
    await page.get_by_text("Compare", exact=True).click()
    await page.get_by_label("Side by side", exact=True).select_option(columns)
    await page.get_by_label("Values side by side").fill(column_values)
    if rows:
        await page.get_by_label("One below the other", exact=True).select_option(rows)
        await page.get_by_label("Values one below the other").fill(row_values)


async def test_a_grid_is_drawn_and_saved_as_one_picture_with_its_settings(visit: Visit, painter: Painter) -> None:
    page = visit.page
    await prepare(page, columns="Seed", column_values="7, 8", rows="Guidance", row_values="3 5")
    await expect(page.locator("#price")).to_contain_text("840,000 credits")
    await expect(page.get_by_label("4", exact=True)).to_be_disabled()
    await page.get_by_role("button", name="Draw", exact=True).click()
    await expect(page.locator("#result")).to_be_visible()
    asked = [(request.seed, request.guidance_scale, request.num_images) for request in painter.requests]
    assert asked == [(7, 3, 1), (8, 3, 1), (7, 5, 1), (8, 5, 1)]
    await expect(page.locator(".tile figcaption")).to_have_text(
        ["Seed 7 · Guidance 3", "Seed 8 · Guidance 3", "Seed 7 · Guidance 5", "Seed 8 · Guidance 5"]
    )
    await expect(page.locator("#facts")).to_contain_text("Seed 7, 8 × Guidance 3, 5")
    await expect(page.locator("#facts")).to_contain_text("840,000 credits")
    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Save as one picture").click()
    download = await downloading.value
    assert download.suggested_filename == "a-castle-comparison.png"
    picture = Image.open(io.BytesIO((await download.path()).read_bytes()))
    # Two cells of 640 pixels in a row and in a column, with words around them.
    assert picture.width > 1280
    assert picture.height > 1280
    # From the history it comes back as it was, with its form.
    await page.reload()
    await page.locator("#strip button").click()
    await expect(page.locator(".tile figcaption")).to_have_count(4)
    await page.get_by_role("button", name="Use these settings").click()
    await expect(page.get_by_label("Values side by side")).to_have_value("7, 8")
    assert visit.complaints == []


@pytest.mark.parametrize(
    ("columns", "values", "words"),
    [
        ("Steps", "10, 60", "Steps: whole numbers from 1 to 50."),
        ("Guidance", "0.5", "Guidance: numbers from 1 to 20."),
        ("Seed", "1,2,3,4,5", "Seed: one to 4 values"),
        ("Seed", "x", "Seed: whole numbers from 1 up."),
    ],
)
async def test_values_that_cannot_be_drawn_are_named_and_nothing_is_asked(
    visit: Visit, painter: Painter, columns: str, values: str, words: str
) -> None:
    page = visit.page
    await prepare(page, columns=columns, column_values=values)
    await expect(page.locator("#compare-problem")).to_contain_text(words)
    await page.get_by_role("button", name="Draw", exact=True).click()
    assert painter.requests == []


async def test_cancelling_ends_a_comparison(visit: Visit, painter: Painter) -> None:
    page = visit.page
    painter.hold_at = 5
    await prepare(page, columns="Seed", column_values="7, 8")
    await page.get_by_role("button", name="Draw", exact=True).click()
    await expect(page.locator("#progress-text")).to_contain_text("Picture 1 of 2")
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.get_by_text("Cancelled.")).to_be_visible()
    assert len(painter.requests) == 1
