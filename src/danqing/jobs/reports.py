"""What an account did and paid: logs, usage, transactions. Reads only; knows nothing of how they are shown."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection

from danqing.accounts.credits import TransferKind
from danqing.errors import InvalidRequest
from danqing.jobs import queries
from danqing.jobs.job import Job, JobStatus

MAX_PAGE_ROWS = 100


class Direction(StrEnum):
    """Into the account or out of it."""

    TOPUP = "TOPUP"
    CHARGE = "CHARGE"


class TransactionType(StrEnum):
    """What the credits were for."""

    GRANT = "GRANT"
    MODEL_USAGE = "MODEL_USAGE"


# What a customer sees of the ledger: credits that came and credits that were spent; holds are an inner matter.
_SHOWN = {
    TransferKind.GRANT: (Direction.TOPUP, TransactionType.GRANT),
    TransferKind.CAPTURE: (Direction.CHARGE, TransactionType.MODEL_USAGE),
}


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """Credits that entered or left an account; `reference_id` is the job's id for a charge."""

    created_at: datetime
    direction: Direction
    type: TransactionType
    amount_credits: int
    model: str | None
    reference_id: str


@dataclass(frozen=True, kw_only=True)
class TransactionFilter:
    """Which transactions to show; None does not restrict. `created_to` itself is not included."""

    created_from: datetime | None = None
    created_to: datetime | None = None
    direction: Direction | None = None
    type: TransactionType | None = None


@dataclass(frozen=True, kw_only=True)
class TransactionPage:
    """Newest first; `next_cursor` continues where this page ends, None at the end."""

    transactions: tuple[Transaction, ...]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class LogPage:
    """Jobs newest first, and how many there are without a limit."""

    jobs: tuple[Job, ...]
    num_total: int


@dataclass(frozen=True, kw_only=True)
class UsageRow:
    """What one model was asked for, and how it ended."""

    model: str
    status: JobStatus
    num_requests: int
    charged_credits: int


def list_transactions(
    conn: Connection, *, account_id: str, only: TransactionFilter, limit: int, cursor: str | None
) -> TransactionPage:
    """Show a page of the account's transactions. Raises InvalidRequest for a limit out of range or a bad cursor."""
    _require_limit(limit)
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
        before=None if cursor is None else _read_cursor(cursor),
        limit=limit + 1,
    )
    page = rows[:limit]
    has_more = len(rows) > limit
    return TransactionPage(
        transactions=tuple(
            Transaction(
                created_at=row.created_at,
                direction=_SHOWN[TransferKind(row.kind)][0],
                type=_SHOWN[TransferKind(row.kind)][1],
                amount_credits=row.amount_credits,
                model=row.model,
                reference_id=row.hold_id or row.id,
            )
            for row in page
        ),
        next_cursor=_write_cursor(page[-1].created_at, page[-1].id) if has_more else None,
    )


def list_logs(
    conn: Connection,
    *,
    account_id: str,
    created_from: datetime,
    statuses: frozenset[JobStatus],
    limit: int,
    offset: int,
) -> LogPage:
    """Show a page of the account's requests. Raises InvalidRequest for a limit or an offset out of range."""
    _require_limit(limit)
    if offset < 0:
        raise InvalidRequest("offset: 0 or more", param="offset")
    page = queries.list_jobs(
        conn, account_id=account_id, created_from=created_from, statuses=statuses, limit=limit, offset=offset
    )
    num_total = queries.count_jobs(conn, account_id=account_id, created_from=created_from, statuses=statuses)
    return LogPage(jobs=tuple(page), num_total=num_total)


def usage(conn: Connection, *, account_id: str, created_from: datetime) -> list[UsageRow]:
    """Sum the account's requests by model and status."""
    return [
        UsageRow(
            model=row.model,
            status=JobStatus(row.status),
            num_requests=row.num_requests,
            charged_credits=int(row.charged_credits),
        )
        for row in queries.sum_jobs(conn, account_id=account_id, created_from=created_from)
    ]


def _require_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_PAGE_ROWS:
        raise InvalidRequest(f"limit: 1 to {MAX_PAGE_ROWS}", param="limit")


def _write_cursor(created_at: datetime, transfer_id: str) -> str:
    return base64.urlsafe_b64encode(f"{created_at.isoformat()} {transfer_id}".encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        created_at, transfer_id = base64.urlsafe_b64decode(cursor.encode()).decode().split(" ")
        moment = datetime.fromisoformat(created_at)
        # The ends of the calendar leave it in another time zone.
        outside = moment.tzinfo is None or not 1970 <= moment.year <= 9000
    except (binascii.Error, ValueError):
        raise InvalidRequest("cursor: not one that a page ended with", param="cursor") from None
    # PostgreSQL takes no NUL in a text.
    if outside or not transfer_id.isprintable():
        raise InvalidRequest("cursor: not one that a page ended with", param="cursor")
    return moment, transfer_id
