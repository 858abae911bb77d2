"""The command that takes the documents' pictures still takes them."""

from pathlib import Path

import pytest
from browser.painter import Painter
from browser.screenshots import PACE_SECONDS, PAINTED_PROMPT, take_all
from browser.site import Site
from PIL import Image
from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_every_state_is_taken(browser: Browser, site: Site, painter: Painter, tmp_path: Path) -> None:
    painter.pace_seconds = PACE_SECONDS
    taken = await take_all(browser, site, tmp_path, prompt=PAINTED_PROMPT)
    assert len({path.name for path in taken}) == len(taken) == 9
    for path in taken:
        with Image.open(path) as picture:
            # Something is on it.
            assert len(picture.convert("RGB").resize((64, 64)).getcolors(64 * 64) or []) > 50, path.name
