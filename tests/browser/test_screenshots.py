"""The command that takes the documents' pictures still takes them."""

from pathlib import Path

import pytest
from browser.house import furnish
from browser.painter import Painter
from browser.screenshots import PACE_SECONDS, PAINTED_PROMPT, draw_one, take_all, take_console
from browser.site import Site, serving
from PIL import Image
from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_every_state_is_taken(browser: Browser, site: Site, painter: Painter, tmp_path: Path) -> None:
    painter.pace_seconds = PACE_SECONDS
    taken = await take_all(browser, site, tmp_path, prompt=PAINTED_PROMPT)
    assert len({path.name for path in taken}) == len(taken) == 11
    _look(taken)


async def test_every_view_of_the_console_is_taken(browser: Browser, tmp_path: Path) -> None:
    keys = furnish(tmp_path / "data", past=True)
    async with serving(tmp_path / "data", engine=Painter()) as site:
        await draw_one(site, keys.shop)
        taken = await take_console(browser, site, keys.management, tmp_path / "taken")
    assert len({path.name for path in taken}) == len(taken) == 5
    _look(taken)


def _look(taken: list[Path]) -> None:
    for path in taken:
        with Image.open(path) as picture:
            # Something is on it.
            assert len(picture.convert("RGB").resize((64, 64)).getcolors(64 * 64) or []) > 50, path.name
