"""Balance of an account, in credits and in US dollars."""

import hashlib
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from danqing.accounts.credits import balance
from danqing.accounts.pricing import usd_from_credits
from danqing.api.auth import Caller
from danqing.api.periods import WireTime
from danqing.api.services import Services, ServicesDep

# A number of this size is exact in every JSON parser.
USER_ID_BYTES = 6

router = APIRouter(tags=["billing"])


class BalanceBody(BaseModel):
    """The balance in credits."""

    balance: int
    lowBalance: bool
    lowBalanceThreshold: int
    lastUpdated: WireTime
    autoDebitStatus: Literal["disabled"] = "disabled"
    status: Literal["current"] = "current"
    statusExplanation: str


class UsdBalanceBody(BaseModel):
    """The balance in US dollars."""

    current_balance: float
    currency: Literal["USD"] = "USD"


class AutoTopUpSettings(BaseModel):
    """Automatic payments, which a server of one's own has none of."""

    is_enabled: Literal[False] = False
    threshold: float = 0
    amount: float = 0
    currency: Literal["USD"] = "USD"


class BillingDetailBody(UsdBalanceBody):
    """The account and its balance. `user_id` is made of the account's name; accounts have no email here."""

    user_id: int
    email: Literal[""] = ""
    autotopup_settings: AutoTopUpSettings = AutoTopUpSettings()


@router.get("/v1/billing/balance")
async def read_balance(services: ServicesDep, caller: Caller) -> BalanceBody:
    """The balance in credits."""
    available_credits = await _available_credits(services, caller.account_id)
    low = available_credits < services.low_balance_credits
    return BalanceBody(
        balance=available_credits,
        lowBalance=low,
        lowBalanceThreshold=services.low_balance_credits,
        lastUpdated=services.clock(),
        statusExplanation="Balance is low; grant credits with `danqing credits grant`"
        if low
        else "Balance is current and up to date",
    )


@router.get("/v2/billing")
async def read_balance_usd(services: ServicesDep, caller: Caller) -> UsdBalanceBody:
    """The balance in US dollars."""
    return UsdBalanceBody(current_balance=await _available_usd(services, caller.account_id))


@router.get("/v2/billing/detail")
async def read_billing_detail(services: ServicesDep, caller: Caller) -> BillingDetailBody:
    """The account, its balance in US dollars, and its automatic payments: there are none."""
    digest = hashlib.sha256(caller.account_id.encode()).digest()
    return BillingDetailBody(
        user_id=int.from_bytes(digest[:USER_ID_BYTES]),
        current_balance=await _available_usd(services, caller.account_id),
    )


async def _available_usd(services: Services, account_id: str) -> float:
    return float(usd_from_credits(await _available_credits(services, account_id)))


async def _available_credits(services: Services, account_id: str) -> int:
    return (await services.database.run_read(lambda conn: balance(conn, account_id))).available_credits
