"""The supervisor of several API processes: starts them, restarts those that die, and ends them all on a signal."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Sequence
from dataclasses import dataclass

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ProcessStart:
    """How a process is started: its command, and the file descriptors that it inherits."""

    command: Sequence[str]
    inherited: Sequence[int] = ()


@dataclass(frozen=True, kw_only=True)
class RestartPolicy:
    """How fast a process is started again. One that lived for `stable_seconds` resets the backoff."""

    first_backoff_seconds: float = 0.5
    max_backoff_seconds: float = 30.0
    stable_seconds: float = 60.0


class Supervisor:
    """Processes that are started again whenever they end, until a signal ends all of them."""

    def __init__(
        self, starts: Sequence[ProcessStart], *, end_seconds: float, policy: RestartPolicy | None = None
    ) -> None:
        """`end_seconds`: how long a process may take to end before it is killed."""
        self._starts = starts
        self._end_seconds = end_seconds
        self._policy = policy or RestartPolicy()
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Keep every process alive until a signal; return when all of them have ended."""
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signal_number, self._on_signal)
        async with asyncio.TaskGroup() as group:
            for number, start in enumerate(self._starts, 1):
                group.create_task(self._keep_alive(number, start), name=f"api-process-{number}")

    def _on_signal(self) -> None:
        if not self._stopping.is_set():
            self._stopping.set()
            return
        for process in self._running.values():
            # A process that drains takes it as the second signal, and ends at once; one that just ended needs none.
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)

    async def _keep_alive(self, number: int, start: ProcessStart) -> None:
        clock = asyncio.get_running_loop().time
        backoff_seconds = self._policy.first_backoff_seconds
        while not self._stopping.is_set():
            began = clock()
            status = await self._run_one(number, start)
            if self._stopping.is_set():
                return
            if clock() - began >= self._policy.stable_seconds:
                backoff_seconds = self._policy.first_backoff_seconds
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            logger.error("API process %d %s; the next one starts in %g s", number, how, backoff_seconds)
            await self._wait_unless_stopping(backoff_seconds)
            backoff_seconds = min(2 * backoff_seconds, self._policy.max_backoff_seconds)

    async def _run_one(self, number: int, start: ProcessStart) -> int:
        """Run one process to its end; return its exit status, negative for a signal."""
        process = await asyncio.create_subprocess_exec(
            *start.command,
            # Its end tells the process to shut down, also where we are killed.
            stdin=asyncio.subprocess.PIPE,
            pass_fds=start.inherited,
            # Ctrl-C in the terminal reaches us alone.
            start_new_session=True,
        )
        assert process.stdin is not None
        self._running[number] = process
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
            process.stdin.close()
            await asyncio.wait([ended], timeout=self._end_seconds)
            if not ended.done():
                logger.error("API process %d did not end within %g s and is killed", number, self._end_seconds)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            return await ended
        finally:
            stopping.cancel()
            del self._running[number]

    async def _wait_unless_stopping(self, seconds: float) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([stopping], timeout=seconds)
        stopping.cancel()
