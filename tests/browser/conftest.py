"""A headless browser, a server with a painting engine, and a page that is already open on it.

Playwright's asynchronous interface, because its synchronous one would occupy the event loop of every other test.
"""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from browser.axe import install_axe
from browser.painter import Painter
from browser.site import ARGUMENTS, KEY_FILE, WAIT_MILLISECONDS, Site, Visit, Visitor, browser_path, open_page, serving

from danqing.first_start import prepare
from danqing.settings import Settings

playwright = pytest.importorskip("playwright.async_api", reason="the browser tests need the package playwright")
playwright.expect.set_options(timeout=WAIT_MILLISECONDS)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Any]:
    path = browser_path()
    if path is None:
        pytest.skip("no browser is installed: apt-get install chromium, or name one in CHROMIUM")
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core."""
    return install_axe(tmp_path_factory.mktemp("axe"))


@pytest_asyncio.fixture(loop_scope="session")
async def painter() -> Painter:
    return Painter()


@pytest.fixture(scope="session")
def first_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder after the first start, to be copied: migrating once is enough."""
    folder = tmp_path_factory.mktemp("first")
    first_start = prepare(Settings(data_dir=folder))
    assert first_start is not None
    (folder / KEY_FILE).write_text(first_start.key.secret)
    return folder


@pytest_asyncio.fixture(loop_scope="session")
async def site(
    painter: Painter, first_data: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Site]:
    """A server whose engine is the painter; with other settings, by an indirect parameter, it starts afresh."""
    changes = getattr(request, "param", {})
    if not changes:
        shutil.copytree(first_data, tmp_path / "data")
    async with serving(tmp_path / "data", engine=painter, **changes) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(browser: Any) -> AsyncIterator[Visitor]:
    """Opens pages."""
    visits = []

    async def visit(url: str, **options: Any) -> Visit:
        visits.append(await open_page(browser, url, **options))
        return visits[-1]

    yield visit
    for each in visits:
        await each.context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(visitor: Visitor, site: Site) -> Visit:
    """The page as the first start's link opens it."""
    visit = await visitor(site.link)
    await playwright.expect(visit.page.locator("#engine")).to_have_attribute("data-state", "ready")
    return visit
