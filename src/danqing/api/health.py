"""Health checks and metrics, cheap however often they are asked for."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Generic, TypeVar

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from danqing.api.context import LIVENESS_PATH
from danqing.api.errors import NamedError, error_response
from danqing.api.services import Services, ServicesDep
from danqing.engine.interface import EngineState
from danqing.errors import Overloaded, ServiceError

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
READY_RETRY_AFTER_SECONDS = 2
RECENT_SECONDS = 1.0

router = APIRouter(tags=["health"])

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """A value that is computed at most once a second, and once for all who wait for it."""

    def __init__(self, compute: Callable[[], Awaitable[Value]]) -> None:
        self._compute = compute
        self._lock = asyncio.Lock()
        self._computed: tuple[float, Value] | None = None

    async def get(self) -> Value:
        """Return the value, at most a second old."""
        async with self._lock:
            if self._computed is None or time.monotonic() - self._computed[0] > RECENT_SECONDS:
                self._computed = (time.monotonic(), await self._compute())
            return self._computed[1]


class Health:
    """The costly parts of health checks and metrics."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.write_obstacles = Recent(self._write_obstacles)
        self.metrics_text = Recent(self._metrics_text)

    async def _write_obstacles(self) -> list[str]:
        found = []
        try:
            await self._services.database.check_writable()
        except Exception as error:  # any failure to write makes the server unready
            found.append(f"the database cannot be written ({_reason(error)})")
        try:
            await self._services.store.check_writable()
        except Exception as error:
            found.append(f"the image store cannot be written ({_reason(error)})")
        return found

    async def _metrics_text(self) -> bytes:
        return self._services.metrics.text()


def _health(request: Request) -> Health:
    health = request.app.state.health
    assert isinstance(health, Health)
    return health


HealthDep = Annotated[Health, Depends(_health)]


@router.get(LIVENESS_PATH)
async def alive() -> Response:
    """Liveness: the process responds."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz")
async def ready(request: Request, services: ServicesDep, health: HealthDep) -> Response:
    """Readiness: the engine can draw, the database and the image store can be written, and jobs are accepted."""
    status = services.engine.status()
    obstacles = []
    if status.state is not EngineState.READY:
        detail = f" ({status.public_detail})" if status.public_detail else ""
        obstacles.append(f"the engine is {status.state.value}{detail}")
    if not services.jobs.accepting:
        obstacles.append("no jobs are accepted")
    obstacles += await health.write_obstacles.get()
    if obstacles:
        error = Overloaded("Not ready: " + "; ".join(obstacles), retry_after_seconds=READY_RETRY_AFTER_SECONDS)
        return error_response(request, error)
    return JSONResponse({"status": "ready", "engine": status.description, "model": status.model})


@router.get("/metrics", include_in_schema=False)
async def read_metrics(request: Request, services: ServicesDep, health: HealthDep) -> Response:
    """Metrics in Prometheus' text format."""
    if services.metrics_token is not None:
        given = request.headers.get("authorization", "").encode()
        if not secrets.compare_digest(given, f"Bearer {services.metrics_token}".encode()):
            raise NamedError("invalid_api_key", "Metrics require the bearer token of DANQING_METRICS_TOKEN.")
    return Response(await health.metrics_text.get(), media_type=METRICS_TYPE)


def _reason(error: Exception) -> str:
    # Other messages may hold addresses and paths.
    return error.message if isinstance(error, ServiceError) else type(error).__name__
