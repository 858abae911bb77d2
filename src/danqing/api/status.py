"""The state of the server, for those who run it: engine, queue, and the defaults of the checkpoint."""

from fastapi import APIRouter
from pydantic import BaseModel

from danqing.api.auth import ManagementCaller
from danqing.api.services import ServicesDep

router = APIRouter(tags=["health"])


class EngineFields(BaseModel):
    """The engine: its state, the description of its checkpoint, and why it is not ready."""

    state: str
    model: str
    detail: str | None


class QueueFields(BaseModel):
    """Jobs of the server process that responds; other processes have their own."""

    queued: int
    running: int
    accepting: bool


class StatusBody(BaseModel):
    """The state of the server."""

    engine: EngineFields
    jobs: QueueFields
    defaults: dict[str, float | str]


@router.get("/v2/status")
async def read_status(services: ServicesDep, _: ManagementCaller) -> StatusBody:
    """The engine, the queue and the defaults of the checkpoint that draws; for management keys."""
    status = services.engine.status()
    jobs = services.jobs
    return StatusBody(
        engine=EngineFields(state=status.state.value, model=status.model, detail=status.public_detail or None),
        jobs=QueueFields(queued=jobs.num_queued, running=jobs.num_running, accepting=jobs.accepting),
        defaults=dict(services.profile.defaults),
    )
