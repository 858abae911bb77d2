"""OpenAI's own Python client against a real server: what it sends is understood, what it expects comes back."""

import asyncio

import openai
import pytest
from unit.api.calls import MODEL


@pytest.fixture
async def sdk(server_url, key):
    async with openai.AsyncOpenAI(base_url=f"{server_url}/v1", api_key=key, max_retries=0) as client:
        yield client


async def test_generate(sdk):
    answer = await sdk.images.generate(model=MODEL, prompt="a fox", n=2, size="128x64", response_format="b64_json")
    assert answer.created > 1_700_000_000
    assert len(answer.data) == 2
    assert answer.data[0].b64_json
    assert answer.data[0].url is None


async def test_generate_with_the_fields_of_the_described_request(sdk):
    answer = await sdk.images.generate(
        model=MODEL, prompt="a fox", extra_body={"image_size": "landscape_16_9", "num_inference_steps": 2, "seed": 7}
    )
    assert "/files/b/" in answer.data[0].url


async def test_stream_with_two_partial_images(sdk):
    stream = await sdk.images.generate(model=MODEL, prompt="a fox", size="64x64", stream=True, partial_images=2)
    events = [event async for event in stream]
    assert [event.type for event in events] == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    assert [event.partial_image_index for event in events[:2]] == [0, 1]
    assert events[-1].usage.total_tokens == 0


async def test_headers_through_the_raw_response(sdk):
    raw = await sdk.images.with_raw_response.generate(model=MODEL, prompt="a fox", size="64x64")
    assert raw.headers["x-aimlapi-credits-used"] == "210000"
    assert raw.request_id == raw.headers["x-inference-id"]
    assert (await raw.parse()).data if asyncio.iscoroutine(raw.parse()) else raw.parse().data


async def test_models_list(sdk):
    assert [model.id async for model in sdk.models.list()] == [MODEL]
    assert (await sdk.models.retrieve(MODEL)).owned_by == "hunyuan"


async def test_error_classes(sdk, engine):
    with pytest.raises(openai.BadRequestError) as bad:
        await sdk.images.generate(model=MODEL, prompt="a fox", n=9)
    assert (bad.value.code, bad.value.param, bad.value.type) == ("invalid_payload", "n", "invalid_request_error")
    with pytest.raises(openai.NotFoundError):
        await sdk.images.generate(model="dall-e-3", prompt="a fox")
    with pytest.raises(openai.AuthenticationError):
        await sdk.with_options(api_key="0" * 32).images.generate(model=MODEL, prompt="a fox")
    from danqing.errors import Overloaded

    engine.error = Overloaded(retry_after_seconds=3)
    with pytest.raises(openai.InternalServerError) as busy:
        await sdk.images.generate(model=MODEL, prompt="a fox", size="64x64")
    assert busy.value.status_code == 503
    with pytest.raises(openai.APIError) as midway:
        async for _ in await sdk.images.generate(model=MODEL, prompt="a fox", size="64x64", stream=True):
            pass
    assert midway.value.code == "overloaded"
