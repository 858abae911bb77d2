"""Usage of an API key or of all: totals over a window, and the same by model, by key and by day."""

from datetime import timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from sqlalchemy import Connection

from danqing.accounts.pricing import usd_from_credits
from danqing.api.issues import invalid_request, issue
from danqing.api.periods import WireTime
from danqing.api.report_bodies import NO_TOKENS, TokenCounts
from danqing.api.services import ServicesDep
from danqing.api.time_zones import UTC_NAME, ZoneName
from danqing.api.windows import AskedWindow, WindowQuery
from danqing.reports.usage import UsageSum, usage_by_day, usage_by_key, usage_by_model

Grouping = Literal["day", "model", "day,model", "key", "day,key"]

router = APIRouter(tags=["usage"], prefix="/v2/usage")


class UsageBody(BaseModel):
    """The charged requests of one key, and their price in USD."""

    api_key_prefix: str | None
    start: WireTime
    end: WireTime
    spend: float
    currency: Literal["USD"]
    requests: int


class ModelUsage(BaseModel):
    """The charged requests for one model."""

    model: str
    spend: float
    requests: int


class RequestCounts(BaseModel):
    """Finished requests: all, those that cost something, and both outcomes."""

    total: int
    charged: int
    succeeded: int
    failed: int


class GroupUsage(BaseModel):
    """The finished requests of one day, one model, one key; a field that was not grouped by is left out."""

    day: str | None = None
    model: str | None = None
    api_key_prefix: str | None = None
    spend: float
    images: int
    tokens: TokenCounts
    requests: RequestCounts


class UsageDetailBody(UsageBody):
    """Totals, and the same by model; by group only where asked for."""

    models: list[ModelUsage]
    groups: list[GroupUsage] | None = None


@router.get("")
async def read_usage(
    services: ServicesDep,
    asked: Annotated[AskedWindow, Depends(WindowQuery(default_period=timedelta(hours=24)))],
    group_by: Annotated[str | None, Query(include_in_schema=False)] = None,
) -> UsageBody:
    """Spend and charged requests of a key, over 24 hours unless the query says otherwise."""
    if group_by is not None:
        raise invalid_request([issue("custom", ["group_by"], "Totals have no groups; use /v2/usage/detail")])
    sums = await services.database.run_read(lambda conn: usage_by_model(conn, asked.of))
    return UsageBody.model_validate(_totals(asked, sums))


@router.get("/detail", response_model_exclude_unset=True)
async def read_usage_detail(
    services: ServicesDep,
    asked: Annotated[AskedWindow, Depends(WindowQuery(default_period=timedelta(days=7)))],
    group_by: Grouping | None = None,
    tz: Annotated[ZoneName, Query(description="Time zone of the days: a canonical IANA name.")] = UTC_NAME,
) -> UsageDetailBody:
    """Spend and charged requests of a key by model, and by day or key where asked for; over 7 days by default."""

    def read(conn: Connection) -> tuple[list[UsageSum], list[UsageSum]]:
        by_model = usage_by_model(conn, asked.of)
        if group_by is None or group_by == "model":
            return by_model, by_model
        if group_by == "key":
            return by_model, usage_by_key(conn, asked.of)
        by = {"by_model": "model" in group_by, "by_key": "key" in group_by}
        return by_model, usage_by_day(conn, asked.of, zone=ZoneInfo(tz), **by)

    by_model, by_group = await services.database.run_read(read)
    models = [
        ModelUsage(model=str(one.model), spend=_usd(one.charged_credits), requests=one.num_charged)
        for one in by_model
        if one.num_charged
    ]
    body = {**_totals(asked, by_model), "models": models}
    return UsageDetailBody(**body, **({} if group_by is None else {"groups": [_group(one) for one in by_group]}))


def _totals(asked: AskedWindow, by_model: list[UsageSum]) -> dict[str, Any]:
    return {
        "api_key_prefix": asked.api_key_prefix,
        "start": asked.of.start,
        "end": asked.of.end,
        "spend": _usd(sum(one.charged_credits for one in by_model)),
        "currency": "USD",
        "requests": sum(one.num_charged for one in by_model),
    }


def _group(group: UsageSum) -> GroupUsage:
    names = {"day": group.day, "model": group.model, "api_key_prefix": group.api_key_id}
    named = {name: value for name, value in names.items() if value is not None}
    return GroupUsage(
        **named,
        spend=_usd(group.charged_credits),
        images=group.num_images,
        tokens=NO_TOKENS,
        requests=RequestCounts(
            total=group.num_requests,
            charged=group.num_charged,
            succeeded=group.num_succeeded,
            failed=group.num_requests - group.num_succeeded,
        ),
    )


def _usd(amount_credits: int) -> float:
    return float(usd_from_credits(amount_credits))
