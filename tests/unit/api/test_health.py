"""Health checks and metrics."""

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
    assert (await anonymous.get("/readyz")).json() == {"status": "ready", "engine": "fake (draws grey)"}


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
