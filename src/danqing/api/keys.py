"""API keys of an account: a management key creates, lists, changes and revokes them."""

import re
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import JSONResponse, Response

from danqing.accounts import api_keys
from danqing.accounts.api_keys import (
    MAX_LIMIT_USD,
    MAX_NAME_LENGTH,
    PREFIX_LENGTH,
    SCOPES,
    ApiKey,
    KeyPatch,
    SpendLimit,
)
from danqing.accounts.spend_limits import Retention
from danqing.api.auth import Caller, ManagementCaller
from danqing.api.documents import json_request
from danqing.api.examples import KEY_PATCH_EXAMPLE, NEW_KEY_EXAMPLE
from danqing.api.fields import OneOf, RealNumber, Text
from danqing.api.issues import invalid_request, issues_from, require_object
from danqing.api.json_body import read_json
from danqing.api.periods import wire_time
from danqing.api.services import Services, ServicesDep
from danqing.errors import NotFound

_PREFIX = re.compile(rf"[0-9a-f]{{{PREFIX_LENGTH}}}")

router = APIRouter(tags=["keys"])


class LimitBody(BaseModel):
    """At most `threshold` USD in each period."""

    model_config = ConfigDict(strict=True)

    retention: Annotated[str, OneOf(tuple(Retention))]
    threshold: Annotated[RealNumber, Field(ge=0, le=MAX_LIMIT_USD)]


Name = Annotated[Text, Field(min_length=1, max_length=MAX_NAME_LENGTH)]
Scopes = Annotated[list[Annotated[str, OneOf(SCOPES)]], Field(max_length=len(SCOPES))]


class NewKeyBody(BaseModel):
    """What a new key is to be like."""

    model_config = ConfigDict(strict=True)

    name: Name
    scopes: Scopes = list(SCOPES)
    limit: LimitBody | None = None


class KeyPatchBody(BaseModel):
    """What is to change; what is left out stays."""

    model_config = ConfigDict(strict=True)

    name: Name = ""
    disabled: bool = False
    scopes: Scopes = []
    limit: LimitBody | None = None


@router.post("/v1/keys", status_code=201, openapi_extra=json_request(NewKeyBody, example=NEW_KEY_EXAMPLE))
async def create_key(request: Request, services: ServicesDep, caller: ManagementCaller) -> Response:
    """Create an API key. Only this response ever shows the whole key."""
    wanted = await _read(request, services, NewKeyBody)
    created = await services.database.run_write(
        lambda conn: api_keys.create_key(
            conn,
            account_id=caller.account_id,
            name=wanted.name,
            now=services.clock(),
            scopes=tuple(wanted.scopes),
            limit=_limit(wanted.limit),
        )
    )
    return JSONResponse({**key_fields(created.api_key), "key": created.secret}, status_code=201)


@router.get("/v1/keys")
async def list_keys(services: ServicesDep, caller: ManagementCaller) -> Response:
    """List the account's keys, oldest first."""
    keys = await services.database.run_read(
        lambda conn: api_keys.list_keys(conn, account_id=caller.account_id, now=services.clock())
    )
    return JSONResponse({"object": "list", "data": [key_fields(key) for key in keys]})


@router.patch("/v1/keys/{prefix}", openapi_extra=json_request(KeyPatchBody, example=KEY_PATCH_EXAMPLE))
async def patch_key(prefix: str, request: Request, services: ServicesDep, caller: ManagementCaller) -> Response:
    """Rename, disable, enable or limit a key."""
    _require_prefix(prefix)
    wanted = await _read(request, services, KeyPatchBody)
    given = wanted.model_fields_set

    def change(present: ApiKey) -> KeyPatch:
        return KeyPatch(
            name=wanted.name if "name" in given else present.name,
            disabled=wanted.disabled if "disabled" in given else present.disabled,
            scopes=tuple(wanted.scopes) if "scopes" in given else present.scopes,
            limit=_limit(wanted.limit) if "limit" in given else present.limit,
        )

    changed = await services.database.run_write(
        lambda conn: api_keys.change_key(
            conn, prefix, account_id=caller.account_id, change=change, now=services.clock()
        )
    )
    return JSONResponse(key_fields(changed))


@router.delete("/v1/keys/{prefix}", status_code=204)
async def revoke_key(prefix: str, services: ServicesDep, caller: ManagementCaller) -> Response:
    """End a key for good."""
    _require_prefix(prefix)
    await services.database.run_write(
        lambda conn: api_keys.revoke_key(conn, prefix, account_id=caller.account_id, now=services.clock())
    )
    return Response(status_code=204)


@router.get("/v1/key")
async def read_own_key(caller: Caller) -> Response:
    """Describe the key that asks."""
    return JSONResponse(key_fields(caller))


def key_fields(key: ApiKey) -> dict[str, Any]:
    """A key on the wire, without its secret."""
    limit = key.limit
    return {
        "name": key.name,
        "disabled": key.disabled,
        "prefix": key.prefix,
        "scopes": list(key.scopes),
        "limit": {"retention": limit.retention.value, "threshold": float(limit.threshold_usd)} if limit else None,
        "created_at": wire_time(key.created_at),
        "updated_at": wire_time(key.updated_at),
        "monthly_usage": float(key.monthly_usage_usd),
    }


Body = TypeVar("Body", bound=BaseModel)


async def _read(request: Request, services: Services, kind: type[Body]) -> Body:
    body = await read_json(request, max_bytes=services.max_body_bytes)
    try:
        return kind.model_validate(require_object(body))
    except ValidationError as error:
        raise invalid_request(issues_from(error, schema=kind.model_json_schema())) from None


def _limit(body: LimitBody | None) -> SpendLimit | None:
    if body is None:
        return None
    return SpendLimit(retention=Retention(body.retention), threshold_usd=Decimal(str(body.threshold)))


def _require_prefix(prefix: str) -> None:
    if _PREFIX.fullmatch(prefix) is None:
        raise NotFound("There is no such API key.")
