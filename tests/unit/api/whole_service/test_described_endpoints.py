"""The service's own endpoints, against the described platform's schemas of them: live responses and our document."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from unit.api.calls import PATH

from danqing.engine.interface import EngineCrashed

FOLDER = Path(__file__).parents[3] / "data" / "service-endpoints"
DESCRIBED = sorted(path.stem for path in FOLDER.glob("*.json"))
# Fields of ours beside the described ones.
OWN_FIELDS = {
    "api_key_prefix",
    "balance_after",
    "error_code",
    "images",
    "kind",
    "last_used_at",
    "limit_usage",
}
NEEDS_MANAGEMENT = "/v1/keys"


class Endpoint:
    """One described operation."""

    def __init__(self, name: str) -> None:
        ((self.path, methods),) = json.loads((FOLDER / f"{name}.json").read_text())["paths"].items()
        ((self.method, self.operation),) = methods.items()
        ((self.status, response),) = self.operation["responses"].items()
        schema = response["content"]["application/json"]["schema"]
        if name == "billing-detail-v2":
            # The document requires the body's fields one level too deep, of the settings.
            schema["required"] = schema["properties"]["autotopup_settings"].pop("required")
        self.schema = as_json_schema(schema)

    def check(self, response: Any) -> Any:
        """Validate a live response; return its body."""
        assert response.status_code == int(self.status), response.text
        assert response.headers["content-type"] == "application/json"
        body = response.json()
        validator = jsonschema_rs.Draft202012Validator(self.schema, validate_formats=True)
        assert [f"{list(error.instance_path)}: {error.message}" for error in validator.iter_errors(body)] == []
        assert set(undescribed(body, self.schema)) <= OWN_FIELDS
        return body


def as_json_schema(schema: Any) -> Any:
    """Translate OpenAPI 3.0's `nullable`."""
    if isinstance(schema, list):
        return [as_json_schema(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    translated = {name: as_json_schema(part) for name, part in schema.items() if name != "nullable"}
    return {"anyOf": [translated, {"type": "null"}]} if schema.get("nullable") is True else translated


def undescribed(value: Any, schema: dict[str, Any]) -> Iterator[str]:
    """Name the fields that the schema does not."""
    schema = schema.get("anyOf", [schema])[0]
    if isinstance(value, list):
        for part in value:
            yield from undescribed(part, schema["items"])
    if isinstance(value, dict):
        for name, part in value.items():
            if name in schema["properties"]:
                yield from undescribed(part, schema["properties"][name])
            else:
                yield name


@pytest.fixture
async def used(manager, key, body, engine):
    """The manager, the headers of the first key, and that key's two requests: one charged, one failed."""
    own = {"Authorization": f"Bearer {key}"}
    responses = [await manager.post(PATH, json=body(), headers={**own, "X-Client-Request-Id": "mine"})]
    engine.error = EngineCrashed()
    responses.append(await manager.post(PATH, json=body(), headers=own))
    return manager, own, [response.headers["x-inference-id"] for response in responses]


def test_every_described_endpoint_is_tried() -> None:
    assert set(DESCRIBED) == {name for name, _ in READS} | {"keys-post", "keys-patch", "keys-put", "keys-delete"}


READS = [
    ("billing-balance-v1", ""),
    ("billing-v2", ""),
    ("billing-detail-v2", ""),
    ("billing-transactions-v2", ""),
    ("billing-transactions-v2", "?limit=1&direction=CHARGE"),
    ("key-get", ""),
    ("keys-get", ""),
    ("usage-v2", ""),
    ("usage-v2", "?period=24h&key_prefix={own}"),
    ("usage-v2", "?start=2026-07-01T00:00:00Z&end=2026-07-28T00:00:00Z"),
    ("usage-detail-v2", ""),
    ("usage-detail-v2", "?group_by=day&tz=Europe/Berlin"),
    ("usage-detail-v2", "?group_by=model"),
    ("usage-detail-v2", "?group_by=day,model&tz=UTC&key_prefix={own}"),
    ("logs-v2", ""),
    ("logs-v2", "?period=7d&status=succeeded&status=failed&limit=1&offset=1"),
]


@pytest.mark.parametrize(("name", "query"), READS)
async def test_what_is_read_fits_the_described_schema(used, key, name, query):
    manager, own, _ = used
    endpoint = Endpoint(name)
    headers = {} if endpoint.path == NEEDS_MANAGEMENT else own
    response = await manager.get(endpoint.path + query.format(own=key[:8]), headers=headers)
    endpoint.check(response)


async def test_keys_are_made_changed_and_deleted_as_described(manager):
    wishes = {"name": "20260202-key", "limit": {"retention": "month", "threshold": 25}, "scopes": ["model:image"]}
    for wished in ({}, wishes, {"scopes": ["model:chat"], "limit": {"retention": "no_reset", "threshold": 0.5}}):
        made = Endpoint("keys-post").check(await manager.post("/v1/keys", json=wished))["data"]
        path = f"/v1/keys/{made['prefix']}"
        Endpoint("keys-patch").check(await manager.patch(path, json={"disabled": True}))
        Endpoint("keys-put").check(await manager.put(path, json={"name": None, "limit": None, "disabled": False}))
        assert Endpoint("keys-get").check(await manager.get("/v1/keys"))["data"][-1]["prefix"] == made["prefix"]
        assert Endpoint("keys-delete").check(await manager.delete(path))["data"]["deleted"] is True


async def test_one_id_names_a_request_everywhere(used):
    manager, own, (charged, failed) = used
    logs = Endpoint("logs-v2").check(await manager.get("/v2/logs", headers=own))["data"]
    assert [(row["inference_id"], row["status"], row["cost"]["credits"]) for row in logs] == [
        (failed, "failed", 0),
        (charged, "succeeded", 210_000),
    ]
    transactions = Endpoint("billing-transactions-v2").check(
        await manager.get("/v2/billing/transactions?type=MODEL_USAGE", headers=own)
    )
    assert [row["reference_id"] for row in transactions["data"]] == [charged]
    usage = Endpoint("usage-v2").check(await manager.get("/v2/usage", headers=own))
    assert (usage["requests"], usage["spend"]) == (1, 0.105)
    detail = Endpoint("usage-detail-v2").check(await manager.get("/v2/usage/detail?group_by=model", headers=own))
    assert detail["groups"][0]["requests"] == {"total": 2, "charged": 1, "succeeded": 1, "failed": 1}


@pytest.mark.parametrize("name", DESCRIBED)
async def test_our_document_names_the_same_parameters(anonymous, name):
    endpoint = Endpoint(name)
    ours = (await anonymous.get("/openapi.json")).json()["paths"][endpoint.path][endpoint.method]
    assert _parameters(endpoint.operation) == _parameters(ours)
    assert endpoint.status in ours["responses"]


@pytest.mark.parametrize("name", DESCRIBED)
async def test_a_request_without_a_key_is_refused(anonymous, name):
    endpoint = Endpoint(name)
    response = await anonymous.request(endpoint.method, endpoint.path.format(prefix="00000000"))
    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("name", [name for name in DESCRIBED if name.startswith("keys-")])
async def test_an_api_key_administers_no_keys(client, name):
    endpoint = Endpoint(name)
    response = await client.request(endpoint.method, endpoint.path.format(prefix="00000000"))
    assert (response.status_code, response.json()["error"]["code"]) == (403, "missing_scope")


def _parameters(operation: dict[str, Any]) -> set[tuple[str, str]]:
    return {(one["name"], one["in"]) for one in operation.get("parameters", [])}
