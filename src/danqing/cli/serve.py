"""`danqing serve`: starts the server and prints its address and a first request to try."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel
from rich.table import Table

from danqing.cli.environment import describe_service_variables, service_variables, unknown_variables
from danqing.cli.extras import missing_extras
from danqing.cli.listeners import listen
from danqing.cli.session import read_settings
from danqing.cli.terminal import ExitCode, fail, literal, notes, output, shows_unicode

if TYPE_CHECKING:
    import socket

    from uvicorn import Server

    from danqing.accounts.bootstrap import FirstStart
    from danqing.api.services import Services
    from danqing.engine.interface import Engine
    from danqing.jobs.service import JobService
    from danqing.settings import Settings

LOOK_SECONDS = 0.2
# Every request has a response when the drain ends; this is the time for sending the last ones.
LAST_RESPONSES_SECONDS = 5
EXAMPLE_PROMPT = "A T-Rex relaxing on a beach, lying on a sun lounger and wearing sunglasses."

logger = logging.getLogger(__name__)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 picks a free one. [default: 8000]")] = None,
) -> None:
    """Start the server. The first start creates an account with credits and a key, and prints a request to try.

    Example: `DANQING_DATA_DIR=~/danqing danqing serve --port 8080`

    Every setting is an environment variable, described in docs/settings.md.
    """
    settings = read_settings(host=host, port=port)
    if missing := missing_extras(settings):
        fail("; ".join(missing), code=ExitCode.BAD_INPUT)
    listeners = listen(settings.host, settings.port)
    try:
        _run(settings, listeners)
    finally:
        for listener in listeners:
            listener.close()


def _run(settings: Settings, listeners: list[socket.socket]) -> None:
    """Prepare what the server needs, and serve until a signal ends it."""
    import uvicorn

    from danqing.api.connections import FewAcceptErrors, fit_to_open_files, server_options
    from danqing.app import create_app, make_data_folder, package_version, prepare
    from danqing.telemetry import configure_logging

    # With port 0, links in webhooks need the port that was found.
    settings = settings.model_copy(update={"port": listeners[0].getsockname()[1]})
    first = prepare(settings)
    if settings.storage_url is None:
        make_data_folder(settings)
    configure_logging(level=settings.log_level, log_format=settings.log_format)
    _log_environment()
    settings = settings.model_copy(update={"max_connections": fit_to_open_files(settings.max_connections)})
    logging.getLogger("asyncio").addFilter(FewAcceptErrors(monotonic=time.monotonic))
    app = create_app(settings)
    services: Services = app.state.services
    _greet(settings, first=first, version=package_version(), model=services.engine.status().model)
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
    # uvicorn shuts down gracefully on these signals, then raises them again: a graceful shutdown is not a failure.
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: None)
    server = uvicorn.Server(config)
    asyncio.run(_serve(server, listeners, services, drain_seconds=settings.drain_seconds))
    if not server.started:
        fail("the server could not start; the log above says why")


def _log_environment() -> None:
    """Log the variables that look like settings and are none."""
    if names := service_variables(os.environ):
        logger.info(describe_service_variables(names))
    for line in unknown_variables(os.environ):
        logger.warning(line)


async def _serve(server: Server, listeners: list[socket.socket], services: Services, *, drain_seconds: float) -> None:
    announcing = asyncio.create_task(_announce_when_ready(services.engine))
    draining = asyncio.create_task(_drain_on_shutdown(server, services.jobs, drain_seconds))
    try:
        await server.serve(sockets=listeners)
        if server.force_exit:
            # A second signal: uvicorn leaves without a shutdown, and the jobs are handed back at once.
            await services.jobs.drain(0)
    finally:
        announcing.cancel()
        draining.cancel()


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


def _greet(settings: Settings, *, first: FirstStart | None, version: str, model: str) -> None:
    url = settings.base_url
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold")
    rows.add_column(overflow="fold")
    rows.add_row("URL", url)
    rows.add_row("API", f"{url}/docs")
    rows.add_row("model", f"{literal(model)} (loading)")
    if settings.needs_data_folder:
        rows.add_row("data", literal(str(settings.data_folder)))
    if first is not None:
        rows.add_row("credits", f"{settings.starting_credits:,}")
        rows.add_row("API key", f"[bold green]{first.key.secret}[/] (shown this once)")
    else:
        rows.add_row("API key", "danqing keys create --name NAME")
    name = "丹青 Danqing" if shows_unicode(sys.stdout) else "Danqing"
    output.print(Panel(rows, title=f"{name} {version}", expand=False, border_style="red", padding=(1, 2)))
    if first is not None:
        output.print("Open the playground, with the key in place:\n", style="bold")
        # Browsers never send the part after the #; the page removes it from the address bar at once.
        output.print(f"{url}/#key={first.key.secret}\n", markup=False, soft_wrap=True)
        output.print("Or try it here:\n", style="bold")
        # Not wrapped and not styled, so that it can be pasted.
        output.print(_curl(url, first.key.secret), markup=False, soft_wrap=True)
        output.print()


def _curl(url: str, secret: str) -> str:
    from danqing.pictures.request import MODEL_ID

    body = json.dumps({"model": MODEL_ID, "prompt": EXAMPLE_PROMPT, "image_size": "landscape_16_9"})
    return (
        f"curl {url}/v1/images/generations \\\n"
        f"  -H 'Authorization: Bearer {secret}' \\\n"
        f"  -H 'Content-Type: application/json' \\\n"
        f"  -d '{body}'"
    )
