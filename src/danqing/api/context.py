"""Request context: the id of every request, the headers of every response, a 500 for unexpected errors.

A pure ASGI layer, so that it also logs and counts streams and clients that disconnect.
"""

import asyncio
import logging
import re
import time
from collections.abc import MutableMapping
from contextlib import ExitStack
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from danqing.api.errors import error_response
from danqing.errors import InvalidRequest, Overloaded, ServiceError
from danqing.jobs.job import sample_job_id
from danqing.telemetry import Metrics, inference_id_of_request

logger = logging.getLogger(__name__)

CLIENT_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
EXPOSED_HEADERS = (
    "x-inference-id",
    "x-request-id",
    "x-client-request-id",
    "x-aimlapi-credits-used",
    "x-aimlapi-usd-spent",
    "x-should-retry",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Location",
    "Idempotent-Replayed",
    "ETag",
)
# Other methods, which clients can make up, share one label in the metrics.
KNOWN_METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT")
LIVENESS_PATH = "/healthz"
BODY_LENGTHS = {b"content-length", b"transfer-encoding"}
TWO_LENGTHS = "Content-Length and Transfer-Encoding exclude each other."
# Logged when a client hung up before its response began. It is never sent.
CLIENT_CLOSED_STATUS = 499


class RequestContext:
    """The layer around the application."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, max_requests: int) -> None:
        """Count in `metrics`. Above `max_requests` at once, all but liveness checks are refused."""
        self._app = app
        self._metrics = metrics
        self._max_requests = max_requests
        self._num_running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["inference_id"] = sample_job_id()
        # What a request holds until its response is sent, such as its slot among the running ones of a key.
        state["held"] = ExitStack()
        # Handlers add headers here that belong on the response whether it succeeds or fails.
        state["response_headers"] = {}
        outer_id = inference_id_of_request.set(state["inference_id"])
        started = time.perf_counter()
        status = CLIENT_CLOSED_STATUS

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, scope)
            await send(message)

        async def send_error(error: ServiceError, **headers: str) -> None:
            if status == CLIENT_CLOSED_STATUS:
                await error_response(Request(scope), error, headers=headers)(scope, receive, send_with_headers)

        self._num_running += 1
        try:
            if self._num_running > self._max_requests and scope["path"] != LIVENESS_PATH:
                await send_error(Overloaded("The server has too many requests at once."), Connection="close")
                return
            if {name for name, _ in scope["headers"]} >= BODY_LENGTHS:
                # A proxy may take the other one, and then sees another request begin here.
                await send_error(InvalidRequest(TWO_LENGTHS), Connection="close")
                return
            await self._app(scope, receive, send_with_headers)
        except asyncio.CancelledError:
            # The server is told to stop at once. The task ends here; to raise again would only be logged as an error.
            await send_error(Overloaded("The server is shutting down."), Connection="close")
        except Exception:
            logger.exception("unexpected error", extra={"path": scope["path"]})
            await send_error(ServiceError())
        finally:
            self._num_running -= 1
            state["held"].close()
            self._finish(scope, status=status, seconds=time.perf_counter() - started)
            inference_id_of_request.reset(outer_id)

    def _finish(self, scope: Scope, *, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        method = scope["method"] if scope["method"] in KNOWN_METHODS else "other"
        self._metrics.request_finished(method, route=route, status=status, seconds=seconds)
        error_code = scope["state"].get("error_code")
        if error_code is not None:
            self._metrics.request_failed(error_code)
        logger.info(
            "request",
            extra={
                "inference_id": scope["state"]["inference_id"],
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "error_code": error_code,
                "milliseconds": round(seconds * 1000, 1),
            },
        )


def client_request_id(request: Request) -> str | None:
    """Return the caller's own id of this request; None when it is absent or of another form."""
    value = request.headers.get("x-client-request-id", "")
    return value if CLIENT_REQUEST_ID.fullmatch(value) else None


def _add_headers(message: Message, scope: Scope) -> None:
    headers = MutableHeaders(scope=message)
    inference_id = scope["state"]["inference_id"]
    headers["x-inference-id"] = inference_id
    headers["x-request-id"] = inference_id
    own_id = client_request_id(Request(scope))
    if own_id is not None:
        headers["x-client-request-id"] = own_id
    headers.update(scope["state"]["response_headers"])
    headers["Access-Control-Allow-Origin"] = "*"
    headers["Access-Control-Expose-Headers"] = ", ".join(EXPOSED_HEADERS)
    headers["X-Content-Type-Options"] = "nosniff"
    # Responses hold keys, balances and links that are secrets; those that may be kept say so themselves.
    headers.setdefault("Cache-Control", "no-store")
