"""The local engine: keeps an engine process alive on this machine, and retries tasks that a crash interrupted.

A crash, an out-of-memory kill or a long kernel of the process leaves HTTP untouched.
"""

import asyncio
import contextlib
import logging
import os
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from danqing.engine.child import Child, ChildLimits
from danqing.engine.interface import (
    EngineCrashed,
    EngineState,
    EngineStatus,
    ExpansionFailed,
    ImageResult,
    Progress,
    require_usable,
)
from danqing.engine.messages import LoadFailed, Loading, Ready, TaskOutcome
from danqing.engine.task_events import ChildDied, TaskEvents
from danqing.errors import InvalidRequest, Overloaded, ServiceError
from danqing.pictures.request import Expansion, ImageRequest

logger = logging.getLogger(__name__)

_RETRY_AFTER_SECONDS = 10
# The folders of an absolute path; the colon before a URL's slashes keeps URLs whole.
_FOLDERS = re.compile(r"(?<![\w:/.])/(?:[^\s/:]+/)+")


@dataclass(frozen=True, kw_only=True)
class LocalLimits:
    """How often the engine restarts its child, and how long a request waits for it.

    A child that stays ready for `stable_seconds` resets the backoff.
    """

    child: ChildLimits = field(default_factory=ChildLimits)
    ready_wait_seconds: float = 30.0
    retry_wait_seconds: float = 1800.0
    first_backoff_seconds: float = 0.25
    max_backoff_seconds: float = 30.0
    stable_seconds: float = 60.0
    max_failed_starts: int = 5


class LocalEngine:
    """An `Engine` whose model lives in a child process."""

    def __init__(
        self, command: Sequence[str], *, model: str, checkpoint: Path, limits: LocalLimits | None = None
    ) -> None:
        """`command` starts an engine process for the folder `checkpoint`.

        `model` is its name until the process describes it better.
        """
        self._command = command
        self._checkpoint = checkpoint
        self._limits = limits or LocalLimits()
        self._status = EngineStatus(state=EngineState.STOPPED, model=model)
        self._child: Child | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._permanent_fault = ""
        # Set while waiting for the engine would change nothing.
        self._settled = asyncio.Event()
        # One at a time: a request that kills its child a second time takes no other suspect with it.
        self._suspect_lock = asyncio.Lock()

    async def start(self) -> None:
        """Begin loading; returns at once."""
        self._move(EngineState.STARTING)
        self._supervisor = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """End the child and its running tasks."""
        self._move(EngineState.STOPPED)
        if self._child is not None:
            self._child.dismiss()
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor

    def status(self) -> EngineStatus:
        """Return where the engine stands now."""
        return self._status

    @property
    def child_pid(self) -> int | None:
        """The id of the engine process, while there is one."""
        return self._child.pid if self._child else None

    async def generate(
        self,
        request: ImageRequest,
        *,
        expansion: Expansion | None = None,
        image_indexes: Sequence[int] | None = None,
    ) -> AsyncGenerator[Progress | ImageResult, None]:
        """Draw the request's images, or only some; after a crash once more, without repeating delivered images."""
        missing = list(range(request.num_images) if image_indexes is None else image_indexes)
        for begin in (self._begin, self._begin_again):
            child, task = await begin(request, expansion, missing)
            try:
                async with contextlib.aclosing(_follow(child, task, missing)) as events:
                    async for event in events:
                        yield event
                return
            except ChildDied as died:
                if not missing:
                    return
                logger.warning("a request was interrupted: the engine process %s", died)
        raise EngineCrashed

    async def expand(self, request: ImageRequest) -> Expansion:
        """Expand the request's prompt. A crash is not retried: the caller can draw the prompt as it is."""
        child = await self._ready_child(self._limits.ready_wait_seconds)
        task = child.expand(request)
        try:
            async for _ in task:
                pass
        except ChildDied as died:
            logger.warning("an expansion was interrupted: the engine process %s", died)
            raise EngineCrashed("The engine process ended unexpectedly.") from died
        finally:
            child.cancel(task)
        ended = task.ended
        assert ended is not None
        if ended.outcome is TaskOutcome.REJECTED:
            raise ExpansionFailed(ended.reason)
        if ended.expansion is None:
            logger.error("an expansion failed: %s", ended.reason)
            raise ExpansionFailed
        return ended.expansion

    async def _begin(
        self, request: ImageRequest, expansion: Expansion | None, missing: Sequence[int]
    ) -> tuple[Child, TaskEvents]:
        child = await self._ready_child(self._limits.ready_wait_seconds)
        return child, child.draw(request, expansion=expansion, image_indexes=missing)

    async def _begin_again(
        self, request: ImageRequest, expansion: Expansion | None, missing: Sequence[int]
    ) -> tuple[Child, TaskEvents]:
        lock = self._suspect_lock
        await lock.acquire()
        try:
            child = await self._ready_child(self._limits.retry_wait_seconds)
            return child, child.draw(request, expansion=expansion, image_indexes=missing, on_end=lock.release)
        except Overloaded as error:
            lock.release()
            raise EngineCrashed from error
        except BaseException:
            lock.release()
            raise

    async def _ready_child(self, wait_seconds: float) -> Child:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                while not self._settled.is_set():
                    await self._settled.wait()
        require_usable(self._status)
        if self._child is None or self._status.state is not EngineState.READY:
            raise Overloaded(f"The engine is {self._status.state}.", retry_after_seconds=_RETRY_AFTER_SECONDS)
        return self._child

    async def _supervise(self) -> None:
        """Keep a child alive until the engine is stopped or has failed for good."""
        num_crashes, backoff_seconds = 0, self._limits.first_backoff_seconds
        while True:
            how, ready_seconds = await self._run_child()
            if self._status.state is EngineState.STOPPED:
                return
            if self._permanent_fault:
                self._move(EngineState.FAILED, self._permanent_fault)
                return
            if ready_seconds >= self._limits.stable_seconds:
                num_crashes, backoff_seconds = 0, self._limits.first_backoff_seconds
            num_crashes += 1
            if ready_seconds == 0 and num_crashes >= self._limits.max_failed_starts:
                self._move(EngineState.FAILED, f"The engine process {how}, {num_crashes} times in a row.")
                return
            await asyncio.sleep(backoff_seconds)
            backoff_seconds = min(2 * backoff_seconds, self._limits.max_backoff_seconds)

    async def _run_child(self) -> tuple[str, float]:
        """Run one child to its end; return how it ended and for how long it could draw."""
        clock = asyncio.get_running_loop().time
        ready_at: float | None = None
        load_fault = ""

        def on_load(report: Loading | Ready | LoadFailed) -> None:
            nonlocal ready_at, load_fault
            match report:
                case _ if self._status.state is EngineState.STOPPED:
                    pass
                case Loading(stage=stage, num_done=num_done, num_total=num_total):
                    self._move(self._status.state, f"{stage}: {num_done} of {num_total}")
                case Ready(model=model):
                    ready_at = clock()
                    self._move(EngineState.READY, model=model)
                    logger.info("ready to draw: %s", model)
                case LoadFailed(reason=reason, permanent=permanent):
                    load_fault = f"could not load the model: {reason}"
                    self._permanent_fault = reason if permanent else ""

        child = self._child = Child(self._command, limits=self._limits.child, on_load=on_load)
        how = "was stopped"
        try:
            how = await child.run()
        finally:
            how = load_fault or how
            # In this order: a reader that wakes up because of the death must not find the dead child ready.
            self._child = None
            if self._status.state is not EngineState.STOPPED:
                self._move(EngineState.RESTARTING, f"The engine process {how}.")
                logger.error("the engine process %s", how)
            child.abandon(how)
        return how, clock() - ready_at if ready_at is not None else 0

    def _move(self, state: EngineState, detail: str = "", *, model: str | None = None) -> None:
        public_detail = _without_folders(detail, self._checkpoint)
        model = model or self._status.model
        self._status = EngineStatus(state=state, model=model, detail=detail, public_detail=public_detail)
        if state in (EngineState.STARTING, EngineState.RESTARTING):
            self._settled.clear()
        else:
            self._settled.set()


def _without_folders(detail: str, checkpoint: Path) -> str:
    """Leave the names of files alone; their folders tell strangers how the machine is set up."""
    for folder in (checkpoint.parent, checkpoint.resolve().parent):
        detail = detail.replace(f"{folder}{os.sep}", "")
    return _FOLDERS.sub("", detail)


async def _follow(child: Child, task: TaskEvents, missing: list[int]) -> AsyncGenerator[Progress | ImageResult, None]:
    """Pass a task's events on, striking delivered images off `missing`. Raises ChildDied."""
    try:
        async for event in task:
            if isinstance(event, ImageResult):
                missing.remove(event.image_index)
            yield event
    finally:
        child.cancel(task)
    ended = task.ended
    assert ended is not None
    if ended.outcome is TaskOutcome.REJECTED:
        raise InvalidRequest(ended.reason, param=ended.field)
    if ended.outcome is TaskOutcome.FAILED:
        logger.error("drawing failed: %s", ended.reason)
        raise ServiceError("The model could not draw this request.")
