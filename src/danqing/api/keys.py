"""API keys of an account: a management key creates, lists, changes and deletes them."""

import re
from typing import TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection

from danqing.accounts import api_keys
from danqing.accounts.api_keys import PREFIX_LENGTH
from danqing.api.auth import Caller, ManagementCaller
from danqing.api.documents import json_request
from danqing.api.examples import KEY_PATCH_EXAMPLE, NEW_KEY_EXAMPLE
from danqing.api.issues import invalid_request, issues_from, require_object
from danqing.api.json_body import read_json
from danqing.api.key_bodies import (
    CreatedKeyResponse,
    DeletedKeyFields,
    DeletedKeyResponse,
    KeyListResponse,
    KeyPatchBody,
    KeyResponse,
    ListedKeyFields,
    NewKeyBody,
    created_key_fields,
    key_fields,
    listed_key_fields,
)
from danqing.api.services import Services, ServicesDep
from danqing.errors import NotFound
from danqing.reports.usage import last_uses

_PREFIX = re.compile(rf"[0-9a-f]{{{PREFIX_LENGTH}}}")

router = APIRouter(tags=["keys"])


@router.post(
    "/v1/keys",
    response_model_exclude_unset=True,
    openapi_extra=json_request(NewKeyBody, example=NEW_KEY_EXAMPLE, required=False),
)
async def create_key(request: Request, services: ServicesDep, caller: ManagementCaller) -> CreatedKeyResponse:
    """Create an API key. Only this response ever shows the whole key."""
    wanted = await _read(request, services, NewKeyBody)
    created = await services.database.run_write(
        lambda conn: api_keys.create_key(
            conn,
            account_id=caller.account_id,
            name=wanted.name or "",
            now=services.clock(),
            scopes=None if wanted.scopes is None else tuple(wanted.scopes),
            limit=wanted.spend_limit(),
        )
    )
    return CreatedKeyResponse(data=created_key_fields(created))


@router.get("/v1/keys")
async def list_keys(services: ServicesDep, caller: ManagementCaller) -> KeyListResponse:
    """List the account's keys, oldest first."""
    account_id, now = caller.account_id, services.clock()

    def read(conn: Connection) -> list[ListedKeyFields]:
        last_used = last_uses(conn, account_id=account_id)
        spent = api_keys.limit_spending(conn, account_id=account_id, now=now)
        return [
            listed_key_fields(
                key,
                last_used_at=last_used.get(key.prefix),
                limit_usage_usd=spent.get(key.prefix) if key.limit else None,
            )
            for key in api_keys.list_keys(conn, account_id=account_id, now=now)
        ]

    return KeyListResponse(data=await services.database.run_read(read))


@router.get("/v1/keys/{prefix}")
async def read_key(prefix: str, services: ServicesDep, caller: ManagementCaller) -> KeyResponse:
    """Describe a key."""
    require_prefix(prefix)
    key = await services.database.run_read(
        lambda conn: api_keys.get_key(conn, prefix, account_id=caller.account_id, now=services.clock())
    )
    return KeyResponse(data=key_fields(key))


@router.put("/v1/keys/{prefix}", openapi_extra=json_request(KeyPatchBody, example=KEY_PATCH_EXAMPLE))
@router.patch("/v1/keys/{prefix}", openapi_extra=json_request(KeyPatchBody, example=KEY_PATCH_EXAMPLE))
async def patch_key(prefix: str, request: Request, services: ServicesDep, caller: ManagementCaller) -> KeyResponse:
    """Rename, disable, enable or limit a key."""
    require_prefix(prefix)
    wanted = await _read(request, services, KeyPatchBody)

    changed = await services.database.run_write(
        lambda conn: api_keys.change_key(
            conn, prefix, account_id=caller.account_id, change=wanted.applied_to, now=services.clock()
        )
    )
    return KeyResponse(data=key_fields(changed))


@router.delete("/v1/keys/{prefix}")
async def delete_key(prefix: str, services: ServicesDep, caller: ManagementCaller) -> DeletedKeyResponse:
    """End a key for good; its requests stay in the reports."""
    require_prefix(prefix)
    await services.database.run_write(
        lambda conn: api_keys.revoke_key(conn, prefix, account_id=caller.account_id, now=services.clock())
    )
    return DeletedKeyResponse(data=DeletedKeyFields(prefix=prefix, deleted=True))


@router.get("/v1/key")
async def read_own_key(caller: Caller) -> KeyResponse:
    """Describe the key that authenticates the request."""
    return KeyResponse(data=key_fields(caller))


def require_prefix(prefix: str) -> None:
    """Raise NotFound for a text that cannot be a key's prefix."""
    if _PREFIX.fullmatch(prefix) is None:
        raise NotFound("There is no such API key.")


Body = TypeVar("Body", bound=BaseModel)


async def _read(request: Request, services: Services, kind: type[Body]) -> Body:
    body = await read_json(request, max_bytes=services.max_body_bytes) if _has_body(request) else {}
    try:
        return kind.model_validate(require_object(body))
    except ValidationError as error:
        raise invalid_request(issues_from(error, schema=kind.model_json_schema())) from None


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"
