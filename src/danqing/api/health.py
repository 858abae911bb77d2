"""Health checks and metrics, without a key."""

from fastapi import APIRouter, Request
from sqlalchemy import Connection, text
from starlette.responses import JSONResponse, Response

from danqing.api.context import LIVENESS_PATH
from danqing.api.errors import error_response
from danqing.api.services import Services, ServicesDep
from danqing.engine.interface import EngineState
from danqing.errors import Overloaded, ServiceError

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
READY_RETRY_AFTER_SECONDS = 2

router = APIRouter(tags=["health"])


@router.get(LIVENESS_PATH)
async def alive() -> Response:
    """Liveness: the process responds."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz")
async def ready(request: Request, services: ServicesDep) -> Response:
    """Readiness: the engine can draw, the database and the image store can be written, and jobs are accepted."""
    obstacles = await _obstacles(services)
    if obstacles:
        error = Overloaded("Not ready: " + "; ".join(obstacles), retry_after_seconds=READY_RETRY_AFTER_SECONDS)
        return error_response(request, error)
    return JSONResponse({"status": "ready", "engine": services.engine.status().model})


@router.get("/metrics", include_in_schema=False)
async def read_metrics(services: ServicesDep) -> Response:
    """Metrics in Prometheus' text format."""
    return Response(services.metrics.text(), media_type=METRICS_TYPE)


async def _obstacles(services: Services) -> list[str]:
    found = []
    status = services.engine.status()
    if status.state is not EngineState.READY:
        found.append(f"the engine is {status.state.value}" + (f" ({status.detail})" if status.detail else ""))
    if not services.jobs.accepting:
        found.append("no jobs are taken")
    try:
        await services.database.run_write(_touch)
    except Exception as error:  # any failure to write makes the server unready
        found.append(f"the database cannot be written ({_reason(error)})")
    try:
        await services.store.check_writable()
    except Exception as error:
        found.append(f"the picture store cannot be written ({_reason(error)})")
    return found


def _reason(error: Exception) -> str:
    # Other messages may hold addresses and paths.
    return error.message if isinstance(error, ServiceError) else type(error).__name__


def _touch(conn: Connection) -> None:
    # On SQLite the transaction takes the write lock as it begins.
    conn.execute(text("SELECT 1"))
