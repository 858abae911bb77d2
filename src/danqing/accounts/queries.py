"""The SQL of accounts, keys and the ledger. The rules are in the modules that call it."""

from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    Double,
    Executable,
    Integer,
    Row,
    Table,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from danqing.accounts.tables import accounts, api_keys, holds, key_rates, key_spending, settlements, transfers

Values = Mapping[str, Any]


def insert_account(conn: Connection, values: Values) -> bool:
    """Write a new account; False when its id is taken."""
    return _insert_once(conn, accounts, values)


def find_account(conn: Connection, account_id: str) -> Row[Any] | None:
    """Read an account."""
    return conn.execute(select(accounts).where(accounts.c.id == account_id)).one_or_none()


def list_accounts(conn: Connection) -> list[Row[Any]]:
    """Read every account, oldest first."""
    return list(conn.execute(select(accounts).order_by(accounts.c.created_at, accounts.c.id)))


def move_balance(
    conn: Connection, account_id: str, *, available_credits: int, held_credits: int, now: datetime
) -> bool:
    """Add the two (signed) amounts to an account's books; False when there are too few available credits."""
    changed = conn.execute(
        update(accounts)
        .where(accounts.c.id == account_id, accounts.c.available_credits + available_credits >= 0)
        .values(
            available_credits=accounts.c.available_credits + available_credits,
            held_credits=accounts.c.held_credits + held_credits,
            updated_at=now,
        )
    )
    return changed.rowcount == 1


def insert_key(conn: Connection, values: Values) -> bool:
    """Write a new key; False when its prefix is taken."""
    return _insert_once(conn, api_keys, values)


def find_key(conn: Connection, prefix: str) -> Row[Any] | None:
    """Read a key, revoked or not."""
    return conn.execute(select(api_keys).where(api_keys.c.prefix == prefix)).one_or_none()


def lock_key(conn: Connection, prefix: str) -> Row[Any] | None:
    """Read a key and let no other transaction change it, or hold credits for it, until this one ends."""
    # The weaker lock does not block transactions that merely refer to the key.
    locking = select(api_keys).where(api_keys.c.prefix == prefix).with_for_update(key_share=True)
    return conn.execute(locking).one_or_none()


def list_keys(conn: Connection, account_id: str) -> list[Row[Any]]:
    """Read an account's keys that are not revoked, oldest first."""
    live = and_(api_keys.c.account_id == account_id, api_keys.c.revoked_at.is_(None))
    return list(conn.execute(select(api_keys).where(live).order_by(api_keys.c.created_at, api_keys.c.prefix)))


def count_keys(conn: Connection, account_id: str) -> int:
    """Count what `list_keys` would list."""
    live = and_(api_keys.c.account_id == account_id, api_keys.c.revoked_at.is_(None))
    return conn.execute(select(func.count()).select_from(api_keys).where(live)).scalar_one()


def update_key(conn: Connection, prefix: str, values: Values) -> None:
    """Change a key."""
    conn.execute(update(api_keys).where(api_keys.c.prefix == prefix).values(values))


def insert_transfer(conn: Connection, values: Values) -> bool:
    """Write a transfer; False when its id is there already."""
    return _insert_once(conn, transfers, values)


def insert_hold(conn: Connection, values: Values) -> bool:
    """Write a hold; False when its id is there already."""
    return _insert_once(conn, holds, values)


def find_hold(conn: Connection, hold_id: str) -> Row[Any] | None:
    """Read a hold."""
    return conn.execute(select(holds).where(holds.c.id == hold_id)).one_or_none()


def insert_settlement(conn: Connection, values: Values) -> bool:
    """Write a settlement; False when the hold is settled already."""
    return _insert_once(conn, settlements, values)


def add_spending(conn: Connection, *, api_key_id: str, day: date, amount_credits: int) -> None:
    """Add a (signed) amount to what a key has spent on a day."""
    if amount_credits < 0:
        key_day = and_(key_spending.c.api_key_id == api_key_id, key_spending.c.day == day)
        total = key_spending.c.spent_credits + amount_credits
        conn.execute(update(key_spending).where(key_day).values(spent_credits=total))
        return
    statement = _dialect_insert(conn.dialect.name, key_spending)
    statement = statement.values(api_key_id=api_key_id, day=day, spent_credits=amount_credits)
    conn.execute(
        statement.on_conflict_do_update(
            index_elements=["api_key_id", "day"],
            set_={"spent_credits": key_spending.c.spent_credits + statement.excluded.spent_credits},
        )
    )


def spending(conn: Connection, *, api_key_id: str, since: date | None) -> int:
    """Sum what a key has spent from that day on, or ever."""
    total = select(func.coalesce(func.sum(key_spending.c.spent_credits), 0))
    total = total.where(key_spending.c.api_key_id == api_key_id)
    if since is not None:
        total = total.where(key_spending.c.day >= since)
    return int(conn.execute(total).scalar_one())


def spending_by_key(conn: Connection, *, account_id: str, since: date | None) -> dict[str, int]:
    """Sum what each key of an account has spent from that day on, or ever."""
    sums = select(key_spending.c.api_key_id, func.sum(key_spending.c.spent_credits))
    sums = sums.join(api_keys, api_keys.c.prefix == key_spending.c.api_key_id)
    sums = sums.where(api_keys.c.account_id == account_id).group_by(key_spending.c.api_key_id)
    if since is not None:
        sums = sums.where(key_spending.c.day >= since)
    return {api_key_id: int(total) for api_key_id, total in conn.execute(sums)}


def take_from_bucket(
    conn: Connection, api_key_id: str, name: str, *, now: float, step: float, latest: float
) -> float | None:
    """Move the time at which a key's bucket is full by `step`; None if that would be after `latest`."""
    values = {"api_key_id": api_key_id, "name": name, "num_requests": 1, "full_at": now + step}
    values |= {"now": now, "step": step, "latest": latest}
    return conn.execute(_bucket_statement(conn.dialect.name), values).scalar_one_or_none()


def take_from_minute(
    conn: Connection, api_key_id: str, name: str, *, now: float, end: float, limit: int
) -> Row[Any] | None:
    """Count a request in a key's minute, or in a new one up to `end`; None if the minute has `limit` already."""
    values = {"api_key_id": api_key_id, "name": name, "num_requests": 1, "full_at": end, "now": now, "limit": limit}
    return conn.execute(_minute_statement(conn.dialect.name), values).one_or_none()


def find_rate(conn: Connection, api_key_id: str, name: str) -> Row[Any]:
    """Read how much of a limit a key has used."""
    return conn.execute(select(key_rates).where(key_rates.c.api_key_id == api_key_id, key_rates.c.name == name)).one()


def delete_idle_rates(conn: Connection, *, full_before: float) -> None:
    """Forget the keys that have had their whole limit since then; rows that another process holds wait their turn."""
    idle = select(key_rates.c.api_key_id, key_rates.c.name).where(key_rates.c.full_at < full_before)
    key = tuple_(key_rates.c.api_key_id, key_rates.c.name)
    conn.execute(delete(key_rates).where(key.in_(idle.with_for_update(skip_locked=True))))


def recompute_books(conn: Connection) -> list[Row[Any]]:
    """Give each account's stored balances beside the sums of its transfers."""

    def book(name: str) -> Any:
        credit = case((transfers.c.credit_book == name, transfers.c.amount_credits), else_=0)
        debit = case((transfers.c.debit_book == name, transfers.c.amount_credits), else_=0)
        return func.coalesce(func.sum(credit - debit), 0).label(f"summed_{name}")

    return list(
        conn.execute(
            select(
                accounts.c.id, accounts.c.available_credits, accounts.c.held_credits, book("available"), book("held")
            )
            .outerjoin(transfers, transfers.c.account_id == accounts.c.id)
            .group_by(accounts.c.id, accounts.c.available_credits, accounts.c.held_credits)
        )
    )


def recompute_holds(conn: Connection) -> list[Row[Any]]:
    """Give each hold with its settlement, if any, beside the sums of its transfers, where the two disagree."""

    def moved(kind: str) -> Any:
        return func.coalesce(func.sum(case((transfers.c.kind == kind, transfers.c.amount_credits), else_=0)), 0)

    held, captured, released = moved("hold"), moved("capture"), moved("release")
    settled = func.coalesce(func.max(settlements.c.captured_credits), literal(-1))
    wanted_release = case((settled < 0, 0), else_=holds.c.amount_credits - settled)
    wanted_capture = case((settled < 0, 0), else_=settled)
    return list(
        conn.execute(
            select(
                holds.c.id,
                holds.c.amount_credits,
                settled.label("settled_credits"),
                held.label("held"),
                captured.label("captured"),
                released.label("released"),
            )
            .outerjoin(settlements, settlements.c.hold_id == holds.c.id)
            .outerjoin(transfers, transfers.c.hold_id == holds.c.id)
            .group_by(holds.c.id, holds.c.amount_credits)
            .having((held != holds.c.amount_credits) | (captured != wanted_capture) | (released != wanted_release))
        )
    )


def recompute_spending(conn: Connection) -> tuple[dict[tuple[str, date], int], dict[tuple[str, date], int]]:
    """Give the stored spending of each key and day, and the same computed from the holds and their settlements."""
    stored = {(row.api_key_id, row.day): row.spent_credits for row in conn.execute(select(key_spending))}
    computed: dict[tuple[str, date], int] = {}
    spent = func.coalesce(settlements.c.captured_credits, holds.c.amount_credits).label("spent_credits")
    rows = select(holds.c.api_key_id, holds.c.created_at, spent)
    for row in conn.execute(rows.outerjoin(settlements, settlements.c.hold_id == holds.c.id)):
        key_day = (row.api_key_id, row.created_at.date())
        computed[key_day] = computed.get(key_day, 0) + row.spent_credits
    return stored, computed


def _dialect_insert(dialect_name: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if dialect_name == "sqlite" else postgresql.insert(table)


@cache
def _insertion(dialect_name: str, table: Table) -> Executable:
    # Kept: to build it takes longer than to run it, and every request makes several.
    return _dialect_insert(dialect_name, table).on_conflict_do_nothing()


@cache
def _bucket_statement(dialect_name: str) -> Executable:
    now, step = bindparam("now", type_=Double), bindparam("step", type_=Double)
    moved = case((key_rates.c.full_at > now, key_rates.c.full_at), else_=now) + step
    statement = _dialect_insert(dialect_name, key_rates).on_conflict_do_update(
        index_elements=["api_key_id", "name"],
        set_={"full_at": moved},
        where=moved <= bindparam("latest", type_=Double),
    )
    return statement.returning(key_rates.c.full_at)


@cache
def _minute_statement(dialect_name: str) -> Executable:
    statement = _dialect_insert(dialect_name, key_rates)
    is_over = key_rates.c.full_at <= bindparam("now", type_=Double)
    counted = statement.on_conflict_do_update(
        index_elements=["api_key_id", "name"],
        set_={
            "num_requests": case((is_over, 1), else_=key_rates.c.num_requests + 1),
            "full_at": case((is_over, statement.excluded.full_at), else_=key_rates.c.full_at),
        },
        where=or_(is_over, key_rates.c.num_requests < bindparam("limit", type_=Integer)),
    )
    return counted.returning(key_rates.c.num_requests, key_rates.c.full_at)


def _insert_once(conn: Connection, table: Table, values: Values) -> bool:
    return conn.execute(_insertion(conn.dialect.name, table), dict(values)).rowcount == 1
