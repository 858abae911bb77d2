"""Draws in a child process on this machine: keeps one alive, and retries what a crash interrupted.

Never imports torch: a crash, an out-of-memory kill or a long kernel of the child leaves HTTP untouched.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from danqing.engine.child import Child, ChildLimits
from danqing.engine.drawing import ChildDied, Drawing
from danqing.engine.interface import EngineCrashed, EngineState, EngineStatus, ImageResult, NoCaption, Progress
from danqing.engine.messages import LoadFailed, Loading, Outcome, Ready
from danqing.errors import InvalidRequest, Overloaded, ServiceError
from danqing.pictures.request import ImageRequest

logger = logging.getLogger(__name__)

_RETRY_AFTER_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class LocalLimits:
    """How patiently the engine restarts its child, and how long a request waits for it.

    A child that stays ready for `stable_seconds` has earned a fresh back-off.
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

    def __init__(self, command: Sequence[str], *, model: str, limits: LocalLimits | None = None) -> None:
        """`command` starts a drawing process; `model` names the checkpoint until the process describes it better."""
        self._command = command
        self._limits = limits or LocalLimits()
        self._status = EngineStatus(state=EngineState.STOPPED, model=model)
        self._child: Child | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._permanent_fault = ""
        # Set while waiting longer for the engine would change nothing.
        self._settled = asyncio.Event()
        # One at a time: a request that kills its child a second time takes no other suspect with it.
        self._suspect_turn = asyncio.Lock()

    async def start(self) -> None:
        """Begin loading; returns at once."""
        self._move(EngineState.STARTING)
        self._supervisor = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """End the child and whatever it still draws."""
        self._move(EngineState.STOPPED)
        if self._child is not None:
            self._child.dismiss()
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor

    def status(self) -> EngineStatus:
        """Say where the engine stands now."""
        return self._status

    @property
    def child_pid(self) -> int | None:
        """The id of the drawing process, while there is one."""
        return self._child.pid if self._child else None

    async def generate(self, request: ImageRequest) -> AsyncGenerator[Progress | ImageResult, None]:
        """Draw the request's images; after a crash once more from scratch, without repeating delivered images."""
        missing = list(range(request.num_images))
        for begin in (self._begin, self._begin_again):
            child, drawing = await begin(request, missing)
            try:
                async with contextlib.aclosing(_follow(child, drawing, missing)) as events:
                    async for event in events:
                        yield event
                return
            except ChildDied as died:
                if not missing:
                    return
                logger.warning("a request was interrupted: the drawing process %s", died)
        raise EngineCrashed

    async def recaption(self, prompt: str, *, seed: int) -> str:
        """Rewrite a prompt in detail. A crash is told at once: whoever asks can go on without."""
        child = await self._ready_child(self._limits.ready_wait_seconds)
        writing = child.write(prompt, seed=seed)
        try:
            async for _ in writing:
                pass
        except ChildDied as died:
            logger.warning("the rewriting of a prompt was interrupted: the drawing process %s", died)
            raise EngineCrashed("The drawing process ended unexpectedly.") from died
        finally:
            child.cancel(writing)
        if writing.outcome is Outcome.REJECTED:
            raise NoCaption(writing.reason)
        if writing.outcome is Outcome.FAILED:
            logger.error("the rewriting of a prompt failed: %s", writing.reason)
            raise NoCaption
        return writing.caption

    async def _begin(self, request: ImageRequest, missing: Sequence[int]) -> tuple[Child, Drawing]:
        child = await self._ready_child(self._limits.ready_wait_seconds)
        return child, child.draw(request, image_indexes=missing)

    async def _begin_again(self, request: ImageRequest, missing: Sequence[int]) -> tuple[Child, Drawing]:
        await self._suspect_turn.acquire()
        try:
            child = await self._ready_child(self._limits.retry_wait_seconds)
            return child, child.draw(request, image_indexes=missing, on_end=self._suspect_turn.release)
        except Overloaded as error:
            self._suspect_turn.release()
            raise EngineCrashed from error
        except BaseException:
            self._suspect_turn.release()
            raise

    async def _ready_child(self, wait_seconds: float) -> Child:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                while not self._settled.is_set():
                    await self._settled.wait()
        if self._child is None or self._status.state is not EngineState.READY:
            raise Overloaded(f"The engine is {self._status.state}.", retry_after_seconds=_RETRY_AFTER_SECONDS)
        return self._child

    async def _supervise(self) -> None:
        """Keep a child alive until the engine is stopped or there is no hope left."""
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
                self._move(EngineState.FAILED, f"The drawing process {how}, {num_crashes} times in a row.")
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
                case Loading(num_done=num_done, num_total=num_total):
                    self._move(self._status.state, f"loading: {num_done} of {num_total}")
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
            # In this order: whoever wakes up because of the death must not find the dead child ready.
            self._child = None
            if self._status.state is not EngineState.STOPPED:
                self._move(EngineState.RESTARTING, f"The drawing process {how}.")
                logger.error("the drawing process %s", how)
            child.abandon(how)
        return how, clock() - ready_at if ready_at is not None else 0

    def _move(self, state: EngineState, detail: str = "", *, model: str | None = None) -> None:
        self._status = EngineStatus(state=state, model=model or self._status.model, detail=detail)
        if state in (EngineState.STARTING, EngineState.RESTARTING):
            self._settled.clear()
        else:
            self._settled.set()


async def _follow(child: Child, drawing: Drawing, missing: list[int]) -> AsyncGenerator[Progress | ImageResult, None]:
    """Pass a drawing's events on, striking delivered images off `missing`. Raises ChildDied."""
    try:
        async for event in drawing:
            if isinstance(event, ImageResult):
                missing.remove(event.image_index)
            yield event
    finally:
        child.cancel(drawing)
    if drawing.outcome is Outcome.REJECTED:
        raise InvalidRequest(drawing.reason, param="prompt")
    if drawing.outcome is Outcome.FAILED:
        logger.error("drawing failed: %s", drawing.reason)
        raise ServiceError("The model could not draw this request.")
