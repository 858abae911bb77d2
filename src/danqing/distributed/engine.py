"""The Ray engine: draws on the replicas of a Ray Serve deployment, and on another one when a replica dies."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from typing import Any

from ray.exceptions import RayActorError, RayTaskError, WorkerCrashedError
from ray.serve.exceptions import RayServeException

from danqing.distributed import cluster
from danqing.distributed.presence import new_presence
from danqing.distributed.replica_plan import ReplicaPlan
from danqing.engine.interface import (
    EngineCrashed,
    EngineState,
    EngineStatus,
    ImageResult,
    Progress,
    require_usable,
)
from danqing.errors import Overloaded, ServiceError
from danqing.pictures.request import Expansion, ImageRequest

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
RETRY_AFTER_SECONDS = 10
UNKNOWN_MODEL = "replicas"
NOTHING_DEPLOYED = "nothing is deployed; run danqing ray deploy"
# Ray's ways to say that the replica or its node is gone.
DEATHS = (RayActorError, WorkerCrashedError)


class RayEngine:
    """An `Engine` whose models live in the replicas of a deployment."""

    def __init__(self, address: str | None, *, plan: ReplicaPlan | None = None) -> None:
        """Use the deployment of the cluster at `address`; deploy `plan` first, if there is one."""
        self._address = address
        self._plan = plan
        self._handle: Any = None
        self._presence: Any = None
        self._following: asyncio.Task[None] | None = None
        self._status = EngineStatus(state=EngineState.STOPPED, model=UNKNOWN_MODEL, route="ray", num_replicas=0)

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        self._move(EngineState.STARTING)
        self._following = asyncio.create_task(self._follow_deployment(), name="ray-deployment")

    async def stop(self) -> None:
        """Let go of the deployment; its replicas stay."""
        self._move(EngineState.STOPPED)
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])

    def status(self) -> EngineStatus:
        """Return where the deployment stood a second ago, at most."""
        return self._status

    async def generate(
        self, request: ImageRequest, *, expansion: Expansion | None = None
    ) -> AsyncGenerator[Progress | ImageResult, None]:
        """Draw on one replica; when it dies, draw the missing images on another, once."""
        missing = list(range(request.num_images))
        for _ in range(2):
            events = (
                self._usable_handle()
                .options(stream=True)
                .draw.remote(request, tuple(missing), expansion, self._presence)
            )
            try:
                async for event in events:
                    if isinstance(event, ImageResult):
                        missing.remove(event.image_index)
                    yield event
                return
            except RayTaskError as error:
                raise _cause(error) from error
            except DEATHS as death:
                if not missing:
                    return
                logger.warning("a request was interrupted: %s", type(death).__name__)
            except RayServeException as error:
                raise _unavailable(error) from error
            finally:
                # Nothing happens to a request that is over.
                events.cancel()
        raise EngineCrashed

    async def expand(self, request: ImageRequest) -> Expansion:
        """Expand the prompt on one replica. A death is not retried: the caller can draw the prompt as it is."""
        response = self._usable_handle().expand.remote(request, self._presence)
        try:
            expansion: Expansion = await response
        except RayTaskError as error:
            raise _cause(error) from error
        except DEATHS as death:
            raise EngineCrashed("The engine process ended unexpectedly.") from death
        except RayServeException as error:
            raise _unavailable(error) from error
        finally:
            response.cancel()
        return expansion

    def _usable_handle(self) -> Any:
        require_usable(self._status)
        # A deployment whose replicas are all being replaced still takes requests; they wait for the next one.
        if self._handle is None or self._status.state is EngineState.STOPPED:
            raise Overloaded(f"The engine is {self._status.state}.", retry_after_seconds=RETRY_AFTER_SECONDS)
        return self._handle

    async def _follow_deployment(self) -> None:
        """Connect, then look at the deployment for ever."""
        while not await self._try(self._connect):
            await asyncio.sleep(POLL_SECONDS)
        while True:
            await self._try(self._look)
            await asyncio.sleep(POLL_SECONDS)

    async def _try(self, step: Callable[[], Any]) -> bool:
        try:
            await step()
        except Exception as error:  # Whatever Ray raises, the next look may succeed.
            detail = str(error) or type(error).__name__
            if detail != self._status.detail:
                logger.error("ray: %s", detail)
            unready = EngineState.STARTING if self._handle is None else EngineState.RESTARTING
            self._move(unready, detail, public_detail="the cluster cannot be used", num_replicas=0)
            return False
        return True

    async def _connect(self) -> None:
        await asyncio.to_thread(cluster.connect, self._address)
        self._presence = new_presence()
        if self._plan is not None:
            await asyncio.to_thread(cluster.deploy, self._plan, wait=False)

    async def _look(self) -> None:
        deployed = await asyncio.to_thread(cluster.deployed)
        unready = EngineState.STARTING if self._handle is None else EngineState.RESTARTING
        if deployed is None:
            self._move(unready, NOTHING_DEPLOYED, public_detail="nothing is deployed", num_replicas=0)
        elif deployed.num_ready == 0:
            detail = f"{deployed.status}: {deployed.message}"
            self._move(unready, detail, public_detail="no replica is ready", num_replicas=0)
        elif self._status.state is EngineState.READY:
            self._move(EngineState.READY, num_replicas=deployed.num_ready)
        else:
            self._handle = self._handle or await asyncio.to_thread(cluster.replicas)
            status: EngineStatus = await self._handle.status.remote()
            self._move(EngineState.READY, model=status.model, num_replicas=deployed.num_ready)
            logger.info("ready to draw on %d replicas: %s", deployed.num_ready, status.model)

    def _move(
        self,
        state: EngineState,
        detail: str = "",
        *,
        public_detail: str = "",
        model: str | None = None,
        num_replicas: int | None = None,
    ) -> None:
        if num_replicas is not None and num_replicas != self._status.num_replicas:
            logger.info("ray: %d replicas are ready", num_replicas)
        self._status = EngineStatus(
            state=state,
            model=model or self._status.model,
            route="ray",
            detail=detail,
            public_detail=public_detail,
            num_replicas=self._status.num_replicas if num_replicas is None else num_replicas,
        )


def _unavailable(error: Exception) -> Overloaded:
    """The error of a deployment that was deleted, or cannot start."""
    logger.error("ray: %s", error)
    return Overloaded("The replicas cannot be used.", retry_after_seconds=RETRY_AFTER_SECONDS)


def _cause(error: RayTaskError) -> Exception:
    """The error that the replica raised."""
    cause = error.cause
    if isinstance(cause, ServiceError):
        return cause
    logger.error("a replica failed: %s", error)
    return ServiceError("The model could not draw this request.")
