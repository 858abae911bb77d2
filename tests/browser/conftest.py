"""A headless browser, a server with a painting engine, and a page that is already open on it.

Playwright's asynchronous interface, because its synchronous one would occupy the event loop of every other test.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from browser.painter import Painter
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from danqing.app import create_app, prepare
from danqing.engine.interface import Engine
from danqing.settings import Settings

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
WAIT_MILLISECONDS = 20_000

expect.set_options(timeout=WAIT_MILLISECONDS)


@dataclass
class Site:
    """A running server: its address, its key, its engine."""

    url: str
    key: str
    engine: Engine
    data_dir: Path

    @property
    def link(self) -> str:
        """What the first start prints."""
        return f"{self.url}/#key={self.key}"


@dataclass
class Visit:
    """An open page and what went wrong on it. `complaints`: console errors and requests to elsewhere."""

    page: Page
    context: BrowserContext
    complaints: list[str] = field(default_factory=list)


def browser_path() -> str:
    """The installed browser; without one the test is skipped."""
    named = os.environ.get("CHROMIUM")
    found = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed (looked for {', '.join(BROWSERS)}): apt-get install chromium")
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = browser_path()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        await browser.close()


@asynccontextmanager
async def serving(data_dir: Path, *, engine: Engine | None, **changes: Any) -> AsyncIterator[Site]:
    """A server on a new data folder."""
    settings = Settings(data_dir=data_dir, drain_seconds=1, **changes)
    first_start = prepare(settings)
    assert first_start is not None
    app = create_app(settings, engine=engine)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    actual = app.state.services.engine
    yield Site(url=f"http://127.0.0.1:{port}", key=first_start.key.secret, engine=actual, data_dir=data_dir)
    server.should_exit = True
    await running


@pytest_asyncio.fixture(loop_scope="session")
async def painter() -> Painter:
    return Painter()


@pytest_asyncio.fixture(loop_scope="session")
async def site(painter: Painter, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """A server whose engine is the painter, with the settings of an indirect parameter."""
    async with serving(tmp_path / "data", engine=painter, **getattr(request, "param", {})) as site:
        yield site


Visitor = Callable[..., Awaitable[Visit]]


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(browser: Browser) -> AsyncIterator[Visitor]:
    """Opens pages, each in a browser profile of its own."""
    contexts = []

    async def visit(url: str, **options: Any) -> Visit:
        context = await browser.new_context(**{"viewport": DESKTOP, "reduced_motion": "reduce", **options})
        contexts.append(context)
        context.set_default_timeout(WAIT_MILLISECONDS)
        visit = Visit(page=await context.new_page(), context=context)
        origin = "/".join(url.split("/")[:3])

        def watch_request(request: Any) -> None:
            if not request.url.startswith((origin, "blob:", "data:")):
                visit.complaints.append(f"asked {request.url}")

        visit.page.on("request", watch_request)
        visit.page.on("pageerror", lambda error: visit.complaints.append(f"raised {error}"))
        visit.page.on("console", lambda said: said.type == "error" and visit.complaints.append(f"said {said.text}"))
        await visit.page.goto(url)
        return visit

    yield visit
    for context in contexts:
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(visitor: Visitor, site: Site) -> Visit:
    """The page as the first start's link opens it."""
    visit = await visitor(site.link)
    await expect(visit.page.locator("#engine")).to_have_attribute("data-state", "ready")
    return visit
