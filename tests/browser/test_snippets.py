"""The programs that the page offers to copy are run as they are, and ask for what the form says."""

import asyncio
import shutil
import sys
from pathlib import Path

import pytest
from browser.painter import Painter
from browser.site import Site, Visit
from PIL import Image
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


async def run_copied(visit: Visit, language: str, command: list[str], *, folder: Path) -> str:
    """Copy the program out of the page, run it, and return what it printed; the command's last word names its file."""
    page = visit.page
    await visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Code", exact=True).first.click()
    await page.get_by_role("tab", name=language, exact=True).click()
    shown = await page.locator("#code").inner_text()
    await page.get_by_role("button", name="Copy").click()
    await expect(page.locator("#code-hint")).to_contain_text("Copied")
    copied = await page.evaluate("navigator.clipboard.readText()")
    key = await page.evaluate("localStorage.getItem('danqing.key')")
    assert key in copied
    assert key not in shown
    (folder / command[-1]).write_text(copied)
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


@pytest.mark.parametrize("language", COMMANDS)
async def test_the_copied_program_draws_what_the_form_says(
    language: str, site: Site, visit: Visit, painter: Painter, tmp_path: Path
) -> None:
    command, name = COMMANDS[language]
    needed = NEEDED.get(language)
    if needed is not None and shutil.which(needed) is None:
        pytest.skip(f"{needed} is not installed")
    page = visit.page
    await page.get_by_label("Prompt", exact=True).fill(PROMPT)
    await page.get_by_label("2", exact=True).check()
    await page.get_by_text("Fine tuning").click()
    await page.get_by_label("Steps").fill("5")
    await page.get_by_label("Safety checker").uncheck()
    output = await run_copied(visit, language, [*command, name], folder=tmp_path)
    assert output.count(f"{site.url}/files/b/") == 2
    (request,) = painter.requests
    assert (request.prompt, request.num_images, request.num_inference_steps) == (PROMPT, 2, 5)
    assert (request.width_px, request.height_px) == (1280, 768)
    assert str(request.seed) == await page.locator("#seed").input_value()


@pytest.mark.parametrize("language", ["Python", "OpenAI SDK", "JavaScript"])
async def test_bytes_in_the_answer_become_files(language: str, visit: Visit, tmp_path: Path) -> None:
    command, name = COMMANDS[language]
    if language == "JavaScript" and shutil.which("node") is None:
        pytest.skip("node is not installed")
    await visit.page.get_by_label("Prompt", exact=True).fill(PROMPT)
    await visit.page.get_by_text("Fine tuning").click()
    await visit.page.get_by_label("Bytes in the response").check()
    await run_copied(visit, language, [*command, name], folder=tmp_path)
    seed = await visit.page.locator("#seed").input_value()
    with Image.open(tmp_path / f"{seed}.png") as picture:
        assert picture.size == (1280, 768)


async def test_the_languages_can_be_walked_with_the_arrow_keys(visit: Visit) -> None:
    page = visit.page
    await page.get_by_role("button", name="Code", exact=True).first.click()
    await page.get_by_role("tab", name="Python").focus()
    await page.keyboard.press("ArrowLeft")
    await expect(page.get_by_role("tab", name="curl")).to_be_focused()
    await expect(page.locator("#code")).to_contain_text("curl http")
    await page.keyboard.press("Escape")
    await expect(page.locator("#code-dialog")).to_be_hidden()
