"""Errors on the wire: the table from codes to HTTP statuses, and the one error body."""

import http
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from danqing.api.issues import invalid_request, issue, issues_from_details
from danqing.api.periods import wire_time
from danqing.errors import ServiceError

# Above two minutes the OpenAI SDK gives up instead of waiting.
MAX_RETRY_AFTER_SECONDS = 120
DEFAULT_RETRY_AFTER_SECONDS = 5
PROBLEM_TYPE = "application/problem+json"


@dataclass(frozen=True)
class ErrorForm:
    """An error's status, its names on the wire, and whether a client should try again: SDKs guess otherwise."""

    status: int
    name: str
    type: str = "invalid_request_error"
    retry: bool = False


FORMS = {
    "invalid_payload": ErrorForm(400, "BadRequestException"),
    "moderation_blocked": ErrorForm(400, "BadRequestException", "image_generation_user_error"),
    "invalid_api_key": ErrorForm(401, "UnauthorizedException"),
    "insufficient_credits": ErrorForm(403, "ForbiddenException"),
    "spend_limit_reached": ErrorForm(403, "ForbiddenException"),
    "missing_scope": ErrorForm(403, "ForbiddenException"),
    "not_found": ErrorForm(404, "NotFoundException"),
    "model_not_found": ErrorForm(404, "NotFoundException"),
    "method_not_allowed": ErrorForm(405, "MethodNotAllowedException"),
    "request_timeout": ErrorForm(408, "RequestTimeoutException", retry=True),
    "idempotency_conflict": ErrorForm(409, "ConflictException", retry=True),
    "cancelled": ErrorForm(409, "ConflictException"),
    "gone": ErrorForm(410, "GoneException"),
    "body_too_large": ErrorForm(413, "PayloadTooLargeException"),
    "unsupported_media_type": ErrorForm(415, "UnsupportedMediaTypeException"),
    "idempotency_mismatch": ErrorForm(422, "UnprocessableEntityException"),
    "rate_limit_exceeded": ErrorForm(429, "TooManyRequestsException", "rate_limit_error", retry=True),
    "server_error": ErrorForm(500, "InternalServerErrorException", "server_error", retry=True),
    "engine_crashed": ErrorForm(500, "InternalServerErrorException", "server_error", retry=True),
    "engine_failed": ErrorForm(503, "ServiceUnavailableException", "server_error"),
    "overloaded": ErrorForm(503, "ServiceUnavailableException", "server_error", retry=True),
    "generation_timeout": ErrorForm(504, "GatewayTimeoutException", "server_error"),
}
# `data.kind`, which clients of the described platform read beside the code. The misspelling is the platform's.
KINDS = {"insufficient_credits": "err_insufficent_credits"}
# Fixed top-level messages; the details of these errors are in `error`.
TITLES = {"invalid_payload": "Invalid payload provided"}

# Errors that the framework raises itself, by status.
FRAMEWORK_CODES = {
    400: ("invalid_payload", "The request is malformed."),
    404: ("not_found", "There is nothing at this path."),
    405: ("method_not_allowed", "This path does not take this method."),
}


class BodyTooLarge(ServiceError):
    """The request body is too large."""

    code = "body_too_large"


class UnsupportedMediaType(ServiceError):
    """The request body must be application/json."""

    code = "unsupported_media_type"


class RequestTimeout(ServiceError):
    """The request body did not arrive in time."""

    code = "request_timeout"


class NamedError(ServiceError):
    """An error with any code of the table: a finished job's, or the framework's."""

    def __init__(self, code: str, message: str) -> None:
        """Carry `code`."""
        super().__init__(message)
        self.own_code = code


def code_of(error: ServiceError) -> str:
    """Return the stable code of an error, always one of the table."""
    code = error.own_code if isinstance(error, NamedError) else error.code
    return code if code in FORMS else "server_error"


def error_fields(error: ServiceError) -> dict[str, Any]:
    """Return the inner `error` object, which the OpenAI SDK reads, in streams too."""
    code = code_of(error)
    form = FORMS[code]
    fields = {"name": form.name, "message": error.message, "type": form.type, "code": code, "param": error.param}
    if error.issues:
        return {**fields, "data": [dict(entry) for entry in error.issues]}
    if code == "invalid_payload" and error.param is not None:
        # A single field that failed a check outside the schema.
        return {**fields, "data": [issue("custom", error.param.split("."), error.message)]}
    return {**fields, "data": {"kind": KINDS[code]}} if code in KINDS else fields


def error_body(error: ServiceError, *, path: str, inference_id: str) -> dict[str, Any]:
    """Return the error body."""
    code = code_of(error)
    status = FORMS[code].status
    return {
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "statusCode": status,
        "message": TITLES.get(code, error.message),
        "instance": path,
        "path": path,
        "requestId": inference_id,
        "timestamp": wire_time(datetime.now(UTC)),
        "error": error_fields(error),
    }


def error_response(request: Request, error: ServiceError, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return the response of an error."""
    form = FORMS[code_of(error)]
    body = error_body(error, path=request.url.path, inference_id=request.state.inference_id)
    wants_problem = PROBLEM_TYPE in request.headers.get("accept", "")
    response = Response(
        # ASCII only: the path may hold lone surrogates, which UTF-8 cannot encode.
        json.dumps(body),
        status_code=form.status,
        media_type=PROBLEM_TYPE if wants_problem else "application/json",
        headers=headers,
    )
    response.headers["x-should-retry"] = "true" if form.retry else "false"
    if form.status in (409, 429, 503) and form.retry:
        wait_seconds = DEFAULT_RETRY_AFTER_SECONDS if error.retry_after_seconds is None else error.retry_after_seconds
        response.headers["Retry-After"] = str(max(1, min(wait_seconds, MAX_RETRY_AFTER_SECONDS)))
    if form.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    request.state.error_code = code_of(error)
    return response


async def handle_service_error(request: Request, error: Exception) -> Response:
    """Handle our own errors."""
    assert isinstance(error, ServiceError)
    return error_response(request, error)


async def handle_query_error(request: Request, error: Exception) -> Response:
    """Handle invalid query parameters, the only input that the framework validates."""
    assert isinstance(error, RequestValidationError)
    issues = issues_from_details(error.errors(), schema={}, hidden=frozenset({"query", "path", "header"}))
    return error_response(request, invalid_request(issues))


async def handle_framework_error(request: Request, error: Exception) -> Response:
    """Handle the framework's own errors: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    code, message = FRAMEWORK_CODES.get(error.status_code, ("server_error", ServiceError.__doc__ or ""))
    headers = {"Allow": ", ".join(_allowed_methods(request))} if error.status_code == 405 else error.headers
    return error_response(request, NamedError(code, message), headers=headers)


def _allowed_methods(request: Request) -> list[str]:
    """Return the methods of all routes at this path; the framework names those of the first route alone."""
    scopes = [{**request.scope, "method": method} for method in ("DELETE", "GET", "PATCH", "POST", "PUT")]
    methods = [
        scope["method"]
        for scope in scopes
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    ]
    return sorted([*methods, "HEAD"]) if "GET" in methods else methods
