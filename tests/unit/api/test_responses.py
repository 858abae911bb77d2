"""Where the bytes of an image are in a response."""

import base64
import io

from PIL import Image
from unit.api.calls import PATH


async def test_sync_mode_fills_both_fields_with_the_bytes(client, body):
    (image,) = (await client.post(PATH, json=body(sync_mode=True))).json()["data"]
    assert image["url"] == f"data:image/png;base64,{image['b64_json']}"
    assert Image.open(io.BytesIO(base64.b64decode(image["b64_json"]))).size == (64, 64)


async def test_b64_json_comes_alone(client, body):
    (image,) = (await client.post(PATH, json=body(response_format="b64_json"))).json()["data"]
    assert "url" not in image
    assert base64.b64decode(image["b64_json"])[:4] == b"\x89PNG"
