"""The upstream engine: draws on another server that speaks OpenAI's Images API, one call per image.

The server may be another Danqing, vLLM-Omni, SGLang, or any that speaks the API.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

import httpx

from danqing.engine.interface import (
    EngineCrashed,
    EngineState,
    EngineStatus,
    ExpansionFailed,
    ImageResult,
    Progress,
)
from danqing.engine.upstream.calls import Call, call_for
from danqing.engine.upstream.pace import Pace
from danqing.engine.upstream.responses import BadResponse, Final, Preview, fitted, raster_of, read
from danqing.engine.upstream.server import VERSION_PATH, ServerUnready, UpstreamServer, look
from danqing.errors import GenerationTimeout, Overloaded, ServiceError
from danqing.pictures.raster import Raster
from danqing.pictures.request import Expansion, ImageRequest

logger = logging.getLogger(__name__)

HEALTH_INTERVAL_SECONDS = 2.0
HEALTH_TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 5.0
# Between a broken connection and the second attempt.
RETRY_PAUSE_SECONDS = 0.5
# How often a running call is looked at.
LOOK_SECONDS = 0.1
RETRY_AFTER_SECONDS = 10
UNKNOWN_MODEL = "an upstream server"


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """Where the server is. `base_url` may end in /v1; `image_timeout_seconds` bounds one image.

    Without `model`, the first that the server lists.
    """

    base_url: str
    api_key: str | None
    model: str | None
    image_timeout_seconds: float

    @property
    def root_url(self) -> str:
        """The URL under which /v1 and the health checks are."""
        return self.base_url.rstrip("/").removesuffix(VERSION_PATH)


class UpstreamEngine:
    """An `Engine` that draws on another server."""

    def __init__(self, upstream: Upstream, *, health_interval_seconds: float = HEALTH_INTERVAL_SECONDS) -> None:
        """Nothing is connected before `start`."""
        self._upstream = upstream
        self._health_interval_seconds = health_interval_seconds
        self._status = EngineStatus(state=EngineState.STOPPED, model=upstream.model or UNKNOWN_MODEL, route="upstream")
        self._server: UpstreamServer | None = None
        self._client: httpx.AsyncClient | None = None
        self._polling: asyncio.Task[None] | None = None
        self._pace = Pace()

    async def start(self) -> None:
        """Begin to poll the server's health; returns at once."""
        key = self._upstream.api_key
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._client = httpx.AsyncClient(
            headers=headers,
            # A server that draws is silent meanwhile; image_timeout_seconds bounds that.
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_SECONDS),
            # One for each job in the engine, which are bounded, and one for its health.
            limits=httpx.Limits(max_connections=None),
        )
        self._move(EngineState.STARTING)
        self._polling = asyncio.create_task(self._poll(), name="upstream-health")

    async def stop(self) -> None:
        """Stop polling and close the connections, with what still runs on them."""
        self._move(EngineState.STOPPED)
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait([self._polling])
        if self._client is not None:
            await self._client.aclose()

    def status(self) -> EngineStatus:
        """Return where the server stood when it was last asked."""
        return self._status

    async def generate(
        self, request: ImageRequest, *, expansion: Expansion | None = None
    ) -> AsyncGenerator[Progress | ImageResult, None]:
        """Draw the images one after the other. Closing the generator closes the connection, which cancels there.

        Raises Overloaded, InvalidRequest, ModerationBlocked, GenerationTimeout, EngineCrashed (the connection broke
        twice), EngineFailed (the server refuses this one), BadResponse.
        """
        del expansion  # `expand` makes none.
        for image_index in range(request.num_images):
            async with contextlib.aclosing(self._draw(request, image_index)) as events:
                async for event in events:
                    yield event

    async def expand(self, request: ImageRequest) -> Expansion:
        """Raise ExpansionFailed: the API has no call for it."""
        del request
        raise ExpansionFailed("An upstream engine does not expand prompts; DANQING_EXPANDER=remote does.")

    async def _draw(self, request: ImageRequest, image_index: int) -> AsyncGenerator[Progress | ImageResult, None]:
        """Follow one call. Its steps are guessed from the time that earlier ones took."""
        if self._server is None:
            raise Overloaded(f"The engine is {self._status.state}.", retry_after_seconds=RETRY_AFTER_SECONDS)
        call = call_for(request, image_index=image_index, server=self._server)
        previews: list[Raster] = []
        estimate = self._pace.begin(request.num_inference_steps)
        calling = asyncio.create_task(self._ask(call, previews.append))
        try:
            while not calling.done():
                await asyncio.wait([calling], timeout=LOOK_SECONDS)
                preview = previews.pop(0) if previews else None
                step = estimate.next_step(due=preview is not None)
                if step is not None:
                    yield Progress(
                        image_index=image_index,
                        step=step,
                        num_steps=request.num_inference_steps,
                        preview=preview,
                        estimated=True,
                    )
            raster, warnings = await calling
        finally:
            calling.cancel()
            await asyncio.wait([calling])
        estimate.finished()
        raster = await asyncio.to_thread(fitted, raster, width_px=request.width_px, height_px=request.height_px)
        seed = request.image_seed(image_index)
        yield ImageResult(image_index=image_index, seed=seed, raster=raster, warnings=(*call.warnings, *warnings))

    async def _ask(self, call: Call, on_preview: Callable[[Raster], None]) -> tuple[Raster, tuple[str, ...]]:
        """Return the image of a call and the server's warnings; after a broken connection by a second attempt."""
        limit_seconds = self._upstream.image_timeout_seconds
        try:
            async with asyncio.timeout(limit_seconds):
                try:
                    return await self._attempt(call, on_preview)
                except httpx.TransportError as error:
                    logger.warning("the connection to the upstream engine broke: %r", error)
                await asyncio.sleep(RETRY_PAUSE_SECONDS)
                return await self._attempt(call, on_preview)
        except TimeoutError:
            raise GenerationTimeout(f"The upstream engine took longer than {limit_seconds:g} s.") from None
        except httpx.TransportError as error:
            logger.error("the connection to the upstream engine broke again: %r", error)
            # The workers wait until the server is found ready.
            self._move(EngineState.RESTARTING, "the connection broke")
            raise EngineCrashed("The connection to the upstream engine broke.") from error
        except ServiceError as error:
            logger.error("the upstream engine: %s", error.message)
            raise

    async def _attempt(self, call: Call, on_preview: Callable[[Raster], None]) -> tuple[Raster, tuple[str, ...]]:
        assert self._client is not None
        url = f"{self._upstream.root_url}{VERSION_PATH}/images/generations"
        async with (
            self._client.stream("POST", url, json=call.body) as response,
            contextlib.aclosing(read(response)) as images,
        ):
            async for image in images:
                match image:
                    case Preview(file):
                        on_preview(await asyncio.to_thread(raster_of, file, width_px=None, height_px=None))
                    case Final(file, warnings):
                        size = {"width_px": call.width_px, "height_px": call.height_px}
                        return await asyncio.to_thread(raster_of, file, **size), warnings
        raise BadResponse("The upstream engine ended its response without an image.")

    async def _poll(self) -> None:
        assert self._client is not None
        while True:
            try:
                async with asyncio.timeout(HEALTH_TIMEOUT_SECONDS):
                    server = await look(self._client, self._upstream.root_url, model=self._upstream.model)
                self._found(server)
            except (ServerUnready, TimeoutError) as unready:
                reason = str(unready) or "it does not respond in time"
                if self._status.state is EngineState.READY:
                    logger.error("the upstream engine is not ready: %s", reason)
                waiting = EngineState.STARTING if self._server is None else EngineState.RESTARTING
                self._move(waiting, f"upstream: {reason}")
            await asyncio.sleep(self._health_interval_seconds)

    def _found(self, server: UpstreamServer) -> None:
        if self._status.state is not EngineState.READY:
            logger.info("ready to draw: %s through %s", server.description, server.kind)
        self._server = server
        self._move(EngineState.READY)

    def _move(self, state: EngineState, detail: str = "") -> None:
        server = self._server
        self._status = EngineStatus(
            state=state,
            model=server.description if server else self._status.model,
            route=f"upstream {server.kind}" if server else "upstream",
            detail=detail,
            public_detail=detail,
        )
