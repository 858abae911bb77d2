"""Requests in the shapes that clients of the trade send, and the field of the response that each of them reads."""

import base64
import json
from pathlib import Path

import pytest

RECORDED = json.loads((Path(__file__).parents[3] / "data" / "client-requests.json").read_text())
PAGE = Path(__file__).parents[4] / "docs" / "clients.md"


@pytest.mark.parametrize("settings", [{"model_aliases": "gpt-image-1,dall-e-3"}], indirect=True)
@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded["client"])
async def test_a_client_reads_an_image_from_the_response(client, settings, recorded):
    response = await client.post(
        f"http://danqing.test{recorded['path']}", json=recorded["body"], headers=recorded.get("headers")
    )
    assert response.status_code == 200, response.text
    (image,) = response.json()["data"]
    if recorded["reads"] == "b64_json":
        data = base64.b64decode(image["b64_json"])
    else:
        data = (await client.get(image["url"])).content
    assert data.startswith(b"\x89PNG")


def test_every_recorded_client_is_on_the_page():
    text = PAGE.read_text()
    names = {recorded["client"].partition(",")[0].partition(" with")[0] for recorded in RECORDED}
    assert not [name for name in names if name not in text]
