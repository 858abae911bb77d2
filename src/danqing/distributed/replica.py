"""One replica of the Ray Serve deployment: a local engine with its child process, exactly as a server has one.

Ray loads this class in an actor of its own. Values go in and events come out, as of any other engine.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from danqing.distributed.presence import watching
from danqing.engine.interface import EngineState, EngineStatus, ImageResult, Progress
from danqing.engine.local import LocalEngine
from danqing.engine.worker_options import WorkerOptions, worker_command
from danqing.hunyuan_image3.checkpoint_folder import checkpoint_name
from danqing.pictures.request import Expansion, ImageRequest

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.1


class EngineUnfit(Exception):
    """The engine of this replica will not draw any more; Ray Serve replaces the replica."""


class Replica:
    """Owns one engine. Serve counts it as ready when its model is loaded."""

    # Serve awaits it, on the event loop that the other methods run on.
    async def __init__(self, options: WorkerOptions) -> None:  # type: ignore[misc]
        """Load the model. Raises EngineUnfit, with the reason, where that can never work."""
        self._engine = LocalEngine(
            worker_command(options), model=checkpoint_name(options.model), checkpoint=options.model
        )
        await self._engine.start()
        while self._engine.status().state is not EngineState.READY:
            await self.check_health()
            await asyncio.sleep(LOOK_SECONDS)

    async def draw(
        self, request: ImageRequest, image_indexes: Sequence[int], expansion: Expansion | None, presence: Any
    ) -> AsyncGenerator[Progress | ImageResult, None]:
        """Draw these images of the request. Closing the generator cancels within one step, as does the end of the
        process whose presence it is."""
        # Asynchronous, because Serve cancels no other generators.
        events = self._engine.generate(request, expansion=expansion, image_indexes=image_indexes)
        async with contextlib.aclosing(events):
            with watching(presence) as watch:
                while (event := await watch.over(anext(events, None))) is not None:
                    yield event

    async def expand(self, request: ImageRequest, presence: Any) -> Expansion:
        """Expand the request's prompt. Cancelling, or the end of the caller, ends the work within a few tokens."""
        with watching(presence) as watch:
            return await watch.over(self._engine.expand(request))

    async def status(self) -> EngineStatus:
        """Return where the engine stands."""
        return self._engine.status()

    async def check_health(self) -> None:
        """Raise EngineUnfit if only a new replica can help.

        The engine itself kills and restarts a process that hangs; it gives up after several failed starts.
        """
        status = self._engine.status()
        if status.state in (EngineState.FAILED, EngineState.STOPPED):
            raise EngineUnfit(f"the engine has {status.state}: {status.detail}")

    async def __del__(self) -> None:
        """End the engine's process: Serve awaits this when it has drained the replica."""
        with contextlib.suppress(AttributeError):  # It failed before it had an engine.
            await self._engine.stop()
