"""The list of models, and that of deprecations."""

from datetime import UTC, datetime

import pytest
from unit.api.calls import MODEL

from danqing.api import models
from danqing.api.deprecations import Deprecation, DeprecationStatus

OLD = Deprecation(
    id="hunyuan/old",
    aliases=("old",),
    status=DeprecationStatus.WITHDRAWN,
    deprecated_at=datetime(2026, 1, 1, tzinfo=UTC),
    shutdown_at=datetime(2026, 6, 1, tzinfo=UTC),
    replaced_by=MODEL,
    reason="It drew worse.",
)
OLDER = Deprecation(
    id="hunyuan/older",
    status=DeprecationStatus.SUPERSEDED,
    deprecated_at=datetime(2025, 1, 1, tzinfo=UTC),
    reason="It drew much worse.",
)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/", "/models", "/models/", "/api/v1/models"])
async def test_models_are_listed_without_a_key_and_cached(anonymous, path):
    response = await anonymous.get(path)
    (model,) = response.json()["data"]
    assert (model["id"], model["object"], model["type"]) == (MODEL, "model", "openai/image-generations")
    assert model["tags"] == ["playground:image"]
    again = await anonymous.get(path, headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await anonymous.get(f"{path.rstrip('/')}/{MODEL}")).json() == model
    unknown = await anonymous.get(f"{path.rstrip('/')}/dall-e-3")
    assert unknown.json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("path", ["/v1/models", f"/v1/models/{MODEL}", "/v1/models/deprecations"])
async def test_clients_may_look_at_the_head_alone(anonymous, path):
    head, whole = await anonymous.head(path), await anonymous.get(path)
    assert (head.status_code, head.headers["etag"]) == (200, whole.headers["etag"])


async def test_no_model_is_deprecated(anonymous):
    response = await anonymous.get("/v1/models/deprecations")
    body = response.json()
    assert datetime.fromisoformat(body.pop("generated_at")).tzinfo is not None
    assert body == {"object": "list", "data": []}
    assert "max-age=300" in response.headers["Cache-Control"]


async def test_deprecations_are_cached_by_their_data_alone(anonymous, monkeypatch):
    empty = (await anonymous.get("/v1/models/deprecations")).headers["etag"]
    monkeypatch.setattr(models, "DEPRECATIONS", (OLD, OLDER))
    first = await anonymous.get("/v1/models/deprecations")
    second = await anonymous.get("/v1/models/deprecations")
    assert first.headers["etag"].startswith("W/")
    assert first.headers["etag"] == second.headers["etag"] != empty
    assert first.json()["data"][0] == {
        "id": "hunyuan/old",
        "aliases": ["old"],
        "status": "withdrawn",
        "deprecated_at": "2026-01-01T00:00:00.000Z",
        "shutdown_at": "2026-06-01T00:00:00.000Z",
        "replaced_by": MODEL,
        "reason": "It drew worse.",
    }
    again = await anonymous.get("/v1/models/deprecations", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    filtered = await anonymous.get("/v1/models/deprecations?status=superseded&status=deprecated")
    assert [one["id"] for one in filtered.json()["data"]] == ["hunyuan/older"]
    assert filtered.headers["etag"] != first.headers["etag"]
