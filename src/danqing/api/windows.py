"""Windows of reports, as query parameters: a period or two moments, of the caller's key, another, or all."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Query

from danqing.accounts.api_keys import ApiKey, KeyKind
from danqing.api.auth import Caller
from danqing.api.issues import invalid_request, issue
from danqing.api.keys import require_prefix
from danqing.api.periods import Moment, Period
from danqing.api.services import Services, ServicesDep
from danqing.errors import InvalidRequest, MissingScope
from danqing.reports.windows import MAX_WINDOW, KeyWindow, require_key

# In place of a prefix: all keys of the account, revoked ones too.
ALL_KEYS = "*"


@dataclass(frozen=True, kw_only=True)
class AskedWindow:
    """What to report on; `api_key_prefix` is None when the caller named no key and gets its own."""

    api_key_prefix: str | None
    of: KeyWindow


class WindowQuery:
    """The dependency that reads a window from the query."""

    def __init__(self, *, default_period: timedelta) -> None:
        """Use `default_period` for requests that name neither a period nor moments."""
        self._default_period = default_period

    async def __call__(
        self,
        services: ServicesDep,
        caller: Caller,
        period: Annotated[
            Period | None, Query(description="Hours or days up to now: `24h`, `7d`. Not beside `start` and `end`.")
        ] = None,
        start: Annotated[Moment | None, Query(description="ISO 8601; in UTC without an offset.")] = None,
        end: Annotated[
            Moment | None, Query(description=f"ISO 8601, not before `start`, at most {MAX_WINDOW.days} days after it.")
        ] = None,
        key_prefix: Annotated[
            str | None, Query(description="Another key of the account, or `*` for all; only for management keys.")
        ] = None,
    ) -> AskedWindow:
        """Return the window. Raises InvalidRequest, MissingScope or NotFound."""
        if start is None and end is None:
            end = services.clock()
            start = end - (self._default_period if period is None else period)
        else:
            start, end = _checked_moments(start, end, period=period)
        api_key_id = await _reported_key(services, caller, key_prefix)
        window = KeyWindow(account_id=caller.account_id, api_key_id=api_key_id, start=start, end=end)
        return AskedWindow(api_key_prefix=key_prefix, of=window)


def _checked_moments(
    start: datetime | None, end: datetime | None, *, period: timedelta | None
) -> tuple[datetime, datetime]:
    if period is not None:
        raise _refusal("period", "Send either `period` or both `start` and `end`")
    if start is None:
        raise _refusal("start", "Required beside `end`")
    if end is None:
        raise _refusal("end", "Required beside `start`")
    if end < start:
        raise _refusal("end", "Must not be earlier than `start`")
    if end - start > MAX_WINDOW:
        raise _refusal("end", f"Must be at most {MAX_WINDOW.days} days after `start`")
    return start, end


def _refusal(name: str, message: str) -> InvalidRequest:
    return invalid_request([issue("custom", [name], message)])


async def _reported_key(services: Services, caller: ApiKey, key_prefix: str | None) -> str | None:
    if key_prefix is None or key_prefix == caller.prefix:
        return caller.prefix
    if caller.kind is not KeyKind.MANAGEMENT:
        raise MissingScope("A report on another key requires a management key.")
    if key_prefix == ALL_KEYS:
        return None
    require_prefix(key_prefix)
    await services.database.run_read(lambda conn: require_key(conn, key_prefix, account_id=caller.account_id))
    return key_prefix
