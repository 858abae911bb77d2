"""Balance and transactions as clients see them."""

from unit.api.calls import PATH


async def test_money_is_told_in_credits_and_dollars(client, body):
    await client.post(PATH, json=body(num_images=2))
    balance = (await client.get("/v1/billing/balance")).json()
    assert (balance["balance"], balance["lowBalance"], balance["lowBalanceThreshold"]) == (99_580_000, False, 10_000)
    assert (balance["autoDebitStatus"], balance["status"]) == ("disabled", "current")
    assert (await client.get("/v2/billing")).json() == {"current_balance": 49.79, "currency": "USD"}
    transactions = (await client.get("/v2/billing/transactions?limit=1")).json()
    (charge,) = transactions["data"]
    assert (charge["direction"], charge["type"]) == ("CHARGE", "MODEL_USAGE")
    assert charge["amount"] == {"usd": 0.21, "credits": 420_000}
    assert transactions["pagination"]["has_more"] is True
    cursor = transactions["pagination"]["next_cursor"]
    (grant,) = (await client.get("/v2/billing/transactions", params={"cursor": cursor})).json()["data"]
    assert (grant["direction"], grant["amount"]["credits"]) == ("TOPUP", 100_000_000)
