"""Health checks and metrics."""

import asyncio

import pytest
from unit.api.calls import PATH

from danqing.engine.interface import EngineState


async def test_the_server_is_alive_before_it_is_ready(anonymous, engine):
    engine.state = EngineState.STARTING
    assert (await anonymous.get("/healthz")).json() == {"status": "ok"}
    response = await anonymous.get("/readyz")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
    assert "the engine is starting (on purpose)" in response.json()["message"]
    assert response.headers["Retry-After"] == "2"
    engine.state = EngineState.READY
    assert (await anonymous.get("/readyz")).json() == {
        "status": "ready",
        "engine": "fake (draws grey)",
        "model": "fake (draws grey)",
    }


async def test_metrics_count_requests_by_route_and_jobs_by_end(client, body):
    await client.post(PATH, json=body())
    await client.post(PATH, json=body(prompt="a naked child"))
    await client.get("/nothing/at/all")
    text = (await client.get("/metrics")).text
    assert f'http_requests_total{{method="POST",route="{PATH}",status="200"}} 1.0' in text
    assert 'http_requests_total{method="GET",route="unknown",status="404"} 1.0' in text
    assert 'danqing_jobs_total{error_code="",status="completed"} 1.0' in text
    assert 'danqing_request_errors_total{code="moderation_blocked"} 1.0' in text
    assert "danqing_credits_charged_total 210000.0" in text
    assert 'danqing_images_total{flagged="false"} 1.0' in text
    assert "danqing_jobs_queued 0.0" in text
    assert "process_resident_memory_bytes" in text


async def test_many_checks_at_once_write_once(anonymous, app, monkeypatch):
    store, num_checks = app.state.services.store, 0
    check = store.check_writable

    async def counted():
        nonlocal num_checks
        num_checks += 1
        await check()

    monkeypatch.setattr(store, "check_writable", counted)
    responses = await asyncio.gather(*(anonymous.get("/readyz") for _ in range(20)))
    assert {response.status_code for response in responses} == {200}
    assert num_checks == 1


async def test_metrics_are_gathered_once_for_all_who_ask_at_the_same_time(anonymous, app, monkeypatch):
    metrics, gathered = app.state.services.metrics, []
    monkeypatch.setattr(metrics, "text", lambda: gathered.append(True) or b"figures")
    responses = await asyncio.gather(*(anonymous.get("/metrics") for _ in range(20)))
    assert {response.text for response in responses} == {"figures"}
    assert len(gathered) == 1


@pytest.mark.parametrize("settings", [{"metrics_token": "s3cret"}], indirect=True)
async def test_metrics_may_ask_for_a_token(anonymous):
    for authorization in (None, "Bearer x", "s3cret", "Bearer s3crett"):
        headers = {} if authorization is None else {"Authorization": authorization}
        response = await anonymous.get("/metrics", headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key"), authorization
    assert (await anonymous.get("/metrics", headers={"Authorization": "Bearer s3cret"})).status_code == 200
    assert (await anonymous.get("/healthz")).status_code == 200
