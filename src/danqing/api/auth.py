"""Authentication: the API key of a request, what it may do, and how often its owner may ask."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from danqing.accounts.api_keys import IMAGE_SCOPE, ApiKey, KeyKind, authenticate, require_scope
from danqing.accounts.limits import KeyLimits, RateState
from danqing.api.services import ServicesDep
from danqing.errors import InvalidApiKey, MissingScope

_bearer = HTTPBearer(auto_error=False, description="An API key: 32 hexadecimal digits.")


async def _caller(
    services: ServicesDep, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> ApiKey:
    """Find the key of the request. Raises InvalidApiKey."""
    if credentials is None:
        raise InvalidApiKey
    secret = credentials.credentials
    return await services.database.run_read(lambda conn: authenticate(conn, secret, now=services.clock()))


async def _image_caller(caller: Annotated[ApiKey, Depends(_caller)]) -> ApiKey:
    """Return the key if it may draw. Raises MissingScope."""
    require_scope(caller, IMAGE_SCOPE)
    return caller


async def _management_caller(caller: Annotated[ApiKey, Depends(_caller)]) -> ApiKey:
    """Return the key if it may administer keys. Raises MissingScope."""
    if caller.kind is not KeyKind.MANAGEMENT:
        raise MissingScope("This request requires a management key. Create one with `danqing keys create`.")
    return caller


Caller = Annotated[ApiKey, Depends(_caller)]
ImageCaller = Annotated[ApiKey, Depends(_image_caller)]
ManagementCaller = Annotated[ApiKey, Depends(_management_caller)]


def count_request(request: Request, caller: ApiKey, *, limits: KeyLimits) -> None:
    """Count a request against the rate of its key, and put the rate into the headers. Raises RateLimitExceeded."""
    try:
        limits.take(caller.prefix)
    finally:
        request.state.response_headers |= rate_limit_headers(limits.peek(caller.prefix))


def rate_limit_headers(rate: RateState) -> dict[str, str]:
    """Return the rate under the names of the IETF draft and under OpenAI's."""
    return {
        "RateLimit-Policy": f'"requests";q={rate.limit};w={rate.window_seconds}',
        "RateLimit": f'"requests";r={rate.remaining};t={rate.reset_seconds}',
        "x-ratelimit-limit-requests": str(rate.limit),
        "x-ratelimit-remaining-requests": str(rate.remaining),
        "x-ratelimit-reset-requests": f"{rate.reset_seconds}s",
    }
