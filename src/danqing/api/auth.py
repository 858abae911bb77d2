"""Authentication: the API key of a request, its scopes, and the limits of its requests."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from danqing.accounts.api_keys import IMAGE_SCOPE, ApiKey, KeyKind, authenticate, require_scope
from danqing.accounts.limits import RateState, RunningRequests
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
    _admit(request, services.read_rates.take(key.prefix))
    _hold(request, key, services.running_reads)
    return key


async def _log_reader(request: Request, services: ServicesDep, caller: Annotated[ApiKey, Depends(_caller)]) -> ApiKey:
    """Return any key, for a request of logs. Raises RateLimitExceeded."""
    _admit(request, await services.log_rates.take(caller.prefix))
    return caller


async def _image_caller(request: Request, services: ServicesDep, key: Key) -> ApiKey:
    """Return a key that may draw. Raises MissingScope or RateLimitExceeded."""
    require_scope(key, IMAGE_SCOPE)
    _admit(request, await services.request_rates.take(key.prefix))
    _hold(request, key, services.running_requests)
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


def _hold(request: Request, key: ApiKey, running: RunningRequests) -> None:
    """Keep a request counted as running until its response is sent. Raises RateLimitExceeded."""
    request.state.held.enter_context(running.running(key.prefix))


def _admit(request: Request, rate: RateState) -> None:
    """Put the rate of a key into the headers. Raises RateLimitExceeded."""
    request.state.response_headers |= rate_limit_headers(rate)
    rate.require_admitted()


def rate_limit_headers(rate: RateState) -> dict[str, str]:
    """Return the rate under the names of the IETF draft and under OpenAI's."""
    return {
        "RateLimit-Policy": f'"{rate.name}";q={rate.limit};w={rate.window_seconds}',
        "RateLimit": f'"{rate.name}";r={rate.remaining};t={rate.reset_seconds}',
        "x-ratelimit-limit-requests": str(rate.limit),
        "x-ratelimit-remaining-requests": str(rate.remaining),
        "x-ratelimit-reset-requests": f"{rate.reset_seconds}s",
    }
