"""Balance and transactions of an account."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from danqing.accounts.credits import Balance, balance
from danqing.accounts.pricing import usd_from_credits
from danqing.api.auth import Caller
from danqing.api.periods import Moment, wire_time
from danqing.api.services import Services, ServicesDep
from danqing.reports.pages import MAX_PAGE_ROWS
from danqing.reports.transactions import (
    Direction,
    Transaction,
    TransactionFilter,
    TransactionType,
    list_transactions,
)

DEFAULT_PAGE_ROWS = 20
MAX_CURSOR_CHARACTERS = 300

router = APIRouter(tags=["billing"])

PageRows = Annotated[int, Query(ge=1, le=MAX_PAGE_ROWS)]


@router.get("/v1/billing/balance")
async def read_balance(services: ServicesDep, caller: Caller) -> Response:
    """The balance in credits."""
    present = await _balance(services, caller.account_id)
    threshold = services.low_balance_credits
    low = present.available_credits < threshold
    return JSONResponse(
        {
            "balance": present.available_credits,
            "lowBalance": low,
            "lowBalanceThreshold": threshold,
            "lastUpdated": wire_time(present.updated_at),
            "autoDebitStatus": "disabled",
            "status": "current",
            "statusExplanation": "Balance is low; grant credits with `danqing credits grant`."
            if low
            else "Balance is current.",
        }
    )


@router.get("/v2/billing")
async def read_balance_usd(services: ServicesDep, caller: Caller) -> Response:
    """The balance in US dollars."""
    present = await _balance(services, caller.account_id)
    return JSONResponse({"current_balance": float(usd_from_credits(present.available_credits)), "currency": "USD"})


@router.get("/v2/billing/transactions")
async def read_transactions(
    services: ServicesDep,
    caller: Caller,
    created_from: Annotated[Moment | None, Query(alias="from")] = None,
    created_to: Annotated[Moment | None, Query(alias="to")] = None,
    direction: Direction | None = None,
    type: TransactionType | None = None,
    limit: PageRows = DEFAULT_PAGE_ROWS,
    cursor: Annotated[str | None, Query(max_length=MAX_CURSOR_CHARACTERS)] = None,
) -> Response:
    """Credits that came and went, newest first."""
    only = TransactionFilter(created_from=created_from, created_to=created_to, direction=direction, type=type)
    page = await services.database.run_read(
        lambda conn: list_transactions(conn, account_id=caller.account_id, only=only, limit=limit, cursor=cursor)
    )
    return JSONResponse(
        {
            "data": [_transaction_fields(transaction) for transaction in page.transactions],
            "pagination": {"next_cursor": page.next_cursor, "has_more": page.next_cursor is not None},
        }
    )


async def _balance(services: Services, account_id: str) -> Balance:
    return await services.database.run_read(lambda conn: balance(conn, account_id))


def _transaction_fields(transaction: Transaction) -> dict[str, Any]:
    return {
        "created_at": wire_time(transaction.created_at),
        "direction": transaction.direction.value,
        "type": transaction.type.value,
        "amount": {
            "usd": float(usd_from_credits(transaction.amount_credits)),
            "credits": transaction.amount_credits,
        },
        "model": transaction.model,
        "reference_id": transaction.reference_id,
    }
