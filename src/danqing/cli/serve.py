"""`danqing serve`: starts the server and prints its address and a first request to try."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel
from rich.table import Table

from danqing.child_process import child_command
from danqing.cli.api_process import LAST_RESPONSES_SECONDS, serve_until_signal
from danqing.cli.environment import describe_service_variables, service_variables, unknown_variables
from danqing.cli.extras import missing_extras
from danqing.cli.listeners import listen
from danqing.cli.session import read_settings
from danqing.cli.supervisor import ProcessStart, Supervisor
from danqing.cli.terminal import ExitCode, fail, literal, output, shows_unicode

if TYPE_CHECKING:
    import socket

    from danqing.accounts.bootstrap import FirstStart
    from danqing.settings import Settings

# Beyond the drain: the last responses, and the end of everything else.
END_SECONDS = LAST_RESPONSES_SECONDS + 10
EXAMPLE_PROMPT = "A T-Rex relaxing on a beach, lying on a sun lounger and wearing sunglasses."

logger = logging.getLogger(__name__)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 picks a free one. [default: 8000]")] = None,
    workers: Annotated[
        int | None, typer.Option(help="API processes on this port, for DANQING_ENGINE=ray or upstream. [default: 1]")
    ] = None,
) -> None:
    """Start the server. The first start creates an account with credits and a key, and prints a request to try.

    Example: `DANQING_DATA_DIR=~/danqing danqing serve --port 8080`

    Every setting is an environment variable, described in docs/settings.md.
    """
    settings = read_settings(host=host, port=port, workers=workers)
    if missing := missing_extras(settings):
        fail("; ".join(missing), code=ExitCode.BAD_INPUT)
    with contextlib.ExitStack() as opened:
        listeners = _listen(settings, settings.port, opened)
        numbers = range(1, settings.workers + 1) if settings.workers > 1 else ()
        own_listeners = [_listen(settings, settings.port and settings.port + number, opened) for number in numbers]
        # With port 0, links in webhooks need the port that was found.
        settings = settings.model_copy(update={"port": _port(listeners)})
        if settings.workers == 1:
            asyncio.run(_serve_alone(settings, listeners))
        else:
            _prepare_and_greet(settings, own_ports=[_port(each) for each in own_listeners])
            _supervise(settings, listeners, own_listeners)


def _listen(settings: Settings, port: int, opened: contextlib.ExitStack) -> list[socket.socket]:
    return [opened.enter_context(listener) for listener in listen(settings.host, port)]


def _port(listeners: list[socket.socket]) -> int:
    port: int = listeners[0].getsockname()[1]
    return port


async def _serve_alone(settings: Settings, listeners: list[socket.socket]) -> None:
    """Serve in this process alone."""
    from danqing.engines import engine_of

    engine = engine_of(settings)
    # First, because its process takes longest to start: it does so beside everything below.
    await engine.start()
    try:
        await asyncio.to_thread(_prepare_and_greet, settings, own_ports=[])
        await serve_until_signal(settings, listeners, engine=engine)
    finally:
        await engine.stop()


def _supervise(settings: Settings, listeners: list[socket.socket], own_listeners: list[list[socket.socket]]) -> None:
    """Keep the API processes alive until a signal. Each serves on the shared sockets and on its own."""
    starts = []
    for index, own in enumerate(own_listeners):
        sockets = [listener.fileno() for listener in (*listeners, *own)]
        options = [f"--host={settings.host}", f"--port={settings.port}", f"--listeners={','.join(map(str, sockets))}"]
        # They have one engine: one of them says when it is ready.
        options += ["--announces"] if index == 0 else []
        starts.append(ProcessStart(command=child_command("danqing.cli.api_process", *options), inherited=sockets))
    asyncio.run(Supervisor(starts, end_seconds=settings.drain_seconds + END_SECONDS).run())


def _log_environment() -> None:
    """Log the variables that look like settings and are none."""
    if names := service_variables(os.environ):
        logger.info(describe_service_variables(names))
    for line in unknown_variables(os.environ):
        logger.warning(line)


def _prepare_and_greet(settings: Settings, *, own_ports: list[int]) -> None:
    from danqing.first_start import make_data_folder, prepare
    from danqing.telemetry import configure_logging

    first = prepare(settings)
    if settings.storage_url is None:
        make_data_folder(settings)
    configure_logging(level=settings.log_level, log_format=settings.log_format)
    _log_environment()
    _greet(settings, first=first, own_ports=own_ports)


def _greet(settings: Settings, *, first: FirstStart | None, own_ports: list[int]) -> None:
    from danqing.app import package_version
    from danqing.engines import engine_of

    url = settings.base_url
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold")
    rows.add_column(overflow="fold")
    rows.add_row("URL", url)
    rows.add_row("API", f"{url}/docs")
    rows.add_row("model", f"{literal(engine_of(settings).status().model)} (loading)")
    if own_ports:
        rows.add_row("processes", f"{settings.workers}, also each at port {', '.join(map(str, own_ports))}")
    if settings.needs_data_folder:
        rows.add_row("data", literal(str(settings.data_folder)))
    if first is not None:
        rows.add_row("credits", f"{settings.starting_credits:,}")
        rows.add_row("API key", f"[bold green]{first.key.secret}[/] (shown this once)")
    else:
        rows.add_row("API key", "danqing keys create --name NAME")
    name = "丹青 Danqing" if shows_unicode(sys.stdout) else "Danqing"
    output.print(Panel(rows, title=f"{name} {package_version()}", expand=False, border_style="red", padding=(1, 2)))
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
