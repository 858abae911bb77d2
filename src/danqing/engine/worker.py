"""The drawing process: reads commands on one thread, draws on another. Knows nothing of HTTP, jobs or credits.

Started by `engine/child.py` as `python -m danqing.engine.worker`; ends as soon as its parent is gone.
"""

import argparse
import contextlib
import ctypes
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

from danqing.engine.interleaver import Interleaver, Painter
from danqing.engine.messages import (
    Cancel,
    Command,
    Draw,
    LoadFailed,
    Loading,
    ProtocolError,
    Ready,
    Report,
    Write,
    encode,
    read,
)
from danqing.hunyuan_image3.errors import CheckpointError, UnsupportedDevice

MAX_PENDING_COMMANDS = 1024

# Linux only: <sys/prctl.h> PR_SET_PDEATHSIG, and how much sooner than its parent this process is to be killed when
# memory runs out (0 the same, 1000 always first).
_PR_SET_PDEATHSIG = 1
_OOM_SCORE_ADJUSTMENT = 500


class LoadPainter(Protocol):
    """Loads the model; `dtype` None is the fastest that the device supports, `on_progress` takes (done, total)."""

    def __call__(
        self, folder: Path, *, device: str, dtype: str | None, on_progress: Callable[[int, int], None]
    ) -> Painter: ...


def load_pipeline(folder: Path, *, device: str, dtype: str | None, on_progress: Callable[[int, int], None]) -> Painter:
    """Load the native pipeline."""
    # Imported here: torch takes seconds to import, and the end of the parent must be noticed meanwhile.
    from danqing.engine.painter import PipelinePainter

    return PipelinePainter.load(folder, device=device, dtype=dtype, on_progress=on_progress)


def main(load_painter: LoadPainter = load_pipeline) -> None:
    """Run the drawing process until its parent goes."""
    parser = argparse.ArgumentParser(prog="danqing.engine.worker")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--dtype")
    options = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    _die_with_parent()
    reports = _take_stdout()
    commands: queue.Queue[Command] = queue.Queue(MAX_PENDING_COMMANDS)
    threading.Thread(target=_read_commands, args=(sys.stdin.buffer, commands), daemon=True).start()

    def send(report: Report) -> None:
        reports.write(encode(report))
        reports.flush()

    def load(on_progress: Callable[[int, int], None]) -> Painter:
        return load_painter(options.model, device=options.device, dtype=options.dtype, on_progress=on_progress)

    try:
        painter = _load(load, send)
        if painter is not None:
            send(Ready(model=painter.description))
            _serve(Interleaver(painter), commands, send)
    except Exception:
        logging.getLogger(__name__).exception("the drawing process cannot go on")
    # Not an orderly end: the interpreter would stumble over the thread that still reads standard input.
    os._exit(1)


def _load(load: Callable[[Callable[[int, int], None]], Painter], send: Callable[[Report], None]) -> Painter | None:
    def on_progress(num_done: int, num_total: int) -> None:
        send(Loading(num_done=num_done, num_total=num_total))

    try:
        return load(on_progress)
    except (CheckpointError, UnsupportedDevice) as error:
        send(LoadFailed(reason=str(error), permanent=True))
    except Exception as error:
        logging.getLogger(__name__).exception("loading failed")
        send(LoadFailed(reason=f"{type(error).__name__}: {error}", permanent=False))
    return None


def _serve(interleaver: Interleaver, commands: "queue.Queue[Command]", send: Callable[[Report], None]) -> None:
    while True:
        with contextlib.suppress(queue.Empty):
            while True:
                _obey(interleaver, commands.get(block=interleaver.idle), send)
        if not interleaver.idle:
            report = interleaver.turn()
            if report is not None:
                send(report)


def _obey(interleaver: Interleaver, command: Command, send: Callable[[Report], None]) -> None:
    match command:
        case Draw(draw_id=draw_id, request=request, image_indexes=image_indexes):
            interleaver.add(draw_id, request=request, image_indexes=image_indexes)
        case Write(draw_id=draw_id, prompt=prompt, seed=seed):
            interleaver.add_expansion(draw_id, prompt=prompt, seed=seed)
        case Cancel(draw_id=draw_id):
            ended = interleaver.cancel(draw_id)
            if ended is not None:
                send(ended)


def _read_commands(stream: BinaryIO, commands: "queue.Queue[Command]") -> None:
    """Queue commands until the parent closes the pipe, then leave at once, whatever is being drawn."""
    try:
        while (message := read(stream)) is not None:
            if not isinstance(message, Command):
                raise ProtocolError(f"{type(message).__name__} is no command")
            commands.put(message)
    except ProtocolError:
        logging.getLogger(__name__).exception("bad command")
        os._exit(1)
    os._exit(0)


def _take_stdout() -> BinaryIO:
    """Keep the pipe to ourselves: whatever a library prints goes to stderr instead of into a frame."""
    reports = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return reports


def _die_with_parent() -> None:
    """End with the parent, only with the parent, and before it when memory runs out."""
    # A drain waits for running drawings, so a signal meant for the whole service must not end them early.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE_ADJUSTMENT))


if __name__ == "__main__":
    main()
