"""One API process: serves on sockets that are open already, and drains when it is told to end.

`danqing serve` is one itself. With `--workers` it starts several of this module instead, which share its sockets.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

from danqing.cli.session import read_settings
from danqing.cli.terminal import accept_any_text, fail, literal, notes, output

if TYPE_CHECKING:
    from uvicorn import Server

    from danqing.api.services import Services
    from danqing.engine.interface import Engine
    from danqing.jobs.service import JobService
    from danqing.settings import Settings

LOOK_SECONDS = 0.2
# Every request has a response when the drain ends; this is the time for sending the last ones.
LAST_RESPONSES_SECONDS = 5


async def serve_until_signal(
    settings: Settings,
    listeners: list[socket.socket],
    *,
    engine: Engine | None = None,
    announces: bool = True,
    has_parent: bool = False,
) -> None:
    """Serve until a signal ends the process, or the end of its standard input where it `has_parent`.

    `engine` has started already; without one, that of the settings will. `announces`: print a line when it can draw.
    """
    # In a thread: the imports take a second, in which the event loop follows the engine's process.
    server, services = await asyncio.to_thread(_build, settings, engine)
    # uvicorn shuts down gracefully on these signals, then raises them again: a graceful shutdown is not a failure.
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: None)
    tasks = [asyncio.create_task(_drain_on_shutdown(server, services.jobs, settings.drain_seconds))]
    if announces:
        tasks.append(asyncio.create_task(_announce_when_ready(services.engine)))
    if has_parent:
        _end_with_parent(server)
    try:
        await server.serve(sockets=listeners)
        if server.force_exit:
            # A second signal: uvicorn leaves without a shutdown, and the jobs are handed back at once.
            await services.jobs.drain(0)
    finally:
        for task in tasks:
            task.cancel()
    if not server.started:
        fail("the server could not start; the log above says why")


def _build(settings: Settings, engine: Engine | None) -> tuple[Server, Services]:
    import uvicorn

    from danqing.api.connections import FewAcceptErrors, fit_to_open_files, server_options
    from danqing.app import create_app

    settings = settings.model_copy(update={"max_connections": fit_to_open_files(settings.max_connections)})
    logging.getLogger("asyncio").addFilter(FewAcceptErrors(monotonic=time.monotonic))
    app = create_app(settings, engine=engine)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        # Annotated as whole seconds, and used as any number.
        timeout_keep_alive=settings.keep_alive_seconds,  # type: ignore[arg-type]
        timeout_graceful_shutdown=int(settings.drain_seconds) + LAST_RESPONSES_SECONDS,
        **server_options(settings.max_connections),
    )
    return uvicorn.Server(config), app.state.services


def _end_with_parent(server: Server) -> None:
    """Shut down gracefully when the parent closes our standard input, or is gone."""
    loop, file = asyncio.get_running_loop(), sys.stdin.fileno()

    def on_end() -> None:
        loop.remove_reader(file)
        server.should_exit = True

    loop.add_reader(file, on_end)


async def _drain_on_shutdown(server: Server, jobs: JobService, drain_seconds: float) -> None:
    """Drain the jobs while clients are still connected: uvicorn closes connections before it shuts the app down."""
    while not server.should_exit:
        await asyncio.sleep(LOOK_SECONDS)
    await jobs.drain(drain_seconds)


async def _announce_when_ready(engine: Engine) -> None:
    from danqing.engine.interface import EngineState

    while True:
        status = engine.status()
        if status.state is EngineState.READY:
            output.print(f"[bold green]Ready[/] to draw with {literal(status.model)}", soft_wrap=True)
            return
        if status.state is EngineState.FAILED:
            notes.print(f"[bold red]Cannot draw:[/] {literal(status.detail)}", soft_wrap=True)
            return
        await asyncio.sleep(LOOK_SECONDS)


def main() -> None:
    """Serve on inherited sockets."""
    from danqing.telemetry import configure_logging

    parser = argparse.ArgumentParser(prog="danqing.cli.api_process")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--listeners", required=True, help="file descriptors, with commas")
    parser.add_argument("--announces", action="store_true")
    options = parser.parse_args()
    accept_any_text()
    settings = read_settings(host=options.host, port=options.port)
    listeners = [socket.socket(fileno=int(number)) for number in options.listeners.split(",")]
    configure_logging(level=settings.log_level, log_format=settings.log_format)
    asyncio.run(serve_until_signal(settings, listeners, announces=options.announces, has_parent=True))


if __name__ == "__main__":
    main()
