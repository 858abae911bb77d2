"""The ledger: integer credits, double entry, rows that never change.

A hold sets credits aside; it settles exactly once, by capture (of all or a part; the rest goes back) or by release.
Every function works inside the caller's transaction.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection

from danqing.accounts import queries, spend_limits
from danqing.errors import InsufficientCredits, InvalidRequest, NotFound

MAX_GRANT_CREDITS = 10**15


class TransferKind(StrEnum):
    """Why credits moved."""

    GRANT = "grant"
    HOLD = "hold"
    CAPTURE = "capture"
    RELEASE = "release"


# Which book each kind takes from and gives to.
BOOKS = {
    TransferKind.GRANT: ("grants", "available"),
    TransferKind.HOLD: ("available", "held"),
    TransferKind.CAPTURE: ("held", "revenue"),
    TransferKind.RELEASE: ("held", "available"),
}


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What an account can spend, what its running jobs hold, and when either last changed."""

    available_credits: int
    held_credits: int
    updated_at: datetime


def balance(conn: Connection, account_id: str) -> Balance:
    """Read the stored balance. Raises NotFound."""
    row = queries.find_account(conn, account_id)
    if row is None:
        raise NotFound(f"There is no account {account_id!r}.")
    return Balance(available_credits=row.available_credits, held_credits=row.held_credits, updated_at=row.updated_at)


def grant(conn: Connection, *, account_id: str, grant_id: str, amount_credits: int, now: datetime) -> None:
    """Add credits to an account; the same grant_id counts once. Raises NotFound or InvalidRequest."""
    if not 0 < amount_credits <= MAX_GRANT_CREDITS:
        raise InvalidRequest(f"amount_credits must be within 1..{MAX_GRANT_CREDITS}", param="amount_credits")
    balance(conn, account_id)
    transfer_id = f"grant:{grant_id}"
    if _transfer(
        conn, TransferKind.GRANT, transfer_id=transfer_id, account_id=account_id, amount=amount_credits, now=now
    ):
        queries.move_balance(conn, account_id, available_credits=amount_credits, held_credits=0, now=now)


def hold(
    conn: Connection, *, hold_id: str, account_id: str, api_key_id: str, amount_credits: int, now: datetime
) -> None:
    """Set credits aside; the same hold_id counts once.

    Raises SpendLimitReached when the key's limit does not allow it, InsufficientCredits when the balance does not.
    """
    spend_limits.require_room(conn, api_key_id=api_key_id, amount_credits=amount_credits, now=now)
    is_new = queries.insert_hold(
        conn,
        {
            "id": hold_id,
            "account_id": account_id,
            "api_key_id": api_key_id,
            "amount_credits": amount_credits,
            "created_at": now,
        },
    )
    if not is_new or amount_credits == 0:
        return
    if not queries.move_balance(
        conn, account_id, available_credits=-amount_credits, held_credits=amount_credits, now=now
    ):
        raise InsufficientCredits
    _transfer(conn, TransferKind.HOLD, hold_id=hold_id, account_id=account_id, amount=amount_credits, now=now)
    queries.add_spending(conn, api_key_id=api_key_id, day=now.date(), amount_credits=amount_credits)


def settle(conn: Connection, *, hold_id: str, captured_credits: int, now: datetime) -> bool:
    """End a hold: capture so much of it and give the rest back. False, and nothing happens, when it is settled already.

    Raises NotFound for an unknown hold; capturing more than was held is a mistake of ours.
    """
    row = queries.find_hold(conn, hold_id)
    if row is None:
        raise NotFound(f"There is no hold {hold_id!r}.")
    assert 0 <= captured_credits <= row.amount_credits, f"{captured_credits} of {row.amount_credits} credits captured"
    settlement = {"hold_id": hold_id, "captured_credits": captured_credits, "created_at": now}
    if not queries.insert_settlement(conn, settlement):
        return False
    released = row.amount_credits - captured_credits
    if row.amount_credits:
        queries.move_balance(
            conn, row.account_id, available_credits=released, held_credits=-row.amount_credits, now=now
        )
    if captured_credits:
        _transfer(
            conn, TransferKind.CAPTURE, hold_id=hold_id, account_id=row.account_id, amount=captured_credits, now=now
        )
    if released:
        _transfer(conn, TransferKind.RELEASE, hold_id=hold_id, account_id=row.account_id, amount=released, now=now)
        queries.add_spending(conn, api_key_id=row.api_key_id, day=row.created_at.date(), amount_credits=-released)
    return True


def check(conn: Connection) -> list[str]:
    """Recompute every stored sum from the rows; return one sentence per discrepancy."""
    return [*_check_books(conn), *_check_holds(conn), *_check_spending(conn)]


def _transfer(
    conn: Connection,
    kind: TransferKind,
    *,
    account_id: str,
    amount: int,
    now: datetime,
    hold_id: str | None = None,
    transfer_id: str | None = None,
) -> bool:
    debit_book, credit_book = BOOKS[kind]
    return queries.insert_transfer(
        conn,
        {
            "id": transfer_id or f"{kind}:{hold_id}",
            "account_id": account_id,
            "kind": kind,
            "debit_book": debit_book,
            "credit_book": credit_book,
            "amount_credits": amount,
            "hold_id": hold_id,
            "created_at": now,
        },
    )


def _check_books(conn: Connection) -> Iterator[str]:
    for row in queries.recompute_books(conn):
        for book in ("available", "held"):
            stored, summed = getattr(row, f"{book}_credits"), getattr(row, f"summed_{book}")
            if stored != summed:
                yield f"account {row.id}: {stored} credits {book}, but its transfers add up to {summed}"


def _check_holds(conn: Connection) -> Iterator[str]:
    for row in queries.recompute_holds(conn):
        settled = "open" if row.settled_credits < 0 else f"settled with {row.settled_credits} captured"
        yield (
            f"hold {row.id}: {row.amount_credits} credits, {settled}, but its transfers hold {row.held}, "
            f"capture {row.captured} and release {row.released}"
        )


def _check_spending(conn: Connection) -> Iterator[str]:
    stored, computed = queries.recompute_spending(conn)
    for key_day in sorted(stored.keys() | computed.keys()):
        if stored.get(key_day, 0) != computed.get(key_day, 0):
            api_key_id, day = key_day
            yield (
                f"key {api_key_id}: {stored.get(key_day, 0)} credits spent on {day}, "
                f"but its holds add up to {computed.get(key_day, 0)}"
            )
