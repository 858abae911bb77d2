"""Authentication: the API key of a request, its scopes, and the limits of its requests."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from danqing.accounts.api_keys import IMAGE_SCOPE, ApiKey, KeyKind, authenticate, require_scope
from danqing.accounts.limits import KeyLimits, RateState
from danqing.accounts.minute_limits import MinuteLimits
from danqing.api.services import ServicesDep
from danqing.errors import InvalidApiKey, MissingScope

_bearer = HTTPBearer(auto_error=False, description="An API key: 32 hexadecimal digits.")


async def _key(
    services: ServicesDep, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> ApiKey:
    """Find the key of the request. Raises InvalidApiKey."""
    if credentials is None:
        raise InvalidApiKey
    secret = credentials.credentials
    return await services.database.run_read(lambda conn: authenticate(conn, secret, now=services.clock()))


Key = Annotated[ApiKey, Depends(_key)]


async def _caller(request: Request, services: ServicesDep, key: Key) -> ApiKey:
    """Return any key. Raises RateLimitExceeded."""
    _admit(request, key, services.read_limits)
    return key


async def _log_reader(request: Request, services: ServicesDep, caller: Annotated[ApiKey, Depends(_caller)]) -> ApiKey:
    """Return any key, for a request of logs. Raises RateLimitExceeded."""
    _count(request, caller, services.log_limits)
    return caller


async def _image_caller(request: Request, services: ServicesDep, key: Key) -> ApiKey:
    """Return a key that may draw. Raises MissingScope or RateLimitExceeded."""
    require_scope(key, IMAGE_SCOPE)
    _admit(request, key, services.key_limits)
    return key


async def _image_reader(caller: Annotated[ApiKey, Depends(_caller)]) -> ApiKey:
    """Return a key that may draw, for a request that reads. Raises MissingScope or RateLimitExceeded."""
    require_scope(caller, IMAGE_SCOPE)
    return caller


async def _management_caller(caller: Annotated[ApiKey, Depends(_caller)]) -> ApiKey:
    """Return a key that may administer keys. Raises MissingScope or RateLimitExceeded."""
    if caller.kind is not KeyKind.MANAGEMENT:
        raise MissingScope("This request requires a management key. Create one with `danqing keys create`.")
    return caller


Caller = Annotated[ApiKey, Depends(_caller)]
LogReader = Annotated[ApiKey, Depends(_log_reader)]
ImageCaller = Annotated[ApiKey, Depends(_image_caller)]
ImageReader = Annotated[ApiKey, Depends(_image_reader)]
ManagementCaller = Annotated[ApiKey, Depends(_management_caller)]


def _admit(request: Request, key: ApiKey, limits: KeyLimits) -> None:
    """Count a request, and keep it counted as running until its response is sent. Raises RateLimitExceeded."""
    _count(request, key, limits)
    request.state.held.enter_context(limits.running(key.prefix))


def _count(request: Request, key: ApiKey, limits: KeyLimits | MinuteLimits) -> None:
    """Count a request, and put the rate of its key into the headers. Raises RateLimitExceeded."""
    try:
        limits.take(key.prefix)
    finally:
        request.state.response_headers |= rate_limit_headers(limits.peek(key.prefix))


def rate_limit_headers(rate: RateState) -> dict[str, str]:
    """Return the rate under the names of the IETF draft and under OpenAI's."""
    return {
        "RateLimit-Policy": f'"{rate.name}";q={rate.limit};w={rate.window_seconds}',
        "RateLimit": f'"{rate.name}";r={rate.remaining};t={rate.reset_seconds}',
        "x-ratelimit-limit-requests": str(rate.limit),
        "x-ratelimit-remaining-requests": str(rate.remaining),
        "x-ratelimit-reset-requests": f"{rate.reset_seconds}s",
    }
