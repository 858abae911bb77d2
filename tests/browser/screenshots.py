"""Takes the pictures of playground and console that the documents show; also run by a test, with the painter.

    .venv/bin/python tests/browser/screenshots.py docs/images

draws with the bundled checkpoint, or says so and paints where there is none.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import httpx
from browser.house import furnish
from browser.painter import Painter
from browser.site import ARGUMENTS, PHONE, Site, browser_path, open_page, serving
from playwright.async_api import Browser, Page, async_playwright, expect

from danqing.engines import BUNDLED_CHECKPOINT
from danqing.pictures.request import MODEL_ID

PROMPT = "A T-Rex relaxing on a beach, lying on a sun lounger and wearing sunglasses."
UNKNOWN_PROMPT = "A cat with a bowl of ramen and chopsticks"
PAINTED_PROMPT = "Mountains in the mist, a red sun above them"
CONSOLE = {"width": 1280, "height": 900}
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
    taken = [await _take(page, folder, "playground-rest")]
    await _choose(page, prompt, seed=11)
    taken += await _draw(page, folder, prefix="")
    taken += await _compare(page, folder)
    await page.get_by_text("Fine tuning").click()
    # The server refuses to call addresses of its own network.
    await page.get_by_label("Webhook").fill("http://127.0.0.1/finished")
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_role("alert")).to_be_visible()
    taken.append(await _take(page, folder, "playground-error"))
    dark = (await open_page(browser, site.link, color_scheme="dark")).page
    await expect(dark.locator("#engine")).to_have_attribute("data-state", "ready")
    await dark.get_by_label("4", exact=True).check()
    await _choose(dark, prompt, seed=21)
    taken += await _draw(dark, folder, prefix="dark-")
    options = {"viewport": PHONE, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
    phone = (await open_page(browser, site.link, **options)).page
    await expect(phone.locator("#engine")).to_have_attribute("data-state", "ready")
    taken.append(await _take(phone, folder, "playground-phone-rest"))
    await _choose(phone, prompt, seed=31)
    taken += await _draw(phone, folder, prefix="phone-")
    return taken


async def take_console(browser: Browser, site: Site, management_key: str, folder: Path) -> list[Path]:
    """The views of the console that the documents show, on a server with a past."""
    folder.mkdir(parents=True, exist_ok=True)
    link = f"{site.url}/console#key={management_key}"
    light = (await open_page(browser, link, viewport=CONSOLE)).page
    taken = [await _view(light, folder, name) for name in ("Overview", "Keys", "Logs")]
    dark = (await open_page(browser, link, viewport=CONSOLE, color_scheme="dark")).page
    await _open(dark, "Logs")
    await dark.locator("tbody a").first.click()
    await expect(dark.locator(".pictures img").first).to_have_js_property("complete", True)
    taken.append(await _take(dark, folder, "console-dark-request"))
    options = {"viewport": PHONE, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
    phone = (await open_page(browser, link, **options)).page
    return [*taken, await _view(phone, folder, "Money", prefix="phone-")]


async def _view(page: Page, folder: Path, name: str, *, prefix: str = "") -> Path:
    await _open(page, name)
    return await _take(page, folder, f"console-{prefix}{name.lower()}")


async def _open(page: Page, name: str) -> None:
    await page.get_by_role("link", name=name, exact=True).click()
    await expect(page.locator("#view-title")).to_have_text(name)
    await expect(page.locator("#content > div")).to_be_visible()


async def _compare(page: Page, folder: Path) -> list[Path]:
    kept = await page.get_by_label("Prompt", exact=True).input_value()
    await page.get_by_text("Compare", exact=True).click()
    await page.get_by_label("Side by side", exact=True).select_option("Seed")
    await page.get_by_label("One below the other", exact=True).select_option("Guidance")
    await page.get_by_role("button", name="Draw", exact=True).click()
    await expect(page.locator("#facts")).to_contain_text("Compared", timeout=READY_MILLISECONDS)
    compared = await _take(page, folder, "playground-comparison")
    await page.get_by_label("Side by side", exact=True).select_option("nothing")
    await page.get_by_label("One below the other", exact=True).select_option("nothing more")
    await page.get_by_text("Compare", exact=True).click()
    await page.get_by_label("Prompt", exact=True).fill(UNKNOWN_PROMPT)
    await expect(page.locator("#prompt-words")).to_contain_text("does not know")
    unknown = await _take(page, folder, "playground-words")
    await page.get_by_label("Prompt", exact=True).fill(kept)
    return [compared, unknown]


async def _choose(page: Page, prompt: str, *, seed: int) -> None:
    await page.get_by_label("Prompt", exact=True).fill(prompt)
    await page.get_by_label("Seed", exact=True).fill(str(seed))
    await page.get_by_role("button", name="Keep this seed").click()


async def _draw(page: Page, folder: Path, *, prefix: str) -> list[Path]:
    await page.get_by_role("button", name="Draw", exact=True).click()
    # Not wait_for_function: it evaluates strings in the page, which the page's policy forbids.
    while await page.locator("#progress-bar").evaluate("bar => bar.value") < LOOK_AT:
        await page.wait_for_timeout(LOOK_MILLISECONDS)
    halfway = await _take(page, folder, f"playground-{prefix}halfway", settle=False)
    await expect(page.locator("#result")).to_be_visible(timeout=READY_MILLISECONDS)
    return [halfway, await _take(page, folder, f"playground-{prefix}finished")]


async def _take(page: Page, folder: Path, name: str, *, settle: bool = True) -> Path:
    if settle:
        await page.wait_for_timeout(FADE_MILLISECONDS)
    path = folder / f"{name}.png"
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
            await _console(browser, Path(data) / "past", folder)
            await browser.close()


async def _console(browser: Browser, data_dir: Path, folder: Path) -> None:
    # The painter's pictures: the console is about requests.
    keys = furnish(data_dir, past=True)
    async with serving(data_dir, engine=Painter()) as site:
        await draw_one(site, keys.shop)
        for path in await take_console(browser, site, keys.management, folder):
            print(path)


async def draw_one(site: Site, key: str) -> None:
    """Make a request whose pictures the console can show."""
    body = {"model": MODEL_ID, "prompt": PAINTED_PROMPT, "num_images": 2, "seed": 7, "image_size": "landscape_16_9"}
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
        (await client.post(f"{site.url}/v1/images/generations", json=body)).raise_for_status()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
