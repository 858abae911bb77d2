"""Base URLs: however people spell them and clients join them, the endpoint is found."""

import pytest
from unit.api.calls import MODEL

BASES = ["", "/", "//", "/v1", "/v1/", "//v1//", "/v1/v1", "/v1//v1/", "/api", "/api/v1", "/v2"]
BASES += ["/v1/images/generations"]
# An endpoint as clients append it, and the one that it is.
ENDPOINTS = [
    ("GET", "models", "/v1/models"),
    ("GET", f"models/{MODEL}", f"/v1/models/{MODEL}"),
    ("GET", "key", "/v1/key"),
    ("GET", "keys", "/v1/keys"),
    ("GET", "billing/balance", "/v1/billing/balance"),
    ("GET", "billing/transactions", "/v2/billing/transactions"),
    ("GET", "v2/billing", "/v2/billing"),
    ("GET", "usage", "/v2/usage"),
    ("GET", "v2/logs", "/v2/logs"),
    ("POST", "images/generations", "/v1/images/generations"),
    ("GET", f"images/generations/{'0' * 21}", f"/v1/images/generations/{'0' * 21}"),
    ("DELETE", f"images/generations/{'0' * 21}/", f"/v1/images/generations/{'0' * 21}"),
    ("GET", f"images/generations/{'0' * 21}/events", f"/v1/images/generations/{'0' * 21}/events"),
]


@pytest.mark.parametrize("base", BASES)
async def test_every_spelling_of_a_base_url_leads_to_every_endpoint(client, base):
    for method, endpoint, proper in ENDPOINTS:
        if base.endswith("generations") and not endpoint.startswith("images"):
            # Given as the base URL, an endpoint serves itself.
            continue
        for joined in (f"{base.rstrip('/')}/{endpoint}", f"{base}//{endpoint}/"):
            response = await client.request(method, f"http://danqing.test{joined}")
            expected = await client.request(method, f"http://danqing.test{proper}")
            assert response.status_code == expected.status_code, joined
            if response.status_code >= 400:
                assert response.json()["error"] == expected.json()["error"], joined
                assert response.json()["path"] == proper, joined


async def test_a_picture_is_drawn_at_every_spelling(client, body, engine):
    for base in BASES:
        response = await client.post(f"http://danqing.test{base}//images/generations/", json=body())
        assert response.status_code == 200, (base, response.text)
    assert len(engine.requests) == len(BASES)


async def test_health_and_files_take_double_slashes_too(client, body):
    assert (await client.get("http://danqing.test//healthz/")).status_code == 200
    url = (await client.post("/v1/images/generations", json=body())).json()["data"][0]["url"]
    assert (await client.get(url.replace("/files/", "//files//"))).status_code == 200


async def test_a_whole_url_as_the_path_is_served_as_its_path(app):
    status = None

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        nonlocal status
        status = message.get("status", status)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "http://any.example:80/healthz",
        "query_string": b"",
        "headers": [],
    }
    await app(scope, receive, send)
    assert status == 200


async def test_what_is_no_endpoint_stays_unknown(client):
    for path in ("/v1", "/v1/v1", "/v3/models", "/v1/images", "/v1/../models/x", "/docs/", "/v1/docs"):
        response = await client.get(f"http://danqing.test{path}", follow_redirects=False)
        assert response.status_code == 404, path


@pytest.mark.parametrize("settings", [{"public_url": "https://ai.example.org/danqing/"}], indirect=True)
async def test_the_path_of_the_public_url_may_be_left_in_by_the_proxy(client, body):
    for base in ("", "/danqing", "/danqing/", "//danqing//v1"):
        assert (await client.post(f"http://danqing.test{base}/images/generations", json=body())).status_code == 200
    page = await client.get("/danqing/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")


async def test_the_metrics_count_all_spellings_as_one_route(client):
    await client.get("/models/")
    text = (await client.get("/metrics")).text
    assert 'route="/v1/models",status="200"' in text
