"""The programs that the page offers to copy are run as they are, and ask for what the form says."""

import asyncio
import shutil
import sys
from pathlib import Path

import pytest
from browser.painter import Painter
from browser.site import Site, Visit
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROMPT = """It's a "castle" on a hill \\ with $HOME, 丹青 and `ticks`"""
COMMANDS = {
    "Python": ([sys.executable], "snippet.py"),
    "OpenAI SDK": ([sys.executable], "snippet.py"),
    "JavaScript": (["node"], "snippet.mjs"),
    "curl": (["sh"], "snippet.sh"),
}
NEEDED = {"JavaScript": "node", "curl": "curl"}


@pytest.mark.parametrize("language", COMMANDS)
async def test_the_copied_program_draws_what_the_form_says(
    language: str, site: Site, visit: Visit, painter: Painter, tmp_path: Path
) -> None:
    command, name = COMMANDS[language]
    needed = NEEDED.get(language)
    if needed is not None and shutil.which(needed) is None:
        pytest.skip(f"{needed} is not installed")
    await visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visit.page
    await page.get_by_label("Prompt", exact=True).fill(PROMPT)
    await page.get_by_label("2", exact=True).check()
    await page.get_by_text("Fine tuning").click()
    await page.get_by_label("Steps").fill("5")
    await page.get_by_label("Safety checker").uncheck()
    await page.get_by_role("button", name="Code", exact=True).first.click()
    await page.get_by_role("tab", name=language, exact=True).click()
    assert site.key not in await page.locator("#code").inner_text()
    await page.get_by_role("button", name="Copy").click()
    await expect(page.locator("#code-hint")).to_contain_text("Copied")
    program = tmp_path / name
    program.write_text(await page.evaluate("navigator.clipboard.readText()"))
    process = await asyncio.create_subprocess_exec(
        *command, program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert output.decode().count(f"{site.url}/files/b/") == 2
    (request,) = painter.requests
    assert (request.prompt, request.num_images, request.num_inference_steps) == (PROMPT, 2, 5)
    assert (request.width_px, request.height_px) == (1280, 768)
    assert str(request.seed) == await page.locator("#seed").input_value()


async def test_the_languages_can_be_walked_with_the_arrow_keys(visit: Visit) -> None:
    page = visit.page
    await page.get_by_role("button", name="Code", exact=True).first.click()
    await page.get_by_role("tab", name="Python").focus()
    await page.keyboard.press("ArrowLeft")
    await expect(page.get_by_role("tab", name="curl")).to_be_focused()
    await expect(page.locator("#code")).to_contain_text("curl http")
    await page.keyboard.press("Escape")
    await expect(page.locator("#code-dialog")).to_be_hidden()
