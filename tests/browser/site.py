"""What the browser tests visit: a server in this process with an engine of the test's choice, and a page open on it."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from playwright.async_api import Browser, BrowserContext, Page, Request, expect

from danqing.app import create_app
from danqing.engine.interface import Engine
from danqing.first_start import prepare
from danqing.settings import Settings

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
WAIT_MILLISECONDS = 20_000
KEY_FILE = "key.txt"


@dataclass
class Site:
    """A running server: its address, and the key that its first start made."""

    url: str
    key: str

    @property
    def link(self) -> str:
        """What the first start prints."""
        return f"{self.url}/#key={self.key}"


@dataclass
class Visit:
    """An open page, what it asked for, and what it must not do: report errors, or ask other hosts."""

    page: Page
    context: BrowserContext
    origin: str
    urls: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note everything from now on."""
        self.page.on("request", self._note_request)
        self.page.on("pageerror", lambda error: self.complaints.append(f"raised {error}"))
        self.page.on("console", lambda said: said.type == "error" and self.complaints.append(f"said {said.text}"))

    def _note_request(self, request: Request) -> None:
        self.urls.append(request.url)
        if not request.url.startswith((self.origin, "blob:", "data:")):
            self.complaints.append(f"asked {request.url}")


Visitor = Callable[..., Awaitable[Visit]]


def browser_path() -> str | None:
    """The installed browser; the variable CHROMIUM names another."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)


def origin_of(url: str) -> str:
    """The scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


async def open_page(browser: Browser, url: str, **options: Any) -> Visit:
    """Open a page in a browser profile of its own."""
    context = await browser.new_context(**{"viewport": DESKTOP, "reduced_motion": "reduce", **options})
    context.set_default_timeout(WAIT_MILLISECONDS)
    visit = Visit(page=await context.new_page(), context=context, origin=origin_of(url))
    visit.watch()
    await visit.page.goto(url)
    # A page loads before it listens: an early key press would be lost.
    await expect(visit.page.locator("#draw:disabled")).to_have_count(0)
    return visit


@asynccontextmanager
async def serving(data_dir: Path, *, engine: Engine | None = None, **changes: Any) -> AsyncIterator[Site]:
    """A server on a data folder, a new one or one with its key beside it; without `engine` its settings' own."""
    settings = Settings(data_dir=data_dir, drain_seconds=1, image_check="none", **changes)
    first_start = prepare(settings)
    key = first_start.key.secret if first_start else (data_dir / KEY_FILE).read_text()
    server = uvicorn.Server(uvicorn.Config(create_app(settings, engine=engine), port=0, log_config=None))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Site(url=f"http://127.0.0.1:{port}", key=key)
    server.should_exit = True
    await running
