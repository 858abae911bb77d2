"""A request's way through the whole service, as a collector of traces sees it."""

import httpx
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from unit.api.calls import PATH

from danqing.app import create_app
from danqing.engine.interface import EngineCrashed
from danqing.errors import Overloaded
from danqing.tracing import INFERENCE_ID, Tracing


async def spans_after(settings, engine, key, *bodies):
    """Ask for each, end the server, and return for each the spans of its inference id."""
    exporter = InMemorySpanExporter()
    app = create_app(settings, engine=engine, tracing=Tracing(exporter, version="0"))
    async with app.router.lifespan_context(app):
        transport, headers = httpx.ASGITransport(app=app), {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://danqing.test", headers=headers) as client:
            ids = [(await client.post(PATH, json=body)).headers["x-inference-id"] for body in bodies]
    spans = exporter.get_finished_spans()
    return [[span for span in spans if span.attributes[INFERENCE_ID] == inference_id] for inference_id in ids]


async def test_request_job_engine_and_storage_are_one_trace_with_the_inference_id(settings, engine, key, body):
    first, second = await spans_after(settings, engine, key, body(n=2), body())
    assert sorted(span.name for span in first) == [f"POST {PATH}", "engine", "job", "storage", "storage"]
    assert len({span.context.trace_id for span in first}) == 1
    assert first[0].context.trace_id != second[0].context.trace_id
    assert all(span.status.status_code is StatusCode.UNSET for span in first)
    by_name = {span.name: span for span in first}
    assert by_name[f"POST {PATH}"].attributes["http.response.status_code"] == 200
    assert by_name["job"].attributes["danqing.status"] == "completed"
    assert by_name["engine"].attributes["danqing.num_images"] == 2
    assert by_name["storage"].attributes["danqing.num_bytes"] > 100
    request = by_name[f"POST {PATH}"]
    assert all(request.start_time <= span.start_time <= span.end_time <= request.end_time for span in first)


async def test_what_failed_is_marked(settings, engine, key, body):
    engine.error = Overloaded(retry_after_seconds=3)
    ((*spans,),) = await spans_after(settings, engine, key, body())
    assert sorted(span.name for span in spans) == [f"POST {PATH}", "engine", "job"]
    assert {span.status.status_code for span in spans} == {StatusCode.ERROR}


async def test_a_refused_request_has_no_job(settings, engine, key, body):
    ((span,),) = await spans_after(settings, engine, key, body(n=9))
    assert span.attributes["http.response.status_code"] == 400
    assert span.status.status_code is StatusCode.UNSET


async def test_the_expansion_of_a_prompt_is_in_the_trace_of_its_request(settings, engine, key, body):
    engine.caption = "a large red square,"
    ((*spans,),) = await spans_after(settings, engine, key, body(enable_prompt_expansion=True, seed=7))
    (span,) = [span for span in spans if span.name == "expand"]
    assert span.attributes["danqing.num_characters"] == len("a large red square, 7")
    engine.caption = EngineCrashed()
    ((*spans,),) = await spans_after(settings, engine, key, body(enable_prompt_expansion=True))
    assert [span.status.status_code for span in spans if span.name == "expand"] == [StatusCode.ERROR]
