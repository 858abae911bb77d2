"""Takes the pictures of the playground that the documents show; also run by a test, with the painter.

    .venv/bin/python tests/browser/screenshots.py docs/images

draws with the bundled checkpoint, or says so and paints where there is none.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from browser.painter import Painter
from browser.site import ARGUMENTS, PHONE, Site, browser_path, open_page, serving
from playwright.async_api import Browser, Page, async_playwright, expect

from danqing.app import BUNDLED_CHECKPOINT

PROMPT = "A T-Rex relaxing on a beach, lying on a sun lounger and wearing sunglasses."
PAINTED_PROMPT = "Mountains in the mist, a red sun above them"
# So that there is time to look while it forms.
PACE_SECONDS = 0.15
READY_MILLISECONDS = 120_000
FADE_MILLISECONDS = 900
LOOK_MILLISECONDS = 30
# Taking a picture takes a few steps too.
LOOK_AT = 0.3


async def take_all(browser: Browser, site: Site, folder: Path, *, prompt: str) -> list[Path]:
    """Every state of the page that the documents show."""
    folder.mkdir(parents=True, exist_ok=True)
    page = (await open_page(browser, site.link)).page
    await expect(page.locator("#engine")).to_have_attribute("data-state", "ready", timeout=READY_MILLISECONDS)
    taken = [await _take(page, folder, "rest")]
    await _choose(page, prompt, seed=11)
    taken += await _draw(page, folder, prefix="")
    await page.get_by_text("Fine tuning").click()
    # The server refuses to call addresses of its own network.
    await page.get_by_label("Webhook").fill("http://127.0.0.1/finished")
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_role("alert")).to_be_visible()
    taken.append(await _take(page, folder, "error"))
    dark = (await open_page(browser, site.link, color_scheme="dark")).page
    await expect(dark.locator("#engine")).to_have_attribute("data-state", "ready")
    await dark.get_by_label("4", exact=True).check()
    await _choose(dark, prompt, seed=21)
    taken += await _draw(dark, folder, prefix="dark-")
    options = {"viewport": PHONE, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
    phone = (await open_page(browser, site.link, **options)).page
    await expect(phone.locator("#engine")).to_have_attribute("data-state", "ready")
    taken.append(await _take(phone, folder, "phone-rest"))
    await _choose(phone, prompt, seed=31)
    taken += await _draw(phone, folder, prefix="phone-")
    return taken


async def _choose(page: Page, prompt: str, *, seed: int) -> None:
    await page.get_by_label("Prompt", exact=True).fill(prompt)
    await page.get_by_label("Seed", exact=True).fill(str(seed))
    await page.get_by_role("button", name="Keep this seed").click()


async def _draw(page: Page, folder: Path, *, prefix: str) -> list[Path]:
    await page.get_by_role("button", name="Draw", exact=True).click()
    # Not wait_for_function: it evaluates strings in the page, which the page's policy forbids.
    while await page.locator("#progress-bar").evaluate("bar => bar.value") < LOOK_AT:
        await page.wait_for_timeout(LOOK_MILLISECONDS)
    halfway = await _take(page, folder, f"{prefix}halfway", settle=False)
    await expect(page.locator("#result")).to_be_visible(timeout=READY_MILLISECONDS)
    return [halfway, await _take(page, folder, f"{prefix}finished")]


async def _take(page: Page, folder: Path, name: str, *, settle: bool = True) -> Path:
    if settle:
        await page.wait_for_timeout(FADE_MILLISECONDS)
    path = folder / f"playground-{name}.png"
    await page.screenshot(path=path)
    return path


async def main(folder: Path) -> None:
    """Take them with what is there to draw."""
    real = (BUNDLED_CHECKPOINT / "model.safetensors").is_file()
    engine = None if real else Painter(pace_seconds=PACE_SECONDS)
    if not real:
        print("there is no bundled checkpoint: painting instead")
    with tempfile.TemporaryDirectory() as data:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=browser_path(), args=ARGUMENTS)
            async with serving(Path(data) / "data", engine=engine) as site:
                for path in await take_all(browser, site, folder, prompt=PROMPT if real else PAINTED_PROMPT):
                    print(path)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
