"""The API reference at /docs."""

import re


async def test_the_reference_is_served_by_this_server_alone(anonymous):
    page = await anonymous.get("/docs")
    assert page.status_code == 200
    assert "http" not in page.text
    assert "'unsafe" not in page.headers["content-security-policy"]
    for name in re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text):
        assert (await anonymous.get(f"/{name}")).status_code == 200, name
    assert (await anonymous.get("/redoc")).status_code == 404
