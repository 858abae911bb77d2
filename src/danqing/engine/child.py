"""One drawing process as the server sees it: start it, talk to it, notice its end. Never imports torch.

Restarts and retries are `engine/local.py`'s business.
"""

import asyncio
import contextlib
import itertools
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from danqing.engine.drawing import ChildDied, Drawing
from danqing.engine.messages import (
    Cancel,
    Command,
    Draw,
    Drew,
    Ended,
    LoadFailed,
    Loading,
    Message,
    ProtocolError,
    Ready,
    Write,
    encode,
    receive,
)
from danqing.errors import Overloaded
from danqing.pictures.request import ImageRequest

# Bounds what may wait in the command pipe, and what the process holds in memory.
MAX_DRAWINGS = 64
_PIPE_BUFFER_BYTES = 1 << 20
_CHECKS_PER_SILENCE = 10


@dataclass(frozen=True, kw_only=True)
class ChildLimits:
    """How long a drawing process may be silent while it should be working, and may take to leave."""

    load_silence_seconds: float = 900.0
    draw_silence_seconds: float = 600.0
    exit_seconds: float = 5.0


def worker_command(model: Path, *, device: str, dtype: str | None) -> list[str]:
    """Return the command of a process that draws with the checkpoint in the folder `model`."""
    # -P: files in the working directory must not shadow modules.
    command = [sys.executable, "-P", "-m", "danqing.engine.worker", f"--model={model}", f"--device={device}"]
    return [*command, "--dtype", dtype] if dtype else command


class Child:
    """A drawing process from its start to its end."""

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
        self._drawings: dict[int, Drawing] = {}
        self._draw_ids = itertools.count(1)
        self._loaded = False
        self._fault = ""
        self._heard_at = 0.0

    @property
    def pid(self) -> int | None:
        """The process's id, once it is started."""
        return self._process.pid if self._process else None

    async def run(self) -> str:
        """Start the process, follow it to its end, and return how it ended."""
        # A session of its own: Ctrl-C in the terminal must reach the server alone, which then drains.
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_PIPE_BUFFER_BYTES,
            start_new_session=True,
        )
        self._heard()
        watch = asyncio.create_task(self._watch())
        try:
            await self._follow(self._process)
        except ProtocolError as error:
            self._fault = f"spoke out of turn: {error}"
        finally:
            watch.cancel()
            exit_status = await self._leave(self._process)
        return self._fault or _describe(exit_status)

    def draw(
        self, request: ImageRequest, *, image_indexes: Sequence[int], on_end: Callable[[], None] | None = None
    ) -> Drawing:
        """Begin a drawing; `on_end` is called once when the process is done with it. Raises Overloaded."""
        drawing = self._begin(on_end)
        self._send(Draw(draw_id=drawing.draw_id, request=request, image_indexes=tuple(image_indexes)))
        return drawing

    def write(self, prompt: str, *, seed: int) -> Drawing:
        """Begin to rewrite a prompt: a drawing without events, whose end brings the caption. Raises Overloaded."""
        drawing = self._begin()
        self._send(Write(draw_id=drawing.draw_id, prompt=prompt, seed=seed))
        return drawing

    def cancel(self, drawing: Drawing) -> None:
        """Stop a drawing within one step; nothing happens when it is over."""
        if drawing.draw_id in self._drawings:
            self._send(Cancel(draw_id=drawing.draw_id))

    def abandon(self, how: str) -> None:
        """Tell everyone who waits for a drawing that the process is gone."""
        for drawing in self._drawings.values():
            drawing.end(ChildDied(how))
        self._drawings.clear()

    def dismiss(self) -> None:
        """Ask the process to leave; `run` then returns, by force if need be."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def _follow(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while (message := await receive(process.stdout)) is not None:
            self._heard()
            self._take(message)
            # Reading what is already buffered never pauses by itself; readers of the drawings must get a chance.
            await asyncio.sleep(0)

    def _begin(self, on_end: Callable[[], None] | None = None) -> Drawing:
        if len(self._drawings) >= MAX_DRAWINGS:
            raise Overloaded("The engine has too many drawings at once.", retry_after_seconds=5)
        drawing = Drawing(next(self._draw_ids), on_end=on_end)
        if not self._drawings:
            self._heard()
        self._drawings[drawing.draw_id] = drawing
        return drawing

    def _take(self, message: Message) -> None:
        match message:
            case Drew(draw_id=draw_id, event=event) if draw_id in self._drawings:
                self._drawings[draw_id].put(event)
            case Ended(draw_id=draw_id) if draw_id in self._drawings:
                self._drawings.pop(draw_id).end(message)
            case Loading() | Ready() | LoadFailed():
                self._loaded = isinstance(message, Ready)
                self._on_load(message)
            case _:
                raise ProtocolError(f"unexpected {type(message).__name__}")

    def _send(self, message: Command) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        # Not awaited: MAX_DRAWINGS bounds what can pile up when the process does not read.
        if not self._process.stdin.is_closing():
            self._process.stdin.write(encode(message))

    def _heard(self) -> None:
        self._heard_at = asyncio.get_running_loop().time()

    async def _watch(self) -> None:
        """Kill a process that should be working and says nothing: a hung kernel would block every job after it."""
        limits = self._limits
        pause_seconds = min(limits.load_silence_seconds, limits.draw_silence_seconds) / _CHECKS_PER_SILENCE
        while True:
            await asyncio.sleep(pause_seconds)
            limit_seconds = limits.draw_silence_seconds if self._loaded else limits.load_silence_seconds
            if self._loaded and not self._drawings:
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
