"""Transactions: the credits that entered or left an account, newest first."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from danqing.api.auth import Caller
from danqing.api.issues import invalid_request, issue
from danqing.api.periods import MomentWithOffset, WireTime
from danqing.api.report_bodies import DEFAULT_PAGE_ROWS, AmountFields, PageRows, amount_fields
from danqing.api.services import ServicesDep
from danqing.reports.transactions import (
    Direction,
    Transaction,
    TransactionFilter,
    TransactionType,
    list_transactions,
)

MAX_CURSOR_CHARACTERS = 300

router = APIRouter(tags=["billing"])


class TransactionRow(BaseModel):
    """One movement of credits. `reference_id` is the inference id of a charge.

    `balance_after` includes what running requests hold.
    """

    created_at: WireTime
    direction: Direction
    type: TransactionType
    amount: AmountFields
    model: str | None
    reference_id: str | None
    balance_after: AmountFields


class TransactionPagination(BaseModel):
    """Where to go on."""

    next_cursor: str | None
    has_more: bool


class TransactionBody(BaseModel):
    """A page of transactions, newest first."""

    data: list[TransactionRow]
    pagination: TransactionPagination


@router.get("/v2/billing/transactions")
async def read_transactions(
    services: ServicesDep,
    caller: Caller,
    created_from: Annotated[
        MomentWithOffset | None, Query(alias="from", description="ISO 8601 with an offset; included.")
    ] = None,
    created_to: Annotated[
        MomentWithOffset | None, Query(alias="to", description="ISO 8601 with an offset, after `from`; not included.")
    ] = None,
    direction: Direction | None = None,
    type: TransactionType | None = None,
    limit: PageRows = DEFAULT_PAGE_ROWS,
    cursor: Annotated[
        str | None, Query(max_length=MAX_CURSOR_CHARACTERS, description="`pagination.next_cursor` of the page before.")
    ] = None,
) -> TransactionBody:
    """Credits that entered or left the account, newest first."""
    if created_from is not None and created_to is not None and created_to <= created_from:
        raise invalid_request([issue("custom", ["to"], "Must be later than `from`")])
    only = TransactionFilter(created_from=created_from, created_to=created_to, direction=direction, type=type)
    page = await services.database.run_read(
        lambda conn: list_transactions(conn, account_id=caller.account_id, only=only, limit=limit, cursor=cursor)
    )
    return TransactionBody(
        data=[_row(transaction) for transaction in page.transactions],
        pagination=TransactionPagination(next_cursor=page.next_cursor, has_more=page.next_cursor is not None),
    )


def _row(transaction: Transaction) -> TransactionRow:
    return TransactionRow(
        created_at=transaction.created_at,
        direction=transaction.direction,
        type=transaction.type,
        amount=amount_fields(transaction.amount_credits),
        model=transaction.model,
        reference_id=transaction.reference_id,
        balance_after=amount_fields(transaction.balance_credits),
    )
