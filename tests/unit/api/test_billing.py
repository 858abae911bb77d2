"""The balance as clients see it."""

import pytest
from unit.api.calls import PATH


async def test_the_balance_is_told_in_credits_and_dollars(client, body):
    await client.post(PATH, json=body(num_images=2))
    balance = (await client.get("/v1/billing/balance")).json()
    assert (balance["balance"], balance["lowBalance"], balance["lowBalanceThreshold"]) == (99_580_000, False, 10_000)
    assert (balance["autoDebitStatus"], balance["status"]) == ("disabled", "current")
    assert (await client.get("/v2/billing")).json() == {"current_balance": 49.79, "currency": "USD"}


@pytest.mark.parametrize("settings", [{"low_balance_credits": 100_000_001}], indirect=True)
async def test_a_low_balance_says_what_to_do(client):
    balance = (await client.get("/v1/billing/balance")).json()
    assert balance["lowBalance"] is True
    assert "danqing credits grant" in balance["statusExplanation"]


async def test_the_detail_names_the_account_by_a_number_and_no_automatic_payments(client):
    detail = (await client.get("/v2/billing/detail")).json()
    user_id = detail.pop("user_id")
    assert 0 < user_id < 2**53
    assert (await client.get("/v2/billing/detail")).json()["user_id"] == user_id
    assert detail == {
        "email": "",
        "current_balance": 50.0,
        "currency": "USD",
        "autotopup_settings": {"is_enabled": False, "threshold": 0, "amount": 0, "currency": "USD"},
    }
