"""The web application as browsers of other origins and unknown paths meet it."""

from unit.api.calls import PATH


async def test_a_browser_of_any_origin_may_ask(anonymous):
    headers = {
        "Origin": "https://elsewhere.test",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    response = await anonymous.options(PATH, headers=headers)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "*"
    assert "idempotency-key" in response.headers["access-control-allow-headers"]
