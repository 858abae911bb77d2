"""Transactions: the credits that entered or left an account, as its owner sees them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row

from danqing.accounts.credits import TransferKind, balance
from danqing.reports import queries
from danqing.reports.pages import read_cursor, require_limit, write_cursor


class Direction(StrEnum):
    """Into the account or out of it."""

    TOPUP = "TOPUP"
    CHARGE = "CHARGE"


class TransactionType(StrEnum):
    """What the credits were for. Only adjustments and usage happen here; the others are the described platform's."""

    PAYMENT = "PAYMENT"
    BONUS = "BONUS"
    REFUND = "REFUND"
    ADJUSTMENT = "ADJUSTMENT"
    MODEL_USAGE = "MODEL_USAGE"
    CREDITS_EXPIRED = "CREDITS_EXPIRED"
    INIT = "INIT"


# Holds and releases are the ledger's own business: they neither enter nor leave the account.
_SHOWN = {
    TransferKind.GRANT: (Direction.TOPUP, TransactionType.ADJUSTMENT),
    TransferKind.CAPTURE: (Direction.CHARGE, TransactionType.MODEL_USAGE),
}


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """Credits that entered or left an account; `reference_id` is the job's id for a charge, None for a grant.

    `balance_credits` is what the account had right afterwards, held credits included.
    """

    created_at: datetime
    direction: Direction
    type: TransactionType
    amount_credits: int
    model: str | None
    reference_id: str | None
    balance_credits: int


@dataclass(frozen=True, kw_only=True)
class TransactionFilter:
    """Which transactions to show; None does not restrict. `created_to` itself is not included."""

    created_from: datetime | None = None
    created_to: datetime | None = None
    direction: Direction | None = None
    type: TransactionType | None = None


@dataclass(frozen=True, kw_only=True)
class TransactionPage:
    """Transactions, newest first; `next_cursor` continues where this page ends, None at the end."""

    transactions: tuple[Transaction, ...]
    next_cursor: str | None


def list_transactions(
    conn: Connection, *, account_id: str, only: TransactionFilter, limit: int, cursor: str | None
) -> TransactionPage:
    """Return a page of the account's transactions. Raises InvalidRequest for a limit out of range or a bad cursor."""
    require_limit(limit)
    kinds = [
        kind
        for kind, (direction, transaction_type) in _SHOWN.items()
        if only.direction in (None, direction) and only.type in (None, transaction_type)
    ]
    rows = queries.list_transfers(
        conn,
        account_id=account_id,
        kinds=kinds,
        created_from=only.created_from,
        created_to=only.created_to,
        before=None if cursor is None else read_cursor(cursor),
        limit=limit + 1,
    )
    page = rows[:limit]
    has_more = len(rows) > limit
    balances = _balances(conn, page, account_id=account_id)
    return TransactionPage(
        transactions=tuple(
            Transaction(
                created_at=row.created_at,
                direction=_SHOWN[TransferKind(row.kind)][0],
                type=_SHOWN[TransferKind(row.kind)][1],
                amount_credits=row.amount_credits,
                model=row.model,
                reference_id=row.hold_id,
                balance_credits=balances[row.id],
            )
            for row in page
        ),
        next_cursor=write_cursor(page[-1].created_at, page[-1].id) if has_more else None,
    )


def _balances(conn: Connection, page: list[Row[Any]], *, account_id: str) -> dict[str, int]:
    """Return what the account had after each transfer of a page: its present credits, less what came since."""
    if not page:
        return {}
    signs = {kind.value: 1 if direction is Direction.TOPUP else -1 for kind, (direction, _) in _SHOWN.items()}
    ids = [row.id for row in page]
    since = queries.credits_since(conn, account_id=account_id, signs=signs, oldest=page[-1].created_at, ids=ids)
    present = balance(conn, account_id)
    return {row_id: present.available_credits + present.held_credits - amount for row_id, amount in since.items()}
