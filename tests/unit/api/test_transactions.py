"""Transactions as clients see them."""

from unit.api.calls import PATH

TRANSACTIONS = "/v2/billing/transactions"


async def test_charges_name_their_request_and_pages_follow_the_cursor(client, body):
    drawn = await client.post(PATH, json=body(num_images=2))
    first = (await client.get(f"{TRANSACTIONS}?limit=1")).json()
    (charge,) = first["data"]
    assert (charge["direction"], charge["type"]) == ("CHARGE", "MODEL_USAGE")
    assert charge["amount"] == {"usd": 0.21, "credits": 420_000}
    assert (charge["model"], charge["reference_id"]) == (drawn.json()["model"], drawn.headers["x-inference-id"])
    assert first["pagination"]["has_more"] is True
    second = (await client.get(TRANSACTIONS, params={"cursor": first["pagination"]["next_cursor"]})).json()
    (grant,) = second["data"]
    assert (grant["direction"], grant["type"], grant["amount"]["credits"]) == ("TOPUP", "ADJUSTMENT", 100_000_000)
    assert (grant["model"], grant["reference_id"]) == (None, None)
    assert second["pagination"] == {"next_cursor": None, "has_more": False}


async def test_transactions_can_be_restricted(client, body):
    await client.post(PATH, json=body())

    async def num_shown(**query):
        return len((await client.get(TRANSACTIONS, params=query)).json()["data"])

    assert await num_shown() == 2
    assert await num_shown(direction="TOPUP") == await num_shown(type="ADJUSTMENT") == 1
    assert await num_shown(direction="CHARGE") == await num_shown(type="MODEL_USAGE") == 1
    assert await num_shown(type="PAYMENT") == 0
    assert await num_shown(to="2000-01-01T00:00:00Z") == 0
    assert await num_shown(**{"from": "2000-01-01T00:00:00+02:00"}) == 2


async def test_moments_need_an_offset_and_an_order(client):
    for query, named in (
        ({"from": "2026-08-01T00:00:00"}, "from"),
        ({"to": "2026-08-01"}, "to"),
        ({"from": "2026-08-01T00:00:00Z", "to": "2026-08-01T02:00:00+02:00"}, "to"),
        ({"from": "2026-08-02T00:00:00Z", "to": "2026-08-01T00:00:00Z"}, "to"),
    ):
        response = await client.get(TRANSACTIONS, params=query)
        assert (response.status_code, response.json()["error"]["param"]) == (400, named), query
