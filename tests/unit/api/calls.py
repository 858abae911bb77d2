"""What the tests of the API send, and how they read streams."""

import json

import httpx

MODEL = "hunyuan/hunyuan-image-v3-text-to-image"
PATH = "/v1/images/generations"
VALID = {"model": MODEL, "prompt": "a red fox", "num_inference_steps": 1, "image_size": {"width": 64, "height": 64}}


async def events_of(response: httpx.Response) -> list[tuple[str, dict]]:
    """Parse server-sent events strictly: event line, data line, empty line."""
    text = (await response.aread()).decode()
    events = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        assert name.startswith("event: ")
        assert data.startswith("data: ")
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events
