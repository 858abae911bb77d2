"""One engine process, seen from the server: its start, its tasks and its end.

Restarts and retries belong to `engine/local.py`.
"""

import asyncio
import contextlib
import itertools
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from danqing.child_process import ProtocolError, start_child
from danqing.engine.messages import (
    COMMANDS,
    REPORTS,
    Cancel,
    Command,
    DrawImages,
    Expand,
    LoadFailed,
    Loading,
    Ready,
    Report,
    TaskEnded,
    TaskEvent,
)
from danqing.engine.task_events import ChildDied, TaskEvents
from danqing.errors import Overloaded
from danqing.pictures.request import Expansion, ImageRequest

# Bounds the commands that may wait in the pipe, and the memory of the process.
MAX_TASKS = 64
_CHECKS_PER_SILENCE = 10


@dataclass(frozen=True, kw_only=True)
class ChildLimits:
    """How long an engine process may be silent while it should be working, and how long it may take to exit."""

    load_silence_seconds: float = 900.0
    task_silence_seconds: float = 600.0
    exit_seconds: float = 5.0


class Child:
    """An engine process from its start to its end."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        limits: ChildLimits,
        on_load: Callable[[Loading | Ready | LoadFailed], None],
    ) -> None:
        self._command = command
        self._limits = limits
        self._on_load = on_load
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: dict[int, TaskEvents] = {}
        self._task_ids = itertools.count(1)
        self._loaded = False
        self._fault = ""
        self._heard_at = 0.0

    @property
    def pid(self) -> int | None:
        """The id of the process, once it is started."""
        return self._process.pid if self._process else None

    async def run(self) -> str:
        """Start the process, follow it to its end, and return how it ended."""
        self._process = await start_child(self._command)
        self._heard()
        watch = asyncio.create_task(self._watch())
        try:
            await self._follow(self._process)
        except ProtocolError as error:
            self._fault = f"broke the protocol: {error}"
        finally:
            watch.cancel()
            exit_status = await self._leave(self._process)
        return self._fault or _describe(exit_status)

    def draw(
        self,
        request: ImageRequest,
        *,
        image_indexes: Sequence[int],
        expansion: Expansion | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> TaskEvents:
        """Begin to draw images; `on_end` is called once when the process is done with them. Raises Overloaded."""
        task = self._begin(on_end)
        self._send(
            DrawImages(task_id=task.task_id, request=request, image_indexes=tuple(image_indexes), expansion=expansion)
        )
        return task

    def expand(self, request: ImageRequest) -> TaskEvents:
        """Begin to expand a prompt: a task without events, whose end brings the expansion. Raises Overloaded."""
        task = self._begin()
        self._send(Expand(task_id=task.task_id, request=request))
        return task

    def cancel(self, task: TaskEvents) -> None:
        """Stop a task within one slice; nothing happens when it is over."""
        if task.task_id in self._tasks:
            self._send(Cancel(task_id=task.task_id))

    def abandon(self, how: str) -> None:
        """End every running task with the death of the process."""
        for task in self._tasks.values():
            task.end(ChildDied(how))
        self._tasks.clear()

    def dismiss(self) -> None:
        """Ask the process to exit; `run` then returns, by force if need be."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def _follow(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while (report := await REPORTS.receive(process.stdout)) is not None:
            self._heard()
            self._take(report)
            # Reading from the buffer never pauses by itself; the readers of the tasks must get a chance.
            await asyncio.sleep(0)

    def _begin(self, on_end: Callable[[], None] | None = None) -> TaskEvents:
        if len(self._tasks) >= MAX_TASKS:
            raise Overloaded("The engine has too many tasks at once.", retry_after_seconds=5)
        task = TaskEvents(next(self._task_ids), on_end=on_end)
        if not self._tasks:
            self._heard()
        self._tasks[task.task_id] = task
        return task

    def _take(self, report: Report) -> None:
        match report:
            case TaskEvent(task_id=task_id, event=event) if task_id in self._tasks:
                self._tasks[task_id].put(event)
            case TaskEnded(task_id=task_id) if task_id in self._tasks:
                self._tasks.pop(task_id).end(report)
            case Loading() | Ready() | LoadFailed():
                self._loaded = isinstance(report, Ready)
                self._on_load(report)
            case _:
                raise ProtocolError(f"unexpected {type(report).__name__}")

    def _send(self, command: Command) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        # Not awaited: MAX_TASKS bounds the backlog of a process that does not read.
        if not self._process.stdin.is_closing():
            self._process.stdin.write(COMMANDS.encode(command))

    def _heard(self) -> None:
        self._heard_at = asyncio.get_running_loop().time()

    async def _watch(self) -> None:
        """Kill a process that should be working and says nothing: a hung kernel would block every job after it."""
        limits = self._limits
        pause_seconds = min(limits.load_silence_seconds, limits.task_silence_seconds) / _CHECKS_PER_SILENCE
        while True:
            await asyncio.sleep(pause_seconds)
            limit_seconds = limits.task_silence_seconds if self._loaded else limits.load_silence_seconds
            if self._loaded and not self._tasks:
                continue
            if asyncio.get_running_loop().time() - self._heard_at > limit_seconds:
                self._fault = f"gave no sign of life for {limit_seconds:g} seconds"
                self._kill()
                return

    async def _leave(self, process: asyncio.subprocess.Process) -> int:
        self.dismiss()
        if self._fault:
            self._kill()
        # Not wait_for: it can swallow a cancellation that arrives together with the exit.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.exit_seconds):
                return await process.wait()
        self._kill()
        return await process.wait()

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()


def _describe(exit_status: int) -> str:
    if exit_status >= 0:
        return f"ended with exit status {exit_status}"
    name = signal.Signals(-exit_status).name
    return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
