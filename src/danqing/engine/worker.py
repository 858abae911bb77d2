"""The engine process: reads commands on one thread, draws on another, and ends as soon as its parent is gone.

`engine/child.py` starts it as `python -m danqing.engine.worker`.
"""

import contextlib
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import BinaryIO, Protocol

from danqing.child_process import ProtocolError, become_child
from danqing.engine.interleaver import Interleaver, Painter
from danqing.engine.memory import Heap, garbage_collection_paused, limit_kernels
from danqing.engine.messages import (
    COMMANDS,
    REPORTS,
    Cancel,
    Command,
    DrawImages,
    Expand,
    LoadFailed,
    Loading,
    LoadStage,
    Ready,
    Report,
    TaskEnded,
)
from danqing.engine.worker_options import WorkerOptions, read_options
from danqing.hunyuan_image3.errors import CheckpointError, CompilationFailed, PlacementError, UnsupportedDevice

MAX_PENDING_COMMANDS = 1024
# Its files are run: nobody else may write there.
FOLDER_MODE = 0o700
OnProgress = Callable[[LoadStage, int, int], None]


class LoadPainter(Protocol):
    """Loads the model. `on_progress` takes (stage, done, total)."""

    def __call__(self, options: WorkerOptions, *, on_progress: OnProgress) -> Painter: ...


def load_pipeline(options: WorkerOptions, *, on_progress: OnProgress) -> Painter:
    """Load the native pipeline."""
    # Imported here: torch takes seconds to import, and the end of the parent must be noticed meanwhile.
    with garbage_collection_paused():
        from danqing.engine.painter import PipelinePainter

    return PipelinePainter.load(options, on_progress=on_progress)


def main(load_painter: LoadPainter = load_pipeline) -> None:
    """Run the engine process until its parent goes."""
    options = read_options()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    reports = become_child()
    limit_kernels(os.environ)
    if options.kernel_folder is not None:
        keep_kernels(options.kernel_folder, os.environ)
    heap = Heap()
    commands: queue.Queue[Command] = queue.Queue(MAX_PENDING_COMMANDS)
    threading.Thread(target=_read_commands, args=(sys.stdin.buffer, commands), daemon=True).start()

    def send(report: Report) -> None:
        REPORTS.send(report, reports)
        if isinstance(report, Ready | TaskEnded):
            heap.give_back()

    def load(on_progress: OnProgress) -> Painter:
        return load_painter(options, on_progress=on_progress)

    try:
        painter = _load(load, send)
        if painter is not None:
            send(Ready(model=painter.description))
            _serve(Interleaver(painter), commands, send)
    except Exception:
        logging.getLogger(__name__).exception("the engine process cannot go on")
    # Not an orderly end: the interpreter would stumble over the thread that still reads standard input.
    os._exit(1)


def keep_kernels(folder: Path, environment: MutableMapping[str, str]) -> None:
    """Let PyTorch's compiler keep its kernels in a folder, unless the environment names another.

    It is read when the compiler is imported. Compiling on one thread needs no further processes.
    """
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    environment.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
    environment.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")


def _load(load: Callable[[OnProgress], Painter], send: Callable[[Report], None]) -> Painter | None:
    def on_progress(stage: LoadStage, num_done: int, num_total: int) -> None:
        send(Loading(stage=stage, num_done=num_done, num_total=num_total))

    try:
        return load(on_progress)
    except (CheckpointError, CompilationFailed, PlacementError, UnsupportedDevice) as error:
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
            report = interleaver.run_slice()
            if report is not None:
                send(report)


def _obey(interleaver: Interleaver, command: Command, send: Callable[[Report], None]) -> None:
    match command:
        case DrawImages(task_id=task_id, request=request, image_indexes=image_indexes, expansion=expansion):
            interleaver.add_images(task_id, request=request, image_indexes=image_indexes, expansion=expansion)
        case Expand(task_id=task_id, request=request):
            interleaver.add_expansion(task_id, request=request)
        case Cancel(task_id=task_id):
            ended = interleaver.cancel(task_id)
            if ended is not None:
                send(ended)


def _read_commands(stream: BinaryIO, commands: "queue.Queue[Command]") -> None:
    """Queue commands until the parent closes the pipe, then exit at once, in the middle of any task."""
    try:
        while (command := COMMANDS.read(stream)) is not None:
            commands.put(command)
    except ProtocolError:
        logging.getLogger(__name__).exception("bad command")
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
