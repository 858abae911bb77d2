"""The upstream engine against a stand-in for vLLM-Omni: what it asks for, and what becomes of every kind of failure."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest
from unit.engine.upstream.stub import MODEL, Stub, png, serving

from danqing.engine.interface import EngineCrashed, EngineFailed, EngineState, ExpansionFailed, ImageResult, Progress
from danqing.engine.upstream.engine import Upstream, UpstreamEngine
from danqing.engine.upstream.responses import MAX_RESPONSE_BYTES, BadResponse
from danqing.errors import GenerationTimeout, InvalidRequest, ModerationBlocked, Overloaded, ServiceError
from danqing.pictures.request import ImageRequest

REQUEST = ImageRequest(
    prompt="a fox",
    seed=41,
    width_px=1000,
    height_px=500,
    num_images=2,
    num_inference_steps=4,
    guidance_scale=2.5,
    negative_prompt="snow",
)
JSON = "application/json"


def misbehaving(status: int, body: object) -> tuple[int, str, list[bytes | None]]:
    return status, JSON, [body if isinstance(body, bytes) else json.dumps(body).encode()]


def image_body(file: bytes) -> dict[str, object]:
    return {"data": [{"b64_json": base64.b64encode(file).decode()}]}


@asynccontextmanager
async def drawing_on(
    stub: Stub, *, model: str | None = None, timeout_seconds: float = 20
) -> AsyncIterator[UpstreamEngine]:
    upstream = Upstream(base_url=stub.url, api_key="secret", model=model, image_timeout_seconds=timeout_seconds)
    engine = UpstreamEngine(upstream, health_interval_seconds=0.02)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


async def until(engine: UpstreamEngine, state: EngineState) -> None:
    async with asyncio.timeout(10):
        while engine.status().state is not state:
            await asyncio.sleep(0.01)


async def drawn(engine: UpstreamEngine, request: ImageRequest = REQUEST) -> list[Progress | ImageResult]:
    async with aclosing(engine.generate(request)) as events:
        return [event async for event in events]


async def failure(stub: Stub, *, timeout_seconds: float = 20) -> ServiceError:
    async with drawing_on(stub, timeout_seconds=timeout_seconds) as engine:
        await until(engine, EngineState.READY)
        with pytest.raises(ServiceError) as raised:
            await drawn(engine)
    return raised.value


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    async with serving(Stub()) as stub:
        yield stub


async def test_each_image_is_one_call_at_the_nearest_bucket_and_is_fitted_here(stub: Stub) -> None:
    async with drawing_on(stub) as engine:
        await until(engine, EngineState.READY)
        events = await drawn(engine)
    images = [event for event in events if isinstance(event, ImageResult)]
    assert [(image.image_index, image.seed) for image in images] == [(0, 41), (1, 42)]
    assert [(image.raster.width_px, image.raster.height_px) for image in images] == [(1000, 500)] * 2
    assert [image.raster.rgb[0] for image in images] == [41, 42]
    assert stub.bodies[0] == {
        "model": MODEL,
        "prompt": "a fox",
        "n": 1,
        "size": "1344x704",
        "response_format": "b64_json",
        "output_format": "png",
        "seed": 41,
        "generator_device": "cpu",
        "num_inference_steps": 4,
        "guidance_scale": 2.5,
        "negative_prompt": "snow",
    }
    assert stub.bodies[1] == stub.bodies[0] | {"seed": 42}
    assert images[0].warnings == ("negative_prompt: has no effect; vLLM-Omni does not pass it to this model",)


async def test_a_request_without_a_size_is_drawn_square_with_a_warning(stub: Stub) -> None:
    async with drawing_on(stub) as engine:
        await until(engine, EngineState.READY)
        request = replace(REQUEST, width_px=None, height_px=None, negative_prompt="", num_images=1)
        image = (await drawn(engine, request))[-1]
    assert isinstance(image, ImageResult)
    assert (image.raster.width_px, image.raster.height_px) == (1024, 1024)
    assert image.warnings == ("image_size: vLLM-Omni cannot choose one; drawn at 1024x1024",)


async def test_a_server_that_speaks_only_the_api_gets_its_fields_and_no_others(stub: Stub) -> None:
    stub.owner = "somebody"
    async with drawing_on(stub) as engine:
        await until(engine, EngineState.READY)
        image = (await drawn(engine))[-1]
        assert engine.status().description == f"upstream OpenAI's API: {MODEL}"
    assert set(stub.bodies[0]) == {"model", "prompt", "n", "size", "response_format"}
    assert isinstance(image, ImageResult)
    assert "seed, num_inference_steps, guidance_scale, negative_prompt: have no effect" in image.warnings[0]


async def test_the_engine_is_named_with_what_draws_behind_it(stub: Stub) -> None:
    async with drawing_on(stub) as engine:
        await until(engine, EngineState.READY)
        assert engine.status().description == f"upstream vLLM-Omni: {MODEL}"
        assert engine.status().model == MODEL


async def test_progress_is_estimated_and_says_so(stub: Stub) -> None:
    request = replace(REQUEST, num_images=1)
    async with drawing_on(stub) as engine:
        await until(engine, EngineState.READY)
        stub.gate.clear()
        async with aclosing(engine.generate(request)) as events:
            first = await anext(events)
            assert first == Progress(image_index=0, step=1, num_steps=4, estimated=True)
            stub.gate.set()
            steps = [event.step async for event in events if isinstance(event, Progress)]
    assert steps == sorted(steps)
    assert all(step < 4 for step in steps)


async def test_closing_the_generator_closes_the_connection(stub: Stub) -> None:
    async with drawing_on(stub) as engine:
        await until(engine, EngineState.READY)
        stub.gate.clear()
        async with aclosing(engine.generate(REQUEST)) as events:
            await anext(events)
        await asyncio.wait_for(stub.left.wait(), 5)


async def test_health_is_followed_from_ready_to_away_and_back(stub: Stub) -> None:
    stub.healthy = False
    async with drawing_on(stub) as engine:
        await asyncio.sleep(0.1)
        assert engine.status().state is EngineState.STARTING
        assert engine.status().public_detail == "upstream: its /health has status 503"
        with pytest.raises(Overloaded):
            await drawn(engine)
        stub.healthy = True
        await until(engine, EngineState.READY)
        stub.healthy = False
        await until(engine, EngineState.RESTARTING)
        stub.healthy = True
        await until(engine, EngineState.READY)


async def test_a_refused_key_is_named(stub: Stub) -> None:
    stub.key = "another"
    async with drawing_on(stub) as engine:
        await asyncio.sleep(0.1)
        assert engine.status().public_detail == "upstream: it refuses DANQING_UPSTREAM_API_KEY"


async def test_a_connection_that_breaks_once_is_tried_again(stub: Stub) -> None:
    stub.num_breaks = 1
    async with drawing_on(stub) as engine:
        await until(engine, EngineState.READY)
        images = [event for event in await drawn(engine) if isinstance(event, ImageResult)]
    assert len(images) == 2
    assert [body["seed"] for body in stub.bodies] == [41, 41, 42]


async def test_a_connection_that_breaks_twice_is_a_crash(stub: Stub) -> None:
    stub.num_breaks = 2
    assert isinstance(await failure(stub), EngineCrashed)
    assert len(stub.bodies) == 2


async def test_a_server_that_is_too_slow_is_a_timeout(stub: Stub) -> None:
    stub.gate.clear()
    error = await failure(stub, timeout_seconds=0.3)
    assert isinstance(error, GenerationTimeout)
    assert error.message == "The upstream engine took longer than 0.3 s."
    assert len(stub.bodies) == 1


async def test_an_endless_body_is_cut_off(stub: Stub) -> None:
    stub.misbehave = (200, JSON, [b'{"data": [{"b64_json": "', *[b"A" * (1 << 20)] * 100, b'"}]}'])
    error = await failure(stub)
    assert isinstance(error, BadResponse)
    assert error.message == f"The upstream engine sent more than {MAX_RESPONSE_BYTES} bytes for one image."


@pytest.mark.parametrize(
    ("misbehaviour", "message"),
    [
        (misbehaving(200, b"<html>"), "The upstream engine sent something that is no list of images."),
        (misbehaving(200, b"[" * 60_000), "The upstream engine sent something that is no list of images."),
        (misbehaving(200, {"data": []}), "The upstream engine sent 0 images with no bytes, in place of one"),
        (misbehaving(200, {"data": [{"url": "http://x"}]}), "The upstream engine sent 1 images with no bytes"),
        (misbehaving(200, {"data": [{"b64_json": "?"}]}), "The upstream engine sent an image that is not in base64."),
        (misbehaving(200, image_body(b"no image")), "The upstream engine sent a file that is no image."),
        (misbehaving(200, image_body(png(1344, 704)[:-99])), "The upstream engine sent a file that is no image."),
        (misbehaving(200, image_body(png(64, 64))), "The upstream engine drew 64x64 pixels in place of 1344x704."),
        (misbehaving(302, b""), "The upstream engine failed, with status 302."),
        (misbehaving(500, {"detail": "CUDA out of memory at /models"}), "The upstream engine failed, with status 500."),
        ((200, "text/event-stream", [b"data: nonsense\n\n"]), "The upstream engine sent an event that cannot be read."),
        ((200, "text/event-stream", [b": ping\n\n"]), "The upstream engine ended its response without an image."),
    ],
)
async def test_nonsense_is_a_clear_error(
    stub: Stub, misbehaviour: tuple[int, str, list[bytes | None]], message: str
) -> None:
    stub.misbehave = misbehaviour
    error = await failure(stub)
    assert error.message.startswith(message)
    assert error.code == "server_error"
    assert len(stub.bodies) == 1, "only a broken connection is tried again"


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, {"detail": "Too long."}, InvalidRequest, "The upstream engine refused the request: Too long."),
        (422, {"detail": [{"msg": "bad size"}]}, InvalidRequest, "The upstream engine refused the request: bad size"),
        (
            400,
            {"error": {"message": "Too long.", "code": 400}},
            InvalidRequest,
            "The upstream engine refused the request: Too long.",
        ),
        (400, {"error": {"message": "No.", "code": "moderation_blocked"}}, ModerationBlocked, "No."),
        (401, {"error": "Unauthorized"}, EngineFailed, "The upstream engine refuses this server, with status 401."),
        (429, {"detail": "slow down"}, Overloaded, "The upstream engine is busy."),
        (503, {"error": {"message": "no"}}, Overloaded, "The upstream engine is busy."),
    ],
)
async def test_errors_of_either_shape_are_understood(
    stub: Stub, status: int, body: object, kind: type[ServiceError], message: str
) -> None:
    stub.misbehave = misbehaving(status, body)
    error = await failure(stub)
    assert type(error) is kind
    assert error.message == message


async def test_an_upstream_engine_expands_nothing(stub: Stub) -> None:
    async with drawing_on(stub) as engine:
        with pytest.raises(ExpansionFailed, match="DANQING_EXPANDER=remote"):
            await engine.expand(REQUEST)
