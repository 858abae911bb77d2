"""A whole service with a fake engine: the application in this process, or behind a real socket."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from unit.api.calls import MODEL

from danqing.accounts.api_keys import KeyKind, create_key
from danqing.api.connections import server_options
from danqing.app import create_app
from danqing.engine.interface import EngineState, EngineStatus, ExpansionFailed, ImageResult, Progress
from danqing.errors import ServiceError
from danqing.first_start import prepare
from danqing.pictures.raster import Raster
from danqing.pictures.request import Expansion, ImageRequest
from danqing.safety.image_check import ImageCheck, NoImageCheck
from danqing.settings import Settings


@dataclass
class FakeEngine:
    """Draws grey at once. `gate` closed: every step waits; `error` set: raised after the first step.

    `caption`: the expansion of every prompt, followed by the seed; an exception is raised instead.
    """

    error: ServiceError | None = None
    state: EngineState = EngineState.READY
    requests: list[ImageRequest] = field(default_factory=list)
    expansions: list[Expansion | None] = field(default_factory=list)
    num_closed: int = 0
    caption: str | Exception = field(default_factory=lambda: ExpansionFailed("It draws only."))

    def __post_init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()
        self.closed = asyncio.Event()

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        self.state = EngineState.STOPPED

    def status(self) -> EngineStatus:
        return EngineStatus(
            state=self.state, model="fake (draws grey)", detail="/secret/on purpose", public_detail="on purpose"
        )

    async def generate(
        self, request: ImageRequest, *, expansion: Expansion | None = None
    ) -> AsyncGenerator[Progress | ImageResult, None]:
        self.requests.append(request)
        self.expansions.append(expansion)
        try:
            for image_index in range(request.num_images):
                for step in range(1, request.num_inference_steps + 1):
                    yield self._progress(request, image_index, step)
                    self.begun.set()
                    if self.error is not None:
                        raise self.error
                    await self.gate.wait()
                seed = request.image_seed(image_index)
                size = (request.width_px or 1024, request.height_px or 1024)
                yield ImageResult(image_index=image_index, seed=seed, raster=raster(*size, shade=seed % 256))
        finally:
            self.num_closed += 1
            self.closed.set()

    async def expand(self, request: ImageRequest) -> Expansion:
        if isinstance(self.caption, Exception):
            raise self.caption
        return Expansion(caption=f"{self.caption} {request.seed}")

    def _progress(self, request: ImageRequest, image_index: int, step: int) -> Progress:
        due = request.preview_every_steps and step % request.preview_every_steps == 0
        preview = raster(8, 8, shade=step) if due else None
        return Progress(image_index=image_index, step=step, num_steps=request.num_inference_steps, preview=preview)


def raster(width_px: int, height_px: int, *, shade: int) -> Raster:
    return Raster(width_px=width_px, height_px=height_px, rgb=bytes([shade]) * (3 * width_px * height_px))


@pytest.fixture
async def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture(scope="session")
def first_data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A data folder after the first start, to be copied, and its key: migrating once is enough."""
    folder = tmp_path_factory.mktemp("first")
    first_start = prepare(Settings(data_dir=folder))
    assert first_start is not None
    return folder, first_start.key.secret


@pytest.fixture
def settings(first_data: tuple[Path, str], tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """Ordinary settings, with the changes of an indirect parameter."""
    shutil.copytree(first_data[0], tmp_path, dirs_exist_ok=True)
    return Settings(data_dir=tmp_path, drain_seconds=1, image_check="none", **getattr(request, "param", {}))


@pytest.fixture
def key(first_data: tuple[Path, str]) -> str:
    """The secret of the first key."""
    return first_data[1]


@pytest.fixture
def image_check() -> ImageCheck:
    """The image check of a server that has none."""
    return NoImageCheck()


@pytest.fixture
async def app(settings: Settings, engine: FakeEngine, image_check: ImageCheck, key: str) -> AsyncIterator[FastAPI]:
    app = create_app(settings, engine=engine, image_check=image_check)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def anonymous(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key, in this process."""
    # An exception that got through to the server would be the 500 that we look for.
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://danqing.test") as client:
        yield client


@pytest.fixture
async def client(anonymous: httpx.AsyncClient, key: str) -> httpx.AsyncClient:
    """A client with a key, in this process."""
    anonymous.headers["Authorization"] = f"Bearer {key}"
    return anonymous


@pytest.fixture
async def manager(client: httpx.AsyncClient, app: FastAPI) -> httpx.AsyncClient:
    """The client with a management key."""
    services = app.state.services
    created = await services.database.run_write(
        lambda conn: create_key(conn, account_id="default", name="boss", now=services.clock(), kind=KeyKind.MANAGEMENT)
    )
    client.headers["Authorization"] = f"Bearer {created.secret}"
    return client


@pytest.fixture
def nothing_is_drawn(engine: FakeEngine) -> Iterator[None]:
    """Fails the test if the engine was asked to draw."""
    yield
    assert engine.requests == []


@pytest.fixture
async def server_url(app: FastAPI) -> AsyncIterator[str]:
    """The same application behind a real socket."""
    async with serve(app) as url:
        yield url


@pytest.fixture
async def http(server_url: str, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key, over a real socket."""
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=server_url, headers=headers, timeout=20) as client:
        yield client


@pytest.fixture
def body() -> Callable[..., dict[str, object]]:
    """A small valid request, with changes."""

    def make(**changes: object) -> dict[str, object]:
        size = {} if "size" in changes else {"image_size": {"width": 64, "height": 64}}
        return {"model": MODEL, "prompt": "a red fox", "num_inference_steps": 4, **size, **changes}

    return make


@asynccontextmanager
async def serve(app: FastAPI, *, max_connections: int = 100) -> AsyncIterator[str]:
    options = server_options(max_connections)
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None, access_log=False, **options))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving
