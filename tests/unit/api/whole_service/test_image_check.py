"""The image check through the whole service: no picture of any kind leaves unchecked while it is on."""

import base64
import io

import pytest
from fakes import FakeImageCheck
from PIL import Image
from unit.api.calls import PATH, events_of

from danqing.errors import Overloaded

FLAGGED_SHADE = 4


@pytest.fixture
def image_check():
    """Flags every picture of at least this shade: the fake engine's preview of step 4, and images of larger seeds."""
    return FakeImageCheck(flags=lambda raster: raster.rgb[0] >= FLAGGED_SHADE)


def shade_of(encoded):
    return Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB").getpixel((0, 0))[0]


async def test_a_stream_sends_no_preview_from_a_flagged_one_on_and_a_black_image(http, body):
    request = body(stream=True, partial_images=3, num_inference_steps=8, seed=100)
    async with http.stream("POST", PATH, json=request, headers={"Accept": "application/json"}) as response:
        events = await events_of(response)
    shades = [(name.rpartition(".")[2], shade_of(data["b64_json"])) for name, data in events]
    assert shades == [("partial_image", 2), ("completed", 0)]
    assert events[-1][1]["meta"]["safety"] == {
        "enabled": True,
        "prompt_check": "danqing-policy-2",
        "image_check": "fake eyes",
        "image_scores": [0.9],
    }


async def test_the_events_of_a_job_carry_no_preview_from_a_flagged_one_on(http, body, engine):
    engine.gate.clear()
    request = body(num_inference_steps=8, seed=2, n=2)
    headers = {"Prefer": "respond-async, previews=50"}
    job_id = (await http.post(PATH, json=request, headers=headers)).json()["id"]
    async with http.stream("GET", f"{PATH}/{job_id}/events") as response:
        engine.gate.set()
        events = await events_of(response)
    steps = [data for name, data in events if name == "image_generation.progress"]
    assert {data["step"] for data in steps} == set(range(1, 9))
    assert all(shade_of(data["b64_json"]) < FLAGGED_SHADE for data in steps if "b64_json" in data)
    finished = (await http.get(f"{PATH}/{job_id}")).json()
    assert [image["flagged"] for image in finished["data"]] == [False, False]
    assert finished["meta"]["safety"]["image_scores"] == [0.1, 0.1]


async def test_a_check_that_fails_shows_no_preview_and_delivers_nothing(client, body, image_check):
    image_check.failure = Overloaded("The image check is not ready.", retry_after_seconds=1)
    response = await client.post(PATH, json=body(stream=True, partial_images=3, num_inference_steps=8))
    assert [name for name, _ in await events_of(response)] == ["error"]
    assert len(image_check.rasters) > 1


async def test_a_caller_who_switches_the_checker_off_gets_every_preview(client, body, image_check):
    request = body(stream=True, partial_images=3, num_inference_steps=8, seed=100, enable_safety_checker=False)
    events = await events_of(await client.post(PATH, json=request))
    assert [shade_of(data["b64_json"]) for _, data in events] == [2, 4, 6, 100]
    assert image_check.rasters == []
